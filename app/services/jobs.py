"""Finding jobs, everything that belongs to one, and what can be done with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from actors.jobs.messages import Restart
from actors.system import System
from actors.webhooks.messages import Replay
from storage.errors import Conflict, NotFound
from storage.records import (
    Callback,
    Channel,
    Job,
    LeftOut,
    LogLine,
    Phase,
    Segment,
    Share,
    Speakers,
    Text,
    Turn,
    View,
)

CHANNEL_LABELS: dict[str, str] = {
    Channel.WEB: "Web queue",
    Channel.API: "API queue",
    Channel.NATIVE: "Native API",
    Channel.OPENAI: "OpenAI API",
    Channel.ASR: "ASR web service",
    Channel.WYOMING: "Wyoming",
    Channel.WATCH: "Watched folder",
}


@dataclass(frozen=True, kw_only=True)
class JobDetails:
    """A job and what belongs to it."""

    job: Job
    share: Share | None
    callback: Callback | None
    texts: Sequence[Text]
    speakers: Speakers | None
    recording_kept: bool
    """Whether what was submitted is still there, or can be fetched again."""
    segments: Sequence[Segment] | None = None
    """None where they were not asked for, or the job has not ended."""
    log: Sequence[LogLine] = ()
    left_out: Sequence[LeftOut] = ()
    """What the transcript does not have; only with the segments."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        return self.speakers.turns if self.speakers else ()


class JobService:
    def __init__(self, system: System) -> None:
        self._system = system

    async def find(self, number: int, view: View) -> Job:
        """
        Raises:
            NotFound: there is no such job in that view.
        """
        job = await self._system.jobs.by_number(number, view)
        if job is None:
            raise NotFound(f"job {number} not found")
        return job

    async def find_by_id(self, job_id: str, view: View) -> Job:
        """
        Raises:
            NotFound: there is no such job in that view.
        """
        job = await self._system.jobs.get(job_id, view)
        if job is None:
            raise NotFound(f"job {job_id} not found")
        return job

    async def details(self, jobs: Sequence[Job]) -> list[JobDetails]:
        """Without segments and logs: for lists."""
        system = self._system
        shares = await system.shares.of_jobs(jobs)
        callbacks = await system.jobs.callbacks(jobs)
        texts = await system.texts.of_jobs(jobs)
        speakers = await system.speakers.of_jobs(jobs)
        return [
            JobDetails(
                job=job,
                share=shares.get(job.number),
                callback=callbacks.get(job.number),
                texts=texts[job.number],
                speakers=speakers.get(job.number),
                recording_kept=self.recording_is_kept(job),
            )
            for job in jobs
        ]

    async def full_details(self, job: Job) -> JobDetails:
        """With the log, and with the segments of a job that has ended."""
        jobs = self._system.jobs
        (found,) = await self.details([job])
        return JobDetails(
            job=job,
            share=found.share,
            callback=found.callback,
            texts=found.texts,
            speakers=found.speakers,
            recording_kept=found.recording_kept,
            segments=await jobs.transcript(job) if job.status.terminal else None,
            log=await jobs.log(job),
            left_out=await jobs.left_out(job),
        )

    def recording_is_kept(self, job: Job) -> bool:
        """The disk is asked only about jobs that have ended without a transcript: no others are
        transcribed again."""
        return (
            job.phase is not Phase.FAILED_OR_CANCELLED
            or job.order.source_url is not None
            or self._system.spool.input(job.id).exists()
        )

    async def turns(self, job: Job) -> tuple[Turn, ...]:
        """Who speaks when, as far as it is known."""
        speakers = (await self._system.speakers.of_jobs([job])).get(job.number)
        return speakers.turns if speakers else ()

    async def try_restart(self, job: Job) -> bool:
        """Whether it could be: its recording may be gone."""
        try:
            await self._system.queue.ask(Restart(job.id))
        except (Conflict, NotFound):
            return False
        return True

    async def replay_callback(self, job: Job) -> None:
        """
        Raises:
            Conflict: the job has no callback that could be sent again.
        """
        callback = (await self._system.jobs.callbacks([job])).get(job.number)
        if callback is None or not await self._system.webhooks.ask(Replay(callback.delivery_id)):
            raise Conflict("There is no callback that could be sent again.")


def title(job: Job) -> str:
    """What a person would call it."""
    order = job.order
    return order.label or order.filename or order.source_url or f"Job {job.number}"
