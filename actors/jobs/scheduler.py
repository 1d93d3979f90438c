"""Whose turn it is: urgent jobs first, then owners in turn, and each owner's jobs as they came.

A job that wants another model than the loaded one may be passed by a few chunks of others, or two
owners with two models would have them swapped at every chunk.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice

from storage.records import Job

LOOK_AHEAD = 8
"""Jobs of each owner that are considered; the rest wait behind these anyway."""
MOST_PASSES = 20
"""Chunks, each about half a minute of speech: far longer to hear than a model takes to load."""

_Line = tuple[bool, int | None]
"""Not urgent, and the owner: jobs in the same line never pass each other unless one cannot go."""


class Scheduler:
    """The jobs that are not over."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lines: defaultdict[_Line, dict[str, None]] = defaultdict(dict)
        self._served: dict[int | None, int] = {}
        self._clock = 0
        self._passes = 0

    def put(self, job: Job) -> None:
        """Add a job behind those of its owner, or replace it at its place."""
        self._jobs[job.id] = job
        self._lines[_line(job)][job.id] = None

    def drop(self, job_id: str) -> None:
        if job := self._jobs.pop(job_id, None):
            line = self._lines[_line(job)]
            del line[job_id]
            if not line:
                del self._lines[_line(job)]

    def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        return list(self._jobs.values())

    def ahead(self) -> Iterator[Job]:
        """The next jobs, each owner's first before anybody's second."""
        lines = sorted(self._lines, key=self._order)
        urgent = [line for line in lines if not line[0]]
        for those in (urgent, lines[len(urgent) :]):
            rows = [list(islice(self._lines[line], LOOK_AHEAD)) for line in those]
            for place in range(LOOK_AHEAD):
                yield from (self._jobs[row[place]] for row in rows if place < len(row))

    def choose(
        self, able: Callable[[Job], bool], wants: Callable[[Job], str], loaded: str | None
    ) -> Job | None:
        """The job to go on with, of those that are ``able`` to."""
        able_jobs = [job for job in self.ahead() if able(job)]
        if not able_jobs:
            return None
        rightful = able_jobs[0]
        if wants(rightful) == loaded or self._passes >= MOST_PASSES:
            return rightful
        return next((job for job in able_jobs if wants(job) == loaded), rightful)

    def served(self, job: Job, *, passing: bool) -> None:
        """A chunk of ``job`` is on its way, before its turn if ``passing``."""
        self._clock += 1
        self._served[job.order.owner] = self._clock
        self._passes = self._passes + 1 if passing else 0

    def _order(self, line: _Line) -> tuple[bool, int, int]:
        first = self._jobs[next(iter(self._lines[line]))]
        return line[0], self._served.get(line[1], 0), first.number


def _line(job: Job) -> _Line:
    return not job.order.urgent, job.order.owner
