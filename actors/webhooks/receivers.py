"""Which receivers may be sent to now, so that those that fail hold up nobody else."""

from collections import Counter
from collections.abc import Iterator

AT_ONCE = 128
AT_ONCE_PER_ORIGIN = 4
FAILING_AT_ONCE = 32
"""Of AT_ONCE, what all receivers that failed the last time may take together."""
DEAD_AFTER_S = 86_400.0
DEAD_PAUSE_S = 3600.0
"""A receiver that has failed for DEAD_AFTER_S rests for so many seconds after each failed try."""
FORGOTTEN_AFTER_S = 2 * DEAD_AFTER_S
"""A failure counts as the first one if the one before is older than this: tries of one delivery are
never that far apart."""


class Receivers:
    """Receivers by their origin: scheme, host and port. Times in seconds of one clock."""

    def __init__(self) -> None:
        self.in_flight: dict[str, str] = {}
        """Origins by the ids of the deliveries that are being tried."""
        self._failing_since: dict[str, float] = {}
        self._failed_at: dict[str, float] = {}
        self._rests_until: dict[str, float] = {}

    def may_begin(self, origin: str) -> bool:
        return len(self.in_flight) < AT_ONCE and origin not in set(self._held_up())

    def held_up(self, now: float) -> set[str]:
        """Origins that nothing is to be sent to now."""
        resting = {origin for origin, until in self._rests_until.items() if until > now}
        return resting | set(self._held_up())

    def begun(self, delivery_id: str, origin: str) -> None:
        self.in_flight[delivery_id] = origin

    def ended(self, delivery_id: str, *, well: bool, now: float) -> None:
        origin = self.in_flight.pop(delivery_id, None)
        if origin is None:
            return
        if well:
            self._failing_since.pop(origin, None)
            self._failed_at.pop(origin, None)
            self._rests_until.pop(origin, None)
        else:
            if now - self._failed_at.get(origin, now) > FORGOTTEN_AFTER_S:
                self._failing_since[origin] = now
            self._failed_at[origin] = now
            if now - self._failing_since.setdefault(origin, now) >= DEAD_AFTER_S:
                self._rests_until[origin] = now + DEAD_PAUSE_S

    def end_rests(self) -> None:
        self._rests_until.clear()

    def cap_rests(self, now: float) -> None:
        """No receiver rests for longer than DEAD_PAUSE_S, even if the clock was put back."""
        for origin, until in self._rests_until.items():
            self._rests_until[origin] = min(until, now + DEAD_PAUSE_S)

    def next_change(self, now: float) -> float | None:
        """When a receiver that rests may be tried again."""
        return min((until for until in self._rests_until.values() if until > now), default=None)

    def _held_up(self) -> Iterator[str]:
        """Those with all that one may have, and all that fail where they have all they may have."""
        counts = Counter(self.in_flight.values())
        yield from (origin for origin, n in counts.items() if n >= AT_ONCE_PER_ORIGIN)
        failing = sum(n for origin, n in counts.items() if origin in self._failing_since)
        if failing >= FAILING_AT_ONCE:
            yield from self._failing_since
