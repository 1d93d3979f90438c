"""Windows for tests of what is decided about them."""

from collections.abc import Sequence

from actors.engine.protocol import Window
from storage.records import RATE, Span

Times = Sequence[tuple[float, float]]


def window(spans: Times, speech: Times) -> Window:
    """Both in seconds of the file."""
    return Window(
        1, "a.pcm", tuple(map(_span, spans)), tuple(map(_span, speech)), None, {},
        translate=False, prompt=None, words=False,
    )  # fmt: skip


def _span(seconds: tuple[float, float]) -> Span:
    return Span(round(seconds[0] * RATE), round(seconds[1] * RATE))
