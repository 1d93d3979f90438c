"""The actor that sends webhooks: it delivers the rows of the outbox.

Each delivery is made at least once, and it has the same id at each try. A slow receiver does not
delay the deliveries to others.
"""

import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol, assert_never

import anyio
import prometheus_client

from actors.jobs.messages import JobChanged, JobEnded, JobQueued, TextSettled
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from actors.kernel.publisher import Publish
from actors.models.messages import ModelLoaded, ModelUnloaded
from actors.webhooks.messages import (
    CheckClock,
    DeliveryDue,
    DeliveryTried,
    PruneDeliveries,
    Replay,
    WebhookMessage,
)
from actors.webhooks.receivers import AT_ONCE_PER_ORIGIN, Receivers
from actors.webhooks.signing import headers
from storage.errors import NoSpace
from storage.records import Delivery, Order
from storage.times import utc

log = logging.getLogger(__name__)

PAUSES_S = (1, 2, 30, 300, 1800, *(h * 3600 for h in (2, 5, 10, 14, 20, 24)))
"""Seconds before each further try: first the quick ones that the native guide promises, then from
30 s up to a day."""
QUICK_TRIES = 3
JITTER = 0.2
"""The pauses before later tries are made longer or shorter at random, by up to this share.
Otherwise a receiver that was down would get all its deliveries at the same moment."""
LONGEST_PAUSES_S = (0.0, *(pause * (1 + JITTER) for pause in PAUSES_S))
"""By the number of tries before."""
FULL_DISK_PAUSE_S = 10.0
CHECK_CLOCK_EVERY_S = 60.0
MAX_DUE_READ = 200
TRIES = prometheus_client.Counter(
    "whisperbox_webhook_tries", "Webhook tries by outcome", ["outcome"]
)
MOST_LISTENERS = 100
"""The most URLs that are told when the model is loaded or unloaded."""
KEPT_S = 30 * 86_400.0
PRUNE_EVERY_S = 3600.0
STATUS_GONE = 410
"""The HTTP status by which a receiver says that it wants no further tries."""

Render = Callable[[Delivery], Awaitable[bytes]]
Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]


class Outbox(Protocol):
    """The methods of `storage.deliveries.Deliveries` that are needed here."""

    async def due(
        self,
        now: float,
        *,
        exclude: Iterable[str],
        exclude_origins: Iterable[str],
        limit: int,
        per_origin: int,
    ) -> list[Delivery]: ...
    async def next_due(self, after: float) -> float | None: ...
    async def cap_due(self, now: float, pauses: Sequence[float]) -> int: ...
    async def announce(
        self, event: str, targets: Iterable[tuple[str, str]], happened_at: str, due: float
    ) -> None: ...
    async def replay(self, delivery_id: str, due: float) -> bool: ...
    async def prune(self, before: str) -> None: ...
    async def record(
        self,
        delivery_id: str,
        *,
        http_status: int | None,
        error: str | None,
        due: float | None,
        delivered_at: str | None,
    ) -> None: ...


