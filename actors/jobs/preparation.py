"""Decides which recordings are fetched and decoded before it is their job's turn.

The queue asks what to begin next, stores that in the database, and begins it. This class only keeps
in memory which fetches and decodings are running.
"""

from collections.abc import Collection

import anyio

from actors.jobs.scheduler import Scheduler
from actors.kernel.mailbox import Address
from actors.media.messages import ChunkerMessage, Fetch, IngestMessage, Split, StopFetch, StopSplit
from storage.blobs import Spool
from storage.records import Job

DECODE_AHEAD, CHUNKS_AHEAD = 2, 16
"""How many jobs are decoded before their turn, so that the engine does not have to wait; and more,
until they have so many chunks together, so that short jobs can share a batch of the engine."""
DECODINGS_AT_ONCE = 2
"""So that one decoder that hangs does not hold up all other jobs."""
BYTES_PER_CHUNK = 100_000
"""About half a minute of compressed speech. Larger files are taken to have more chunks than they
do, so that fewer jobs are decoded ahead, and these need less disk."""
FETCHES_AT_ONCE = 3
FETCHES_PER_OWNER = 2
"""Less than FETCHES_AT_ONCE, so that one owner's slow sources do not block all fetches."""
STALLED_S = 600.0
"""Seconds without a heartbeat after which a fetch or a decoding is stopped and begun again."""


class Preparation:
    def __init__(
        self,
        scheduler: Scheduler,
        spool: Spool,
        *,
        ingest: Address[IngestMessage],
        chunker: Address[ChunkerMessage],
    ) -> None:
        self._scheduler, self._spool = scheduler, spool
        self._ingest, self._chunker = ingest, chunker
        self._fetching: set[str] = set()
        self._decoding: set[str] = set()
        self._ready: set[str] = set()
        """Jobs whose plan (their chunks) is committed and whose decoded audio is in the spool."""
        self._heartbeats: dict[str, float] = {}
        """When each fetch and decoding last reported, by the event loop's clock."""

    # What is to be begun next.

    def next_to_fetch(self) -> Job | None:
        if len(self._fetching) >= FETCHES_AT_ONCE:
            return None
        for job in self._scheduler.in_order():
            if (
                job.size_bytes is None
                and job.id not in self._fetching
                and self._fetches_of(job.order.owner) < FETCHES_PER_OWNER
            ):
                return job
        return None

    def next_to_decode(self, resting: Collection[str]) -> Job | None:
        """``resting``: ids of jobs that are not transcribed now; decoded ones take no place."""
        if len(self._decoding) >= DECODINGS_AT_ONCE:
            return None
        decoded_but_resting = self._ready & set(resting)
        fetched = (
            job
            for job in self._scheduler.in_order()
            if job.size_bytes is not None and job.id not in decoded_but_resting
        )
        chunks = 0
        for place, job in enumerate(fetched):
            if place >= DECODE_AHEAD and chunks >= CHUNKS_AHEAD:
                return None
            if job.id not in self._ready | self._decoding:
                return job
            chunks += _chunks_left(job)
        return None

    def fetch(self, job: Job) -> None:
        assert job.order.source_url
        self._fetching.add(job.id)
        self.heartbeat(job.id)
        self._ingest.tell(Fetch(job.id, job.order.source_url))

    def decode(self, job: Job) -> None:
        self._decoding.add(job.id)
        self.heartbeat(job.id)
        self._chunker.tell(Split(job.id, job.order.audio_track, job.order.vad))

    # What happened to it afterwards.

    def note_prepared(self, job: Job) -> None:
        """Note a job that an earlier process has already decoded and planned."""
        if job.chunks_total is not None and self._spool.pcm(job.id).exists():
            self._ready.add(job.id)

    def heartbeat(self, job_id: str) -> None:
        self._heartbeats[job_id] = anyio.current_time()

    def fetch_ended(self, job_id: str) -> None:
        self._fetching.discard(job_id)

    def decoding_ended(self, job_id: str) -> None:
        self._decoding.discard(job_id)

    def all_fetches_ended(self) -> None:
        self._fetching.clear()

    def all_decodings_ended(self) -> None:
        self._decoding.clear()

    def mark_ready(self, job_id: str) -> None:
        self._ready.add(job_id)

    def is_ready(self, job: Job) -> bool:
        return job.id in self._ready

    def has_decoded_audio(self, job: Job) -> bool:
        """Whether the decoded audio is still in the spool; if not, it will be decoded again."""
        if self._spool.pcm(job.id).exists():
            return True
        self._ready.discard(job.id)
        return False

    def stalled(self) -> list[str]:
        """Jobs whose fetch or decoding has not reported for STALLED_S seconds."""
        now = anyio.current_time()
        under_way = [*self._fetching, *self._decoding]
        return [each for each in under_way if now - self._heartbeats.get(each, now) > STALLED_S]

    def stop(self, job_id: str) -> None:
        if job_id in self._fetching:
            self._fetching.discard(job_id)
            self._ingest.tell(StopFetch(job_id))
        if job_id in self._decoding:
            self._decoding.discard(job_id)
            self._chunker.tell(StopSplit(job_id))

    def forget(self, job_id: str) -> None:
        self._heartbeats.pop(job_id, None)
        self._ready.discard(job_id)

    def _fetches_of(self, owner: int | None) -> int:
        jobs = (self._scheduler.get(job_id) for job_id in self._fetching)
        return sum(job is not None and job.order.owner == owner for job in jobs)


def _chunks_left(job: Job) -> int:
    """How many chunks of a job are to be transcribed, or as many as it may become."""
    if job.chunks_total is None:
        return 1 + (job.size_bytes or 0) // BYTES_PER_CHUNK
    return job.chunks_total - job.chunks_done
