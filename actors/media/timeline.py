"""Places decoded audio on the clock of its container."""

from collections.abc import Iterator
from typing import Any

JITTER_S = 0.1
"""Time stamps may be off by this much: many containers round them, and clocks drift."""
LONGEST_GAP_S = 3600.0
"""A longer gap is taken for damaged time stamps."""
FRAMES_OF_PROOF = 4
"""So many frames must agree on a gap before it counts: a damaged stamp stands alone."""


class Timeline:
    """Compares each frame's time stamp with the audio before it."""

    def __init__(self, origin: float) -> None:
        """``origin``: the time stamp, in seconds, that a player shows as 0."""
        self._expected = origin
        """The time stamp that the next frame has if nothing is missing before it."""
        self._held: list[Any] = []
        """Frames after a jump of the clock that is not proven yet."""
        self._gap = 0.0
        """The jump, in seconds; below 0: back."""

    def placed(self, frames: Iterator[Any]) -> Iterator[tuple[Any, float]]:
        """Each frame, and the seconds of silence that belong before it."""
        for frame in frames:
            yield from self._place(frame)
        yield from self._release(0.0)

    def _place(self, frame: Any) -> Iterator[tuple[Any, float]]:
        at, length = _time(frame), frame.samples / frame.sample_rate
        if self._held and at is not None and abs(at - self._expected) > JITTER_S:
            self._expected -= self._gap  # the stamps of what is held were damaged, or this one is
            yield from self._release(0.0)
        gap = 0.0 if at is None else at - self._expected
        if self._held:
            self._held.append(frame)
            self._expected += length
            if len(self._held) == FRAMES_OF_PROOF:
                # A clock that went back, or far ahead, was set anew.
                yield from self._release(self._gap if 0 < self._gap <= LONGEST_GAP_S else 0.0)
        elif abs(gap) > JITTER_S:
            self._held, self._gap = [frame], gap
            self._expected += gap + length
        else:
            self._expected += length
            yield frame, 0.0

    def _release(self, gap: float) -> Iterator[tuple[Any, float]]:
        held, self._held = self._held, []
        for n, frame in enumerate(held):
            yield frame, gap if n == 0 else 0.0


def _time(frame: Any) -> float | None:
    return None if frame.pts is None else float(frame.pts * frame.time_base)
