"""From a request to a job in the queue."""

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from litestar import Request
from multipart import parse_options_header

from actors.jobs.messages import Submit
from actors.kernel.mailbox import NoAnswer
from actors.media.messages import MakeRoom
from actors.system import System
from app.auth.permissions import Caller
from app.http.bodies import read_fields
from app.http.refusals import TooLarge, TooSlow, Unprocessable
from app.http.uploads import Upload, receive
from app.services.order_form import Context, Field, OrderForm
from app.services.settings import SubmissionSettings
from storage.errors import Busy, Invalid, NoSpace, NotFound, OverQuota, Refusal
from storage.records import Channel, Job, Order, Permission

NO_ROOM = "the disk has too little free space for this upload"


LONGEST_KEY = 255


def stored_key(key: str | None, owner: int | None, channel: Channel) -> str | None:
    """An Idempotency-Key as the jobs store it: each account has its own keys in each API.

    Raises:
        Invalid: it is empty or longer than LONGEST_KEY characters.
    """
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY:
        raise Invalid(f"Idempotency-Key must have 1 to {LONGEST_KEY} characters")
    owned = f"{owner}:{key}" if owner is not None else key
    # A header has no line breaks, so that no native client can send another channel's key.
    return owned if channel is Channel.NATIVE else f"{channel.value}\n{owned}"


