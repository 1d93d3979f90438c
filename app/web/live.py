"""What changes on an open page, as it changes.

Each event ``html`` is JSON: ``html``, elements that replace those with their ids (a row that the
page does not have yet comes first in its list); ``more``, elements to add to the list of that id;
``gone``, ids of jobs that are deleted. A page that was away, or is told ``over`` since too much is
another, asks for itself anew. An event ``there`` has the ids of all jobs from the number ``since``
to ``until``: what the page has beside them was deleted before the page listened. An event
``edited`` has what `app.web.edits.news` tells.
"""

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
from litestar import Request, Response, get

from actors.events.messages import Subscribe
from actors.events.subscription import EVERYTHING, Subscription
from actors.jobs.messages import JobDeleted, JobFact
from actors.models.messages import ModelChanged
from app.auth.access import Access
from app.auth.connection import caller_of
from app.http import event_stream
from app.http.event_stream import KEEPALIVE, KEEPALIVE_S
from app.http.parameters import Number
from app.services.services import Services
from app.web.edits import news
from app.web.job import about
from app.web.lines import PAGE_LINES, shown_lines
from app.web.queue import FILTERS, PAGE, model_html, number_in, rows
from app.web.render import html
from storage.records import Job, Permission, Status
from storage.times import utc

GATHER_S = 0.25
"""News that come so close together are shown together."""
RECENT_S = 60.0
"""A page is not older than that when it begins to listen; older ones ask for themselves anew."""
PLACES = 20
"""Waiting jobs whose place in the queue is kept up to date."""


@get("/events", include_in_schema=False)
async def queue_events(
    request: Request[Any, Any, Any], services: Services, access: Access
) -> Response[Any]:
    follower = QueueFollower(request, services, access)
    subscription = await services.system.broadcaster.ask(Subscribe(EVERYTHING))
    return event_stream.stream(follower.follow(subscription), subscription)


@get("/jobs/{number:int}/events", include_in_schema=False)
async def job_events(
    request: Request[Any, Any, Any], services: Services, access: Access, number: Number
) -> Response[Any]:
    job = await services.jobs.find(number, caller_of(request).jobs)
    subscription = await services.system.broadcaster.ask(Subscribe(EVERYTHING))
    return event_stream.stream(
        JobFollower(request, services, access, job).follow(subscription), subscription
    )


class Follower:
    """One open page. It shows nothing any more once its session is over."""

    def __init__(self, request: Request[Any, Any, Any], services: Services, access: Access) -> None:
        self.services, self.caller = services, caller_of(request)
        self._request, self._access = request, access
        self.deleted: list[JobDeleted] = []
        """The jobs of the news at hand that are no longer there, of whomever."""

    async def follow(self, subscription: Subscription) -> AsyncIterator[bytes]:
        yield await self.model()
        for frame in await self.begin():
            yield frame
        while (news := await subscription.wait(KEEPALIVE_S)) is not None:
            if news:
                await anyio.sleep(GATHER_S)
                news += await subscription.wait(0) or []
            caller = await self._access.by_cookie(self._request)
            if caller is None or not caller.account.may(Permission.USE):
                return
            self.caller = caller
            for frame in await self.told(news, subscription):
                yield frame

    async def told(self, news: Sequence[object], subscription: Subscription) -> list[bytes]:
        frames = []
        if any(isinstance(each, ModelChanged) for each in news):
            frames.append(await self.model())
        ids = {each.job_id for each in news if isinstance(each, JobFact)}
        self.deleted = [each for each in news if isinstance(each, JobDeleted)]
        if subscription.lagged:
            subscription.lagged = False
            frames.append(event_stream.event("over", {}))
        elif ids:
            frames += await self.changed(ids)
        return frames or [KEEPALIVE]

    async def begin(self) -> list[bytes]:
        """Everything that may have changed since the page was made."""
        raise NotImplementedError

    async def changed(self, ids: set[str]) -> list[bytes]:
        raise NotImplementedError

    async def model(self) -> bytes:
        return frame(html=await model_html(self.services))


