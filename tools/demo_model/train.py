"""Trains the demo model on synthetic speech and exports it to ggml.

    python -m tools.demo_model.train --minutes 90 --frame MODEL.bin train.pkl unseen.pkl OUT

The loss is the cross-entropy of text and timestamps, plus two others that help at the beginning. A
CTC loss on the encoder teaches it the words early. A loss on the decoder's attention leads it to
the place where the CTC head finds the word (guided attention, after Tachibana et al., "Efficiently
trainable text-to-speech system…", 2017). OUT.pt, OUT-f16.bin and OUT-q5_0.bin are written every
1,000 steps and at the end.
"""

import argparse
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tools.demo_model.network import Whisper
from tools.demo_model.speech import load
from tools.demo_model.vocabulary import END_OF_TEXT, FIRST_TIMESTAMP, WORDS, Tokens
from tools.demo_model.windows import Window, Windows
from tools.ggml_whisper import Frame, read_frame, write

POSITIONS = 1500
DIMENSIONS = {
    "n_audio_state": 128,
    "n_audio_head": 2,
    "n_audio_layer": 4,
    "n_text_state": 128,
    "n_text_head": 2,
    "n_text_layer": 3,  # with two layers, whisper.cpp would treat it as a distilled model
}
LABEL = {word: n for n, word in enumerate(WORDS["en"] + WORDS["de"], start=1)}
PEAK_RATE = 1.5e-3
WARM_UP_STEPS = 60
GUIDE_WIDTH = 10.0
"""The width, in encoder positions (0.02 s each), of the area around a token's place where its
attention costs little."""


class Training:
    """The model, the running average of its weights, and the training step."""

    def __init__(self, model: Whisper, used: list[int]) -> None:
        self.model = model
        self.average = torch.optim.swa_utils.AveragedModel(
            model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998)
        )
        self.index = {token: n for n, token in enumerate(used)}
        self.optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98))
        self.steps = 0

    def step(
        self, windows: list[Window], offset: int, rate: float, ctc_weight: float, guide: float
    ) -> Tensor:
        """Train on one batch.

        Returns four numbers: the cross-entropy, the CTC loss, the share of text tokens that are
        right, and the mean error of the timestamps in seconds.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        report, loss = self.loss(self.model, windows, offset, ctc_weight, guide)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.average.update_parameters(self.model)
        self.steps += 1
        return report

    def loss(
        self,
        model: nn.Module,
        windows: list[Window],
        offset: int,
        ctc_weight: float = 0.0,
        guide: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        mel, tokens, counts = self._batch(windows)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, labels, *looks = model(mel, tokens[:, :-1], offset)
        target, counts = tokens[:, 1:], counts[:, 1:]
        first = self.index[FIRST_TIMESTAMP]
        timed = counts * (target >= first)
        text = counts - timed
        each = F.cross_entropy(logits.transpose(1, 2), target, reduction="none")
        weight = text + 0.3 * timed
        entropy = (each * weight).sum() / weight.sum()
        ctc = self._ctc(labels, [window.words for window in windows])
        with torch.no_grad():
            right = ((logits.argmax(-1) == target) * text).sum() / text.sum()
            guess = logits[..., first:-1].argmax(-1) + first
            late = 0.02 * ((guess - target).abs() * timed).sum() / timed.sum().clamp(min=1)
            report = torch.stack([entropy, ctc, right, late])
        total = entropy + ctc_weight * ctc
        if guide:
            total = total + guide * self._astray(looks, windows, labels.detach().argmax(-1))
        return report, total

    def _astray(self, looks: list[Tensor], windows: list[Window], heard: Tensor) -> Tensor:
        """The guided attention's loss: high if tokens attend to other places than their own."""
        batch, tokens, positions = looks[0].shape
        places = torch.full((batch, tokens), torch.nan)
        for row, window in enumerate(windows):
            # The attention that predicts a token is the one of the token before it.
            places[row, : len(window.places) - 1] = torch.tensor(_places(window, heard[row])[1:])
        known = ~places.isnan()
        distance = (torch.arange(positions) - places.nan_to_num()[..., None]) / GUIDE_WIDTH
        near = -0.5 * distance**2
        lost = sum(-(look + near).logsumexp(-1)[known].mean() for look in looks)
        return torch.as_tensor(lost) / len(looks)

    def _batch(self, windows: list[Window]) -> tuple[Tensor, Tensor, Tensor]:
        longest = max(len(window.tokens) for window in windows)
        tokens = torch.full((len(windows), longest), self.index[END_OF_TEXT])
        counts = torch.zeros(len(windows), longest)
        for row, window in enumerate(windows):
            n = len(window.tokens)
            tokens[row, :n] = torch.tensor([self.index[token] for token in window.tokens])
            counts[row, :n] = torch.tensor(window.counts, dtype=torch.float32)
        return torch.from_numpy(np.stack([window.mel for window in windows])), tokens, counts

    def _ctc(self, labels: Tensor, words: list[list[str]]) -> Tensor:
        flat = torch.tensor([LABEL[word] for each in words for word in each])
        if not len(flat):
            return torch.zeros(())
        heard = F.log_softmax(labels, -1).transpose(0, 1)
        sizes = torch.full((len(words),), heard.shape[0])
        lengths = torch.tensor([len(each) for each in words])
        return F.ctc_loss(heard, flat, sizes, lengths, zero_infinity=True)


