"""Delivers the outbox: at least once, with a stable id, and nobody waits for the slow."""

import base64
import hashlib
import hmac
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, assert_never

import anyio
from yarl import URL

from actors import metrics
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Address, Mailbox
from actors.messages import (
    BroadcasterMessage,
    JobChanged,
    ModelLoaded,
    ModelUnloaded,
    Register,
    Replay,
    TimerRang,
    Tried,
    Wake,
    WebhookMessage,
)
from storage.records import Delivery
from storage.times import utc

log = logging.getLogger(__name__)

PAUSES_S = (1, 2, 30, 300, 1800, *(h * 3600 for h in (2, 5, 10, 14, 20, 24)))
"""Before each further try: the native guide's quick ones, then minutes to a day."""
QUICK_TRIES = 3
SPREAD = 0.2
"""Later tries are spread by so much either way, lest a receiver that was down meets all at once."""
LONGEST_PAUSE_S = PAUSES_S[-1] * (1 + SPREAD)
AT_ONCE = 32
AT_ONCE_PER_HOST = 4
LOOK_AHEAD = 200
GONE = 410
"""The receiver says: never again."""

Render = Callable[[Delivery], Awaitable[bytes]]
Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]


class Outbox(Protocol):
    """The part of `storage.deliveries.Deliveries` that is needed here."""

    async def due(
        self, now: float, besides: Iterable[str], limit: int, each: int
    ) -> list[Delivery]: ...
    async def next_due(self, after: float) -> float | None: ...
    async def sooner(self, latest: float) -> None: ...
    async def announce(
        self, event: str, targets: Iterable[tuple[str, str]], happened_at: str, due: float
    ) -> None: ...
    async def replay(self, delivery_id: str, due: float) -> bool: ...
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
        broadcaster: Address[BroadcasterMessage],
        secret: bytes | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``listeners``, URL and format of those who hear of the model, outlive this actor;
        ``render`` makes a delivery's body; ``clock`` is seconds since the epoch."""
        super().__init__(mailbox)
        self._outbox, self._render, self._post = outbox, render, post
        self._secret, self._clock = secret, clock
        self._broadcaster = broadcaster
        self._flying: dict[str, str] = {}
        """Deliveries under way, and their hosts."""
        self._listeners = listeners
        self._timer = 0
        self._sleeping = anyio.CancelScope()

    async def started(self) -> None:
        await self._dispatch()

    async def handle(self, message: WebhookMessage) -> object:
        match message:
            case Wake():
                return await self._dispatch()
            case Replay(delivery_id):
                return await self._replay(delivery_id)
            case Register(url, format_):
                self._listeners[url, format_] = None
                return None
            case ModelLoaded(loaded_at):
                return await self._announce("model_ready", loaded_at)
            case ModelUnloaded():
                return await self._announce("model_unloaded", utc(self._clock()))
            case Tried():
                return await self._tried(message)
            case TimerRang():
                return await self._dispatch() if message.generation == self._timer else None
            case _:
                assert_never(message)

    async def _announce(self, event: str, happened_at: str) -> None:
        if self._listeners:
            await self._outbox.announce(event, self._listeners, happened_at, self._clock())
            await self._dispatch()

    async def _replay(self, delivery_id: str) -> bool:
        again = await self._outbox.replay(delivery_id, self._clock())
        await self._dispatch()
        return again

    async def _tried(self, message: Tried) -> None:
        delivery, status, error = message.delivery, message.http_status, message.error
        now = self._clock()
        delivered = status is not None and 200 <= status < 300
        due = None if delivered or status == GONE else self._next_try(delivery.attempts, now)
        outcome = "delivered" if delivered else "failed" if due is None else "retried"
        metrics.DELIVERIES.labels(outcome).inc()
        log.info(
            "webhook %s: %s",
            outcome,
            error or status,
            extra={"delivery": delivery.id, "job": delivery.job_id},
        )
        await self._outbox.record(
            delivery.id,
            http_status=status,
            error=error,
            due=due,
            delivered_at=utc(now) if delivered else None,
        )
        self._flying.pop(delivery.id, None)
        if delivery.job_id is not None:
            self._broadcaster.tell(JobChanged(delivery.job_id))
        await self._dispatch()

    # The steps that several of the above share.

    async def _dispatch(self) -> None:
        """Send what is due and may fly now, and wake up for what is due next."""
        now = self._clock()
        hosts = Counter(self._flying.values())
        for delivery in await self._outbox.due(now, self._flying, LOOK_AHEAD, AT_ONCE_PER_HOST):
            host = str(URL(delivery.url).origin())
            if len(self._flying) < AT_ONCE and hosts[host] < AT_ONCE_PER_HOST:
                hosts[host] += 1
                self._flying[delivery.id] = host
                self.beside(self._try, delivery)
        self._sleeping.cancel()
        self._timer += 1
        if (due := await self._outbox.next_due(now)) is not None:
            if due > now + LONGEST_PAUSE_S:
                due = now + LONGEST_PAUSE_S
                await self._outbox.sooner(due)
            self._sleeping = self.later(max(0.0, due - now), TimerRang("due", self._timer))

    @staticmethod
    def _next_try(tried_before: int, now: float) -> float | None:
        if tried_before >= len(PAUSES_S):
            return None
        pause = float(PAUSES_S[tried_before])
        if tried_before + 1 >= QUICK_TRIES:
            pause *= random.uniform(1 - SPREAD, 1 + SPREAD)
        return now + pause

    # Beside the mailbox: one try.

    async def _try(self, delivery: Delivery) -> None:
        status, error = None, None
        try:
            body = await self._render(delivery)
            status = await self._post(delivery.url, body, self._headers(delivery, body))
        except TimeoutError:
            error = "no answer in time"
        except (OSError, ValueError) as refused:
            error = str(refused) or type(refused).__name__
        self.me.tell(Tried(delivery, status, error))

    def _headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        """As the Standard Webhooks specification has them."""
        timestamp = str(int(self._clock()))
        headers = {
            "content-type": "application/json",
            "user-agent": "whisperbox",
            "webhook-id": delivery.id,
            "webhook-timestamp": timestamp,
        }
        if self._secret is not None:
            signed = f"{delivery.id}.{timestamp}.".encode() + body
            digest = hmac.digest(self._secret, signed, hashlib.sha256)
            headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
        return headers