class QueueFollower(Follower):
    def __init__(self, request: Request[Any, Any, Any], services: Services, access: Access) -> None:
        super().__init__(request, services, access)
        self._show = FILTERS.get(request.query_params.get("show", ""))

    async def begin(self) -> list[bytes]:
        newest = await self.services.system.jobs.page(None, None, PAGE, self.caller.jobs)
        since = utc(time.time() - RECENT_S)
        fresh = [job for job in newest if (job.completed_at or since) >= since]
        there = event_stream.event(
            "there",
            {
                "ids": [job.id for job in newest],
                "since": newest[-1].number if len(newest) == PAGE else 0,
                "until": newest[0].number if newest else 0,
            },
        )
        return [await self._rows(fresh), there] if fresh else [there]

    async def changed(self, ids: set[str]) -> list[bytes]:
        jobs, view = self.services.system.jobs, self.caller.jobs
        known = await jobs.by_ids(sorted(ids))
        gone = [each.job_id for each in self.deleted if view.shows(each.owner, each.channel)]
        seen = {job.number: job for job in (await jobs.by_ids(sorted(ids), view)).values()}
        if self.deleted or any(job.status is not Status.QUEUED for job in known.values()):
            # Others' jobs, too, may have let one of ours come a place forward.
            seen |= {job.number: job for job in await jobs.waiting_in(view, PLACES)}
        return [await self._rows(list(seen.values()), gone)] if seen or gone else []

    async def _rows(self, jobs: Sequence[Job], gone: Sequence[str] = ()) -> bytes:
        """A list that shows one status alone loses what has another now."""
        here = [job for job in jobs if self._show in (None, job.status)]
        lost = [job.id for job in jobs if self._show not in (None, job.status)]
        shown = await rows(self.services, self.caller, sorted(here, key=lambda job: job.number))
        text = "".join(html("_row.html", row=each) for each in shown)
        return frame(html=text, gone=[*gone, *lost])


class JobFollower(Follower):
    """The row, the lines as they are committed, and at the end word that the page is another."""

    def __init__(
        self, request: Request[Any, Any, Any], services: Services, access: Access, job: Job
    ) -> None:
        super().__init__(request, services, access)
        self._id = job.id
        seen = request.query_params.get("status", "")  # when the page was made
        self._status = Status(seen) if seen in tuple(Status) else job.status
        self._named = bool(number_in(request, "named"))
        self._lines = number_in(request, "lines") or 0
        self._edit = number_in(request, "edit") or 0  # the last one that the page has

    async def begin(self) -> list[bytes]:
        return await self.changed({self._id})

    async def changed(self, ids: set[str]) -> list[bytes]:
        if self._id not in ids:
            return []
        job = await self.services.system.jobs.get(self._id, self.caller.jobs)
        before, self._status = self._status, job.status if job else Status.CANCELLED
        if job is None or job.status is not before:
            self._lines = 0
            return [event_stream.event("over", {})]
        values = await about(self._request, self.services, job)
        if job.status is Status.DONE:
            return await self._additions(job, values)
        self._lines = max(self._lines, job.segments - PAGE_LINES)
        fresh = await shown_lines(self.services, job, self._lines)
        self._lines += len(fresh)
        shown = "".join(html("_line.html", job=job, line=line) for line in fresh)
        return [frame(html=html("_row.html", **values), more=("lines", shown))]

    async def _additions(self, job: Job, values: dict[str, Any]) -> list[bytes]:
        """What is found out after the end."""
        panels = ("people", "texts", "callback")
        frames = [frame(html="".join(html(f"_{name}.html", **values) for name in panels))]
        names = values["people"].names if values["people"] else ()
        if names and not self._named:
            frames.append(event_stream.event("over", {}))  # every line has one of them
        self._named = bool(names)
        told = await news(self.services, job, self._edit)
        if told["last"] != self._edit:
            self._edit = told["last"]
            frames.append(event_stream.event("edited", told))
        return frames


def frame(
    *, html: str = "", more: tuple[str, str] | None = None, gone: Sequence[str] = ()
) -> bytes:
    return event_stream.event("html", {"html": html, "more": more, "gone": list(gone)})


handlers = [queue_events, job_events]
