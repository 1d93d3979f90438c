"""Decides which job's chunk comes next.

Urgent jobs come first. Then the owners take turns, and each owner's jobs run in the order of their
arrival. If a job needs a model that is not loaded, a few chunks of other jobs may be transcribed
before it. Otherwise, with two owners who use two models, the model would be swapped for every
chunk.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice

from storage.records import Job

LOOK_AHEAD = 8
"""How many jobs of each owner are considered; the owner's other jobs come after these anyway."""
MOST_PASSES = 20
"""How many chunks in a row may be transcribed before the job whose turn it is. Each is about half a
minute of speech, so that together they take much longer than loading a model."""

_Line = tuple[bool, int | None]
"""Whether its jobs are not urgent, and their owner. Jobs in the same line run in the order of their
arrival, unless one of them cannot run yet."""


class Scheduler:
    """The jobs that are queued or running, and their order."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lines: defaultdict[_Line, dict[str, None]] = defaultdict(dict)
        self._served: dict[int | None, int] = {}
        self._clock = 0
        self._passes = 0

    def put(self, job: Job) -> None:
        """Add a job behind its owner's other jobs, or replace it and keep its place."""
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
        """The next jobs in order: the first job of each owner, then the second of each, and so on.

        The urgent jobs come before all others.
        """
        lines = sorted(self._lines, key=self._order)
        urgent = [line for line in lines if not line[0]]
        for those in (urgent, lines[len(urgent) :]):
            rows = [list(islice(self._lines[line], LOOK_AHEAD)) for line in those]
            for place in range(LOOK_AHEAD):
                yield from (self._jobs[row[place]] for row in rows if place < len(row))

    def choose(
        self, able: Callable[[Job], bool], wants: Callable[[Job], str], loaded: str | None
    ) -> Job | None:
        """The job whose next chunk is to be transcribed; None if no job is ``able`` to run.

        ``wants`` returns the model that a job needs; ``loaded`` is the model that is loaded.
        """
        able_jobs = [job for job in self.ahead() if able(job)]
        if not able_jobs:
            return None
        rightful = able_jobs[0]
        if wants(rightful) == loaded or self._passes >= MOST_PASSES:
            return rightful
        return next((job for job in able_jobs if wants(job) == loaded), rightful)

    def served(self, job: Job, *, passing: bool) -> None:
        """Note that a chunk of ``job`` was given to the engine.

        ``passing``: it was another job's turn, whose model is not loaded.
        """
        self._clock += 1
        self._served[job.order.owner] = self._clock
        self._passes = self._passes + 1 if passing else 0

    def _order(self, line: _Line) -> tuple[bool, int, int]:
        first = self._jobs[next(iter(self._lines[line]))]
        return line[0], self._served.get(line[1], 0), first.number


def _line(job: Job) -> _Line:
    return not job.order.urgent, job.order.owner
