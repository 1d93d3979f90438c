"""Decides which job's chunk comes next.

Urgent jobs come first. Then the owners take turns, and each owner's jobs run in the order of their
arrival. If a job needs a model that is not loaded, a few chunks of other jobs may be transcribed
before it. Otherwise, with two owners who use two models, the model would be swapped for every
chunk.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice

from storage.records import Channel, Job

LOOK_AHEAD = 32
"""How many jobs of each owner are considered; the owner's other jobs come after these anyway."""
MAX_OVERTAKES = 20
"""How many chunks in a row may be transcribed before the job whose turn it is. Each is about half a
minute of speech, so that together they take much longer than loading a model."""

FOLDER = 0
"""No account has this number."""

_Lane = tuple[bool, int | None]
"""Whether its jobs are not urgent, and their owner. Jobs in the same lane run in the order of their
arrival, unless one of them cannot run yet."""


class Scheduler:
    """The jobs that are queued or running, and their order."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lanes: defaultdict[_Lane, dict[str, None]] = defaultdict(dict)
        self._started: dict[int | None, int] = {}
        self._clock = 0
        self._overtakes = 0

    def put(self, job: Job) -> None:
        """Add a job behind its owner's other jobs, or replace it and keep its place."""
        self._jobs[job.id] = job
        self._lanes[_lane(job)][job.id] = None

    def drop(self, job_id: str) -> None:
        if job := self._jobs.pop(job_id, None):
            lane = self._lanes[_lane(job)]
            del lane[job_id]
            if not lane:
                del self._lanes[_lane(job)]

    def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        return list(self._jobs.values())

    def in_order(self) -> Iterator[Job]:
        """The next jobs in order: the first job of each owner, then the second of each, and so on.

        The urgent jobs come before all others.
        """
        lanes = sorted(self._lanes, key=self._sort_key)
        urgent = [lane for lane in lanes if not lane[0]]
        for those in (urgent, lanes[len(urgent) :]):
            rows = [list(islice(self._lanes[lane], LOOK_AHEAD)) for lane in those]
            for place in range(LOOK_AHEAD):
                yield from (self._jobs[row[place]] for row in rows if place < len(row))

    def choose(
        self, can_run: Callable[[Job], bool], model_of: Callable[[Job], str], loaded: str | None
    ) -> Job | None:
        """The job whose next chunk is to be transcribed; None if no job ``can_run``.

        ``model_of`` returns the model that a job needs; ``loaded`` is the model that is loaded.
        """
        ready_jobs = [job for job in self.in_order() if can_run(job)]
        if not ready_jobs:
            return None
        next_in_turn = ready_jobs[0]
        if model_of(next_in_turn) == loaded or self._overtakes >= MAX_OVERTAKES:
            return next_in_turn
        return next((job for job in ready_jobs if model_of(job) == loaded), next_in_turn)

    def chunk_started(self, job: Job, *, out_of_turn: bool) -> None:
        """Note that a chunk of ``job`` was given to the engine.

        ``out_of_turn``: it was another job's turn, whose model is not loaded.
        """
        self._clock += 1
        self._started[_whose(job)] = self._clock
        self._overtakes = self._overtakes + 1 if out_of_turn else 0

    def _sort_key(self, lane: _Lane) -> tuple[bool, int, int]:
        first = self._jobs[next(iter(self._lanes[lane]))]
        return lane[0], self._started.get(lane[1], 0), first.number


def _lane(job: Job) -> _Lane:
    return not job.order.urgent, _whose(job)


def _whose(job: Job) -> int | None:
    """Whose turn it is; the watched folder is somebody of its own."""
    return FOLDER if job.order.channel == Channel.WATCH else job.order.owner