class Webhooks(Actor[WebhookMessage]):
    def __init__(
        self,
        mailbox: Mailbox[WebhookMessage],
        *,
        outbox: Outbox,
        listeners: dict[tuple[str, str], None],
        render: Render,
        post: Post,
        publish: Publish,
        secret: bytes | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``listeners``: the URL and format of the webhooks that are told about the model; the dict
        is kept when this actor is rebuilt. ``render`` makes the body of a delivery. ``clock``
        returns seconds since the epoch."""
        super().__init__(mailbox)
        self._outbox, self._render, self._post = outbox, render, post
        self._secret, self._clock = secret, clock
        self._publish = publish
        self._receivers = Receivers()
        self._listeners = listeners
        self._timer = 0
        self._sleeping = anyio.CancelScope()

    async def started(self) -> None:
        self.me.tell(PruneDeliveries())
        self.me.tell(CheckClock())
        await self._dispatch()

    async def handle(self, message: WebhookMessage) -> object:
        match message:
            case JobEnded() | TextSettled():
                return await self._dispatch()
            case Replay(delivery_id):
                return await self._replay(delivery_id)
            case JobQueued(order=order):
                return self._register(order)
            case ModelLoaded(loaded_at):
                return await self._announce("model_ready", loaded_at)
            case ModelUnloaded():
                return await self._announce("model_unloaded", utc(self._clock()))
            case DeliveryTried():
                return await self._tried(message)
            case PruneDeliveries():
                return await self._prune()
            case CheckClock():
                return await self._check_clock()
            case DeliveryDue(generation):
                return await self._dispatch() if generation == self._timer else None
            case _:
                assert_never(message)

    def _register(self, order: Order) -> None:
        """Remember the job's webhook if it wants to be told about the model.

        Only the last MOST_LISTENERS of them are kept.
        """
        if order.model_events and order.webhook_url and order.webhook_format:
            listener = (order.webhook_url, order.webhook_format)
            self._listeners.pop(listener, None)
            self._listeners[listener] = None
            while len(self._listeners) > MOST_LISTENERS:
                del self._listeners[next(iter(self._listeners))]

    async def _prune(self) -> None:
        self.later(PRUNE_EVERY_S, PruneDeliveries())
        await self._outbox.prune(utc(self._clock() - KEPT_S))

    async def _announce(self, event: str, happened_at: str) -> None:
        if self._listeners:
            await self._outbox.announce(event, self._listeners, happened_at, self._clock())
            await self._dispatch()

    async def _replay(self, delivery_id: str) -> bool:
        again = await self._outbox.replay(delivery_id, self._clock())
        self._receivers.end_rests()  # whoever asks for it has probably mended the receiver
        await self._dispatch()
        return again

    async def _tried(self, message: DeliveryTried) -> None:
        delivery, status, error = message.delivery, message.http_status, message.error
        now = self._clock()
        delivered = status is not None and 200 <= status < 300
        due = None if delivered or status == STATUS_GONE else self._next_try(delivery.attempts, now)
        try:
            await self._outbox.record(
                delivery.id,
                http_status=status,
                error=error,
                due=due,
                delivered_at=utc(now) if delivered else None,
            )
        except NoSpace:  # it stays in flight until its outcome is stored, and is not sent again
            self.later(FULL_DISK_PAUSE_S, message)
            return
        outcome = "delivered" if delivered else "failed" if due is None else "retried"
        TRIES.labels(outcome).inc()
        log.info(
            "webhook %s: %s",
            outcome,
            error or status,
            extra={"delivery": delivery.id, "job": delivery.job_id},
        )
        self._receivers.ended(delivery.id, well=delivered, now=now)
        if delivery.job_id is not None:
            self._publish(JobChanged(delivery.job_id))
        await self._dispatch()

    # Steps that several of the handlers above use.

    async def _dispatch(self) -> None:
        """Send the deliveries that are due, within the limits, and set a timer for the next."""
        now, receivers = self._clock(), self._receivers
        for delivery in await self._outbox.due(
            now,
            exclude=receivers.in_flight,
            exclude_origins=receivers.held_up(now),
            limit=MAX_DUE_READ,
            per_origin=AT_ONCE_PER_ORIGIN,
        ):
            if receivers.may_begin(delivery.origin):
                receivers.begun(delivery.id, delivery.origin)
                self.spawn(self._try, delivery)
        self._sleeping.cancel()
        self._timer += 1
        moments = (await self._outbox.next_due(now), receivers.next_change(now))
        if (due := min((each for each in moments if each is not None), default=None)) is not None:
            self._sleeping = self.later(max(0.0, due - now), DeliveryDue(self._timer))

    async def _check_clock(self) -> None:
        """If the system's clock was put back, deliveries would be due much later than planned."""
        self.later(CHECK_CLOCK_EVERY_S, CheckClock())
        if await self._outbox.cap_due(self._clock(), LONGEST_PAUSES_S):
            log.warning("the system's clock was put back: deliveries are brought forward")
        self._receivers.cap_rests(self._clock())
        await self._dispatch()

    @staticmethod
    def _next_try(tried_before: int, now: float) -> float | None:
        if tried_before >= len(PAUSES_S):
            return None
        pause = float(PAUSES_S[tried_before])
        if tried_before + 1 >= QUICK_TRIES:
            pause *= random.uniform(1 - JITTER, 1 + JITTER)
        return now + pause

    # This part runs beside the mailbox, in a task of its own: one try.

    async def _try(self, delivery: Delivery) -> None:
        status, error = None, None
        try:
            body = await self._render(delivery)
            status = await self._post(
                delivery.url, body, headers(self._secret, delivery.id, body, self._clock())
            )
        except TimeoutError:
            error = "no answer in time"
        except (OSError, ValueError) as refused:
            error = str(refused) or type(refused).__name__
        self.me.tell(DeliveryTried(delivery, status, error))