def export(model: Whisper, frame: Frame, used: list[int], out: str) -> None:
    tensors = {name: value.float().numpy() for name, value in model.state_dict().items()}
    embedding = np.zeros((frame.dimensions.n_vocab, frame.dimensions.n_text_state), np.float32)
    embedding[used] = tensors["decoder.token_embedding.weight"]
    tensors["decoder.token_embedding.weight"] = embedding
    for kind in ("f16", "q5_0"):
        write(Path(f"{out}-{kind}.bin"), frame, tensors, kind)


def _places(window: Window, heard: Tensor) -> list[float]:
    """The places of the window's tokens, in encoder positions; NaN if unknown.

    If the CTC head finds exactly the words of the window, its places of the words are included.
    """
    spikes = [
        (label, at)
        for at, (label, before) in enumerate(
            zip(heard.tolist(), [0, *heard.tolist()], strict=False)
        )
        if label and label != before
    ]
    if [label for label, _ in spikes] != [LABEL[word] for word in window.words]:
        return window.places
    return [
        place if word < 0 else float(spikes[word][1])
        for place, word in zip(window.places, window.spells, strict=True)
    ]


def shape_of_step(done: float, rng: random.Random) -> tuple[int, int]:
    """The length of the windows, in encoder positions, and the batch size for the next step.

    ``done`` is the share of the training that is over. Windows are short at first, and most are
    whole towards the end.
    """
    if done < 0.2:
        return rng.choice([(150, 28), (200, 20)])
    whole = 0.02 if done < 0.45 else 0.15 if done < 0.6 else 0.75
    if rng.random() < whole:
        return POSITIONS, 4
    return rng.choice([(300, 16), (400, 12), (600, 8), (1000, 6)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("unseen", type=Path)
    parser.add_argument("out")
    parser.add_argument("--minutes", type=float, default=90, help="for the whole schedule")
    parser.add_argument("--begin", type=float, default=0, help="share of the schedule to skip")
    parser.add_argument("--resume", type=Path, help="an OUT.pt to begin from")
    parser.add_argument("--frame", type=Path, required=True, help="a multilingual ggml file")
    args = parser.parse_args()
    rng = random.Random(0)
    torch.manual_seed(0)
    frame = read_frame(args.frame).with_dimensions(**DIMENSIONS)
    tokens = Tokens(args.frame)
    used = tokens.used()
    model = Whisper(frame.dimensions, used, len(LABEL) + 1)
    if args.resume:
        model.load_state_dict(torch.load(args.resume))
    training = Training(model, used)
    heard, unseen = (Windows(load(p), tokens, rng) for p in (args.train, args.unseen))
    began, running = time.monotonic(), torch.zeros(4)
    while (done := args.begin + (time.monotonic() - began) / (60 * args.minutes)) < 1:
        positions, batch = shape_of_step(done, rng)
        offset = rng.randint(0, POSITIONS - positions)
        windows = [heard.draw(positions, offset) for _ in range(batch)]
        warm_up = min(1, (training.steps + 1) / WARM_UP_STEPS)
        decay = 0.5 * (1 + math.cos(math.pi * done))
        rate = PEAK_RATE * warm_up * (0.98 * decay + 0.02)
        ctc_weight, guide = (0.5, 0.5) if done < 0.4 else (0.2, 0.2) if done < 0.9 else (0.1, 0)
        report = training.step(windows, offset, rate, ctc_weight, guide)
        running = report if training.steps == 1 else 0.98 * running + 0.02 * report
        if training.steps % 200 == 0:
            print(f"{done:6.1%} step {training.steps:6} rate {rate:.1e}", _figures(running))
        if training.steps % 1000 == 0:
            torch.save(training.average.module.state_dict(), f"{args.out}.pt")
            export(training.average.module, frame, used, args.out)
            _validate(training, unseen)
    torch.save(training.average.module.state_dict(), f"{args.out}.pt")
    export(training.average.module, frame, used, args.out)


@torch.no_grad()
def _validate(training: Training, unseen: Windows) -> None:
    average = training.average
    short = [unseen.draw(300, 600, clean=True) for _ in range(48)]
    whole = [unseen.draw(POSITIONS, clean=True) for _ in range(12)]
    print("    unseen, 6 s  ", _figures(training.loss(average, short, 600)[0]))
    print("    unseen, 30 s ", _figures(training.loss(average, whole, 0)[0]), flush=True)


def _figures(report: Tensor) -> str:
    entropy, ctc, right, late = report.tolist()
    return f"entropy {entropy:.3f} ctc {ctc:.3f} text {right:.3f} time {late:.2f} s"


if __name__ == "__main__":
    main()
