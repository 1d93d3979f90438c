"""What the hub's routes share: how jobs are taken in, found and shown."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from litestar import Request

from actors.messages import Replay, Restart, Submit
from actors.system import System
from app.access import Caller
from app.hub.documents import HubJob
from app.hub.forms import OrderForm, read_order
from app.hub.wire import Config, job_document
from app.limits import Limiter
from app.uploads import queued
from storage.errors import Busy, Conflict, NotFound, OverQuota
from storage.records import Job, Phase, Turn, View

MOST_LISTED = 500
SHARE_TRIES, SHARE_WINDOW_S = 10, 300
"""Passwords that one address may try on one share."""


@dataclass(frozen=True)
class Hub:
    """The server, and what the operator allows. 0 is no limit."""

    system: System
    config: Config
    quota_jobs: int
    quota_minutes: float
    share_tries: Limiter = field(default_factory=lambda: Limiter(SHARE_TRIES, SHARE_WINDOW_S))

    async def submit(
        self, request: Request[Any, Any, Any], caller: Caller, *, by_token: bool
    ) -> Job:
        """
        Raises:
            Unprocessable: with the fields that are wrong.
            OverQuota: the account has had its share.
        """
        system = self.system
        if system.draining:
            raise Busy("The server is shutting down.")
        await self._check_minutes(caller)
        form = OrderForm(system.plan, by_token=by_token)
        most = self.config.upload_max_mb and self.config.upload_max_mb << 20
        job_id = str(uuid.uuid4())
        order, size = await read_order(request, system.spool, job_id, form, caller, most)
        return await queued(system, Submit(job_id, order, size, self.quota_jobs or None))

    async def _check_minutes(self, caller: Caller) -> None:
        if not self.quota_minutes:
            return
        heard, _ = await self.system.usage.of_a_day(caller.account.number)
        if heard >= self.quota_minutes * 60:
            raise OverQuota(f"{heard / 60:.0f} minutes of audio in a day are all that you may have")

    async def try_restart(self, job: Job) -> bool:
        """Whether it could be: its file may be gone."""
        try:
            await self.system.queue.ask(Restart(job.id))
        except (Conflict, NotFound):
            return False
        return True

    async def replay(self, job: Job) -> None:
        """
        Raises:
            Conflict: the job has no callback that could be sent again.
        """
        callback = (await self.system.jobs.callbacks([job])).get(job.number)
        if callback is None or not await self.system.webhooks.ask(Replay(callback.delivery_id)):
            raise Conflict("There is no callback that could be sent again.")

    async def find(self, number: int, view: View) -> Job:
        """
        Raises:
            NotFound: there is no such job in that view.
        """
        job = await self.system.jobs.numbered(number, view)
        if job is None:
            raise NotFound(f"job {number} not found")
        return job

    def kept(self, job: Job) -> bool:
        """Whether what was submitted is still there, or can be fetched again. The disk is asked
        only about jobs that have ended without a transcript: no others are heard again."""
        return (
            job.phase is not Phase.BROKEN
            or job.order.source_url is not None
            or self.system.spool.input(job.id).exists()
        )

    async def turns(self, job: Job) -> tuple[Turn, ...]:
        """Who speaks when, as far as it is known."""
        speakers = (await self.system.speakers.of_jobs([job])).get(job.number)
        return speakers.turns if speakers else ()

    async def listed(self, view: View, limit: int) -> list[HubJob]:
        jobs = await self.system.jobs.page(None, None, limit, view)
        return await self._shown(jobs)

    async def shown(self, job: Job) -> HubJob:
        """One job without its transcript, as an answer to what was done with it."""
        return (await self._shown([job]))[0]

    async def in_full(self, job: Job) -> HubJob:
        jobs = self.system.jobs
        return job_document(
            job,
            self.config,
            time.time(),
            share=(await self.system.shares.of_jobs([job])).get(job.number),
            callback=(await jobs.callbacks([job])).get(job.number),
            segments=await jobs.transcript(job) if job.status.terminal else None,
            texts=(await self.system.texts.of_jobs([job]))[job.number],
            speakers=(await self.system.speakers.of_jobs([job])).get(job.number),
            log=await jobs.log(job),
            kept=self.kept(job),
        )

    async def _shown(self, jobs: Sequence[Job]) -> list[HubJob]:
        shares = await self.system.shares.of_jobs(jobs)
        callbacks = await self.system.jobs.callbacks(jobs)
        texts = await self.system.texts.of_jobs(jobs)
        speakers = await self.system.speakers.of_jobs(jobs)
        now = time.time()
        return [
            job_document(
                job,
                self.config,
                now,
                share=shares.get(job.number),
                callback=callbacks.get(job.number),
                texts=texts[job.number],
                speakers=speakers.get(job.number),
                kept=self.kept(job),
            )
            for job in jobs
        ]
