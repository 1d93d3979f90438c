"""The demo model in PyTorch: a small model with Whisper's architecture and tensor names."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tools.demo_model.vocabulary import FIRST_TIMESTAMP, TIMESTAMPS
from tools.ggml_whisper import Dimensions, sinusoids


def gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")  # as ggml computes it


class Attention(nn.Module):
    def __init__(self, state: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(state, state)
        self.key = nn.Linear(state, state, bias=False)
        self.value = nn.Linear(state, state)
        self.out = nn.Linear(state, state)

    def forward(self, x: Tensor, source: Tensor, *, causal: bool) -> Tensor:
        def split(y: Tensor) -> Tensor:
            return y.view(*y.shape[:2], self.heads, -1).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(
            split(self.query(x)),
            split(self.key(source)),
            split(self.value(source)),
            is_causal=causal,
        )
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(x.shape))
        return out

    def first_head(self, x: Tensor, source: Tensor) -> Tensor:
        """The log of the first head's attention: f32[batch, tokens, positions]."""
        width = x.shape[-1] // self.heads
        query, key = self.query(x)[..., :width], self.key(source)[..., :width]
        scores = query.float() @ key.float().transpose(1, 2) / math.sqrt(width)
        return F.log_softmax(scores, dim=-1)


class Block(nn.Module):
    asked: Tensor
    """The input of the cross-attention in the last call of `forward`."""

    def __init__(self, state: int, heads: int, *, decoder: bool) -> None:
        super().__init__()
        self.decoder = decoder
        self.attn = Attention(state, heads)
        self.attn_ln = nn.LayerNorm(state)
        if decoder:
            self.cross_attn = Attention(state, heads)
            self.cross_attn_ln = nn.LayerNorm(state)
        self.mlp = nn.ModuleDict(
            {"0": nn.Linear(state, 4 * state), "2": nn.Linear(4 * state, state)}
        )
        self.mlp_ln = nn.LayerNorm(state)

    def forward(self, x: Tensor, audio: Tensor | None = None) -> Tensor:
        y = self.attn_ln(x)
        x = x + self.attn(y, y, causal=self.decoder)
        if audio is not None:
            self.asked = self.cross_attn_ln(x)
            x = x + self.cross_attn(self.asked, audio, causal=False)
        out: Tensor = x + self.mlp["2"](gelu(self.mlp["0"](self.mlp_ln(x))))
        return out


class Encoder(nn.Module):
    positional_embedding: Tensor

    def __init__(self, d: Dimensions) -> None:
        super().__init__()
        state = d.n_audio_state
        self.conv1 = nn.Conv1d(d.n_mels, state, 3, padding=1)
        self.conv2 = nn.Conv1d(state, state, 3, stride=2, padding=1)
        positions = torch.tensor(sinusoids(d.n_audio_ctx, state))
        self.register_buffer("positional_embedding", positions)
        self.blocks = nn.ModuleList(
            Block(state, d.n_audio_head, decoder=False) for _ in range(d.n_audio_layer)
        )
        self.ln_post = nn.LayerNorm(state)

    def forward(self, mel: Tensor, offset: int = 0) -> Tensor:
        """Encode ``mel``, f32[batch, 80, 2 n], as if it began at position ``offset`` of the window.

        Returns [batch, n, state].
        """
        x = gelu(self.conv2(gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.positional_embedding[offset : offset + x.shape[1]]
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.ln_post(x)
        return out


class Decoder(nn.Module):
    def __init__(self, d: Dimensions, used: list[int]) -> None:
        super().__init__()
        state = d.n_text_state
        self.token_embedding = nn.Embedding(len(used), state)
        self.positional_embedding = nn.Parameter(torch.randn(d.n_text_ctx, state) * 0.01)
        self.blocks = nn.ModuleList(
            Block(state, d.n_text_head, decoder=True) for _ in range(d.n_text_layer)
        )
        self.ln = nn.LayerNorm(state)
        nn.init.normal_(self.token_embedding.weight, std=0.05)
        # The embedding of each timestamp starts as the encoder's positional embedding of the same
        # moment. So the cross-attention does not have to learn 1,500 pairs.
        first = used.index(FIRST_TIMESTAMP)
        with torch.no_grad():
            self.token_embedding.weight[first : first + TIMESTAMPS - 1] = 0.1 * torch.tensor(
                sinusoids(TIMESTAMPS - 1, state)
            )

    def forward(self, tokens: Tensor, audio: Tensor) -> Tensor:
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, audio)
        logits: Tensor = self.ln(x) @ self.token_embedding.weight.T
        return logits


class Whisper(nn.Module):
    """The model with only the tokens that it uses, and a CTC head that only the training needs.

    ``forward`` returns logits, [batch, tokens, used + 1]; then the logits of the CTC labels; then,
    for each decoder layer but the first, the log of its first head's attention. The last of the
    logits stands for all unused tokens together: their embeddings are zero in the exported file, so
    each of them has logit 0.
    """

    def __init__(self, d: Dimensions, used: list[int], ctc_labels: int) -> None:
        super().__init__()
        self.encoder = Encoder(d)
        self.decoder = Decoder(d, used)
        self.ctc = nn.Linear(d.n_audio_state, ctc_labels)
        self.unused = math.log(d.n_vocab - len(used))

    def forward(self, mel: Tensor, tokens: Tensor, offset: int = 0) -> tuple[Tensor, ...]:
        audio = self.encoder(mel, offset)
        logits = self.decoder(tokens, audio).float()
        rest = torch.full((*logits.shape[:2], 1), self.unused)
        looks = [block.cross_attn.first_head(block.asked, audio) for block in self._later_layers()]
        return torch.cat([logits, rest], dim=-1), self.ctc(audio).float(), *looks

    def _later_layers(self) -> list[Block]:
        return list(self.decoder.blocks)[1:]  # type: ignore[arg-type]