@dataclass
class Submission:
    """A job on its way into the queue: its form, and where its recording is stored."""

    form: OrderForm
    job_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class SubmitService:
    def __init__(self, system: System, settings: SubmissionSettings) -> None:
        self._system, self.settings = system, settings
        self._context = Context(system.configuration.catalogue, system.fetch_policy)

    async def begin(
        self,
        fields: Mapping[str, Field],
        labels: Mapping[str, str] | None = None,
        *,
        owner: int | None = None,
        repeats: bool = True,
        unchecked: bool = False,
    ) -> Submission:
        """Call this before the body is read: it refuses what the queue could not take. ``owner``:
        the account whose share counts; ``repeats``: see `OrderForm`; ``unchecked``: `check_share`
        is called later.

        Raises:
            OverQuota: the account has had its share.
            Busy: the server is shutting down, or the queue is too long.
        """
        if not unchecked and owner is not None:
            await self._check_minutes(owner)
        if self._system.draining:
            raise Busy("the server is shutting down")
        if not unchecked:
            await self._check_queue()
        return Submission(OrderForm(fields, self._context, labels=labels, repeats=repeats))

    async def receive(
        self,
        request: Request[Any, Any, Any],
        submission: Submission,
        file_field: str,
        *,
        check_file: Callable[[], None],
        check_field: Callable[[], None],
        head: bytes = b"",
    ) -> Upload:
        """Store the request's file, and give the form its fields. ``check_file`` is called before
        the file and ``check_field`` after each field: if they raise, nothing is stored. ``head``:
        see `app.http.uploads.receive`.

        Raises:
            Invalid, TooLarge, TooSlow, NoSpace: as `app.http.uploads.receive`.
        """

        def take(name: str, value: str) -> None:
            submission.form.take(name, value)
            check_field()

        return await receive(
            request,
            self._system.spool,
            submission.job_id,
            file_field,
            take,
            before_file=check_file,
            make_room=self.make_room,
            most_bytes=self.settings.most_bytes,
            head=head,
        )

    async def submit_for(
        self,
        request: Request[Any, Any, Any],
        caller: Caller,
        fields: Mapping[str, Field],
        *,
        file_field: str,
        url_field: str,
        channel: Channel,
        required: Collection[str] = (),
        labels: Mapping[str, str] | None = None,
        shared: bool = False,
        key: str | None = None,
    ) -> Job:
        """Queue a job of an account, from JSON, a form or a multipart body that has a recording or
        names one by its URL. ``key`` is the request's Idempotency-Key: a second request with the
        same key returns the first one's job.

        Raises:
            Unprocessable: with the fields that are wrong.
            Invalid: the key is empty or too long.
            OverQuota: the account has had its share.
            Busy: see `begin`.
        """
        key = stored_key(key, caller.account.number, channel)
        if key and (earlier := await self._system.jobs.by_idempotency_key(key)):
            return earlier
        submission = await self.begin(fields, labels, owner=caller.account.number)
        form = submission.form
        names = {each: (labels or {}).get(each, each) for each in (url_field, file_field)}

        def check() -> None:
            """The file is the last thing that is read, unless something is wrong already."""
            if form.errors:
                raise Unprocessable(form.errors, form.typed)
            if "source_url" in form.values:
                raise both()

        def both() -> Unprocessable:
            sentence = f"send a {names[url_field]} or a {names[file_field]}, not both"
            return Unprocessable({url_field: [sentence], file_field: [sentence]}, form.typed)

        upload = await self._read(request, submission, file_field, check)
        if upload is not None and "source_url" in form.values:
            self.discard(submission)
            raise both()
        if upload is None and url_field not in form.errors and "source_url" not in form.values:
            for each in (url_field, file_field):
                form.errors[each].append(f"send a {names[url_field]} or a {names[file_field]}")
        for each in required:
            if each not in form.errors and not form.typed.get(each, "").strip():
                form.errors[each].append(f"{each} is required")
        form.check_together()
        if form.errors:
            self.discard(submission)
            raise Unprocessable(form.errors, form.typed)
        order = self.order_of(
            caller,
            form,
            channel=channel,
            filename=upload.filename if upload else None,
            media_type=upload.media_type if upload else None,
            idempotency_key=key,
            shared=shared,
        )
        return await self.queue(submission, order, upload.size if upload else None, limited=True)

    async def again(
        self,
        caller: Caller,
        job: Job,
        given: Mapping[str, str],
        fields: Mapping[str, Field],
        labels: Mapping[str, str],
    ) -> Job:
        """Queue the recording of an earlier job as a job of its own, ordered by another form.

        Raises:
            Unprocessable: with the fields that are wrong.
            NotFound: the recording is no longer kept.
            Refusal: as `begin` and `queue`.
        """
        submission = await self.begin(fields, labels, owner=caller.account.number)
        form = submission.form
        for name, value in given.items():
            form.take(name, value)
        form.check_together()
        if form.errors:
            raise Unprocessable(form.errors, form.typed)
        order = self.order_of(
            caller,
            form,
            channel=Channel.WEB,
            filename=job.order.filename,
            media_type=job.order.media_type,
        )
        spool = self._system.spool
        try:
            size = await anyio.to_thread.run_sync(spool.share_input, job.id, submission.job_id)
        except FileNotFoundError:
            raise NotFound("the recording is no longer kept") from None
        return await self.queue(submission, order, size, limited=True)

    def order_of(self, caller: Caller, form: OrderForm, **more: Any) -> Order:
        """What an account orders by its form, with what its permissions add; ``more``: fields of
        the order that the form does not have."""
        configuration = self._system.configuration
        values = {"speakers": True, **form.values}
        values["speakers"] &= configuration.diarization.diarization
        return Order(
            **values,
            assisted=configuration.language_model.present and caller.account.may(Permission.ASSIST),
            owner=caller.account.number,
            urgent=caller.account.admin,
            **more,
        )

    async def _read(
        self,
        request: Request[Any, Any, Any],
        submission: Submission,
        file_field: str,
        check: Callable[[], None],
    ) -> Upload | None:
        """Give the form what the body has; the file, stored, where it came with one."""
        kind, _ = parse_options_header(request.headers.get("content-type", ""))
        if kind != "multipart/form-data":
            for name, value in await read_fields(request, "form" in kind):
                submission.form.take(name, value)
            return None
        try:
            upload = await self.receive(
                request, submission, file_field, check_file=check, check_field=lambda: None
            )
        except (Invalid, TooLarge, TooSlow, NoSpace) as refusal:
            raise Unprocessable({file_field: [refusal.message]}) from refusal
        if upload.found and not upload.size:
            raise Unprocessable({file_field: [f"the {file_field} is empty"]})
        return upload if upload.found else None

    async def check_share(self, owner: int | None) -> None:
        """
        Raises:
            OverQuota: the account has had its share.
            Busy: the queue is too long.
        """
        if owner is not None:
            await self._check_minutes(owner)
        await self._check_queue()

    async def _check_queue(self) -> None:
        """
        Raises:
            Busy: the queue is longer, or its first job older, than the operator allows.
        """
        most, hours = self.settings.max_queued_jobs, self.settings.max_queue_hours
        if most and await self._system.jobs.queued_count() >= most:
            raise Busy(f"the queue is full: {most} jobs are waiting; try again later")
        if hours and await self._system.jobs.oldest_wait_secs() > hours * 3600:
            raise Busy(f"the queue is stuck: a job has waited for more than {hours:g} hours")

    async def _check_minutes(self, owner: int) -> None:
        """
        Raises:
            OverQuota: the account has had its minutes of audio for the day.
        """
        if not self.settings.quota_audio_minutes:
            return
        secs, _ = await self._system.usage.last_day(owner)
        if secs >= self.settings.quota_audio_minutes * 60:
            raise OverQuota(
                f"you have submitted {secs / 60:.0f} minutes of audio in the last 24 hours, and "
                f"may have {self.settings.quota_audio_minutes:.0f}"
            )

    async def queue(
        self, submission: Submission, order: Order, size_bytes: int | None, *, limited: bool
    ) -> Job:
        """Hand the job to the queue; a recording that becomes no job of its own is dropped.
        ``limited``: the account's share of open jobs counts.

        Raises:
            Refusal: the queue says no.
        """
        max_open_jobs = (self.settings.quota_jobs or None) if limited else None
        try:
            job = await self._system.queue.ask(
                Submit(submission.job_id, order, size_bytes, max_open_jobs)
            )
        except NoAnswer:
            raise  # the row may be there or not: the janitor will see
        except Refusal:
            self.discard(submission)
            raise
        if job.id != submission.job_id:  # an earlier one with the same idempotency key
            self.discard(submission)
        return job

    def discard(self, submission: Submission) -> None:
        self._system.spool.discard(submission.job_id)

    async def make_room(self, wanted: int) -> None:
        """See to it that so many bytes fit on the disk.

        Raises:
            NoSpace: they do not.
        """
        spool = self._system.spool
        if wanted > await anyio.to_thread.run_sync(spool.spare_bytes):
            await self._system.janitor.ask(MakeRoom(wanted))
            if wanted > spool.spare_bytes():
                raise NoSpace(NO_ROOM)
