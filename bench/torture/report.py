"""What a part of the torture counted and found."""

from collections import Counter


class Report:
    """Counts of what was done, and the promises that did not hold."""

    def __init__(self, part: str, seed: int | None = None) -> None:
        self._part, self._seed = part, seed
        self._counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def fail(self, problem: str) -> None:
        self.failures.append(problem)
        self.progress(f"FAILURE: {problem}")

    def count(self, **counts: int) -> None:
        self._counts.update(counts)

    def progress(self, line: str) -> None:
        print(f"{self._part:8} {line}", flush=True)

    def __str__(self) -> str:
        seed = f" (seed {self._seed})" if self._seed is not None else ""
        counts = ", ".join(f"{count} {what}" for what, count in sorted(self._counts.items()))
        return f"{self._part:8} {len(self.failures)} failures{seed}; {counts}"
