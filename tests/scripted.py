"""A Whisper model that says a given text, whatever it hears.

Its decoder's output depends on the position alone: the positional embedding of step n is the
embedding of token n, and nothing else reaches the last layer. So the real engine gives exactly
that text, those times and that language, in a tenth of a second and five megabytes.
"""

import re
from pathlib import Path

import numpy as np

from tools.ggml_whisper import Frame, read_frame, shapes, tokenise, write

DEMO = Path(__file__).parent.parent / "actors" / "engine" / "demo" / "demo.bin"
END_OF_TEXT = 50257
FIRST_LANGUAGE = 50259
FIRST_TIMESTAMP = 50364
PROMPT = 3
"""Start, language and task stand before the first token."""
SMALL = 0.02
"""Scale of the token embeddings: so small that only the positions decide."""


def scripted_model(
    path: Path, script: str, language: int = 0, state: int = 64, layers: int = 1
) -> Path:
    """Write a model that answers ``<|0.00|> Hello.<|1.50|>`` with that segment.

    ``language`` counts from English, 0, in the order of whisper.cpp: 2 is German. With the
    ``state`` and ``layers`` of a real model it costs what that costs.
    """
    frame, tensors = scripted_tensors(script, language, state, layers)
    write(path, frame, tensors, "q8_0")
    return path


def scripted_tensors(
    script: str, language: int, state: int, layers: int
) -> tuple[Frame, dict[str, np.ndarray]]:
    """What `scripted_model` writes: the vocabulary, and the weights by their names in ggml."""
    frame = _frame(state, layers, layers)
    return frame, _tensors(frame, _tokens(script, frame), FIRST_LANGUAGE + language)


def slow_model(path: Path, layers: int = 4) -> Path:
    """A scripted model whose encoder takes a second or two for a window on a CPU."""
    return scripted_model(path, "<|0.00|> Hello world.<|2.00|>", state=512, layers=layers)


def _frame(state: int, audio_layers: int, text_layers: int) -> Frame:
    """The demo model's vocabulary and filters, with heads of 64 as in every Whisper model."""
    return read_frame(DEMO).with_dimensions(
        n_audio_state=state,
        n_audio_head=state // 64,
        n_audio_layer=audio_layers,
        n_text_state=state,
        n_text_head=state // 64,
        n_text_layer=text_layers,
    )


def _tokens(script: str, frame: Frame) -> list[int]:
    tokens: list[int] = []
    for part in re.split(r"(<\|[\d.]+\|>)", script):
        if time := re.fullmatch(r"<\|([\d.]+)\|>", part):
            tokens.append(FIRST_TIMESTAMP + round(float(time[1]) / 0.02))
        else:
            tokens += tokenise(part, frame.words)
    return tokens


def _tensors(frame: Frame, tokens: list[int], language: int) -> dict[str, np.ndarray]:
    d = frame.dimensions
    rng = np.random.default_rng(0)
    tensors = {name: np.zeros(shape, np.float32) for name, shape in shapes(d).items()}
    for name, tensor in tensors.items():
        if name.endswith(("ln.weight", "ln_post.weight")):
            tensor += 1
    embedding = rng.standard_normal((d.n_vocab, d.n_text_state)).astype(np.float32)
    embedding -= embedding.mean(axis=1, keepdims=True)
    embedding /= embedding.std(axis=1, keepdims=True)
    said = [language, 0, *tokens]
    positions = np.stack(
        [embedding[said[n] if n < len(said) else END_OF_TEXT] for n in range(d.n_text_ctx)]
    )
    tensors["decoder.token_embedding.weight"] = embedding * SMALL
    tensors["decoder.positional_embedding"] = positions
    tensors["decoder.ln.weight"] = np.full(d.n_text_state, 40 / (d.n_text_state * SMALL))
    return tensors
