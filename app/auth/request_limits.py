"""How often somebody may ask: fixed windows, counted in memory."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

MOST_KEYS = 10_000
"""Beyond that, windows that are over are forgotten, and the oldest of the others."""


@dataclass(frozen=True)
class Allowance:
    limit: int
    remaining: int
    """After this one; negative: this one is too many."""
    resets_in: float
    """Seconds."""

    @property
    def exceeded(self) -> bool:
        return self.remaining < 0

    @property
    def retry_after(self) -> int:
        """Whole seconds."""
        return max(1, math.ceil(self.resets_in))


class Limiter:
    """At most ``limit`` each ``per_secs`` seconds for each key; 0 is no limit."""

    def __init__(
        self, limit: int, per_secs: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._per_secs, self._clock = limit, per_secs, clock
        self._windows: dict[object, tuple[float, int]] = {}

    def take(self, key: object) -> Allowance:
        now = self._clock()
        began, count = self._windows.get(key, (now, 0))
        if now - began >= self._per_secs:
            began, count = now, 0
        if key not in self._windows and len(self._windows) >= MOST_KEYS:
            self._make_room(now)
        self._windows[key] = (began, count + 1)
        remaining = self._limit - count - 1 if self._limit else 0
        return Allowance(self._limit, remaining, self._per_secs - (now - began))

    def forget(self, key: object) -> None:
        self._windows.pop(key, None)

    def _make_room(self, now: float) -> None:
        living = {k: w for k, w in self._windows.items() if now - w[0] < self._per_secs}
        oldest_first = sorted(living.items(), key=lambda item: item[1])
        self._windows = dict(oldest_first[-MOST_KEYS // 2 :])
