"""Deliveries in virtual time, with the outbox in memory and the network in hand."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import anyio
import msgspec
import pytest
import trio.testing

from actors.jobs.messages import JobEnded, JobQueued
from actors.kernel.mailbox import Mailbox
from actors.models.messages import ModelLoaded, ModelUnloaded
from actors.webhooks.dispatcher import (
    KEPT_S,
    LONGEST_PAUSE_S,
    MAX_IN_FLIGHT_PER_HOST,
    MOST_LISTENERS,
    PAUSES_S,
    Webhooks,
)
from actors.webhooks.messages import WebhookMessage
from storage.records import Delivery, Order
from tests.probe import Probe

pytestmark = pytest.mark.anyio

SECRET = b"secret"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def delivery(number: int = 1, url: str = "http://receiver/hook") -> Delivery:
    return Delivery(
        id=f"msg_{number}", event="job_ended", url=url, format="native", job_id="job",
        happened_at="", attempts=0,
    )  # fmt: skip


@dataclass
class Outbox:
    """What `storage.deliveries` does, in memory."""

    rows: dict[str, Delivery] = field(default_factory=dict)
    when: dict[str, float] = field(default_factory=dict)
    outcomes: dict[str, tuple[int | None, str | None]] = field(default_factory=dict)
    pruned: list[str] = field(default_factory=list)
    """The moments before which rows were forgotten."""

    def add(self, *deliveries: Delivery) -> None:
        for each in deliveries:
            self.rows[each.id], self.when[each.id] = each, anyio.current_time()

    async def due(
        self, now: float, besides: Iterable[str], limit: int, each: int
    ) -> list[Delivery]:
        skipped = set(besides)
        return [self.rows[i] for i, at in self.when.items() if at <= now and i not in skipped]

    async def next_due(self, after: float) -> float | None:
        return min((at for at in self.when.values() if at > after), default=None)

    async def cap_due(self, latest: float) -> None:
        self.when = {name: min(at, latest) for name, at in self.when.items()}

    async def prune(self, before: str) -> None:
        self.pruned.append(before)

    async def announce(
        self, event: str, targets: Iterable[tuple[str, str]], happened_at: str, due: float
    ) -> None:
        for url, form in targets:
            name = f"{event} {url}"
            self.rows[name] = Delivery(
                id=name, event=event, url=url, format=form, job_id=None, happened_at=happened_at,
                attempts=0,
            )  # fmt: skip
            self.when[name] = due

    async def record(
        self, delivery_id: str, *, http_status: int | None, error: str | None, due: float | None,
        delivered_at: str | None,
    ) -> None:  # fmt: skip
        row = self.rows[delivery_id]
        self.rows[delivery_id] = msgspec.structs.replace(row, attempts=row.attempts + 1)
        self.outcomes[delivery_id] = (http_status, error)
        del self.when[delivery_id]
        if due is not None:
            self.when[delivery_id] = due


@dataclass
class Network:
    """Answers by host, or raises; remembers who was asked when."""

    answers: dict[str, int | Exception] = field(default_factory=dict)
    takes_secs: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[float, str]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        host = url.split("/")[2]
        self.asked.append((round(anyio.current_time(), 2), host))
        self.headers.append(headers)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await anyio.sleep(self.takes_secs.get(host, 0.01))
        self.under_way -= 1
        answer = self.answers.get(host, 200)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class House:
    me: Mailbox[WebhookMessage]
    outbox: Outbox
    network: Network

    def send(self, *deliveries: Delivery) -> None:
        self.outbox.add(*deliveries)
        self.me.tell(JobEnded("job", Order()))

    def queued(self, url: str) -> None:
        """A job is accepted whose webhook hears of the model, too."""
        order = Order(webhook_url=url, webhook_format="native", model_events=True)
        self.me.tell(JobQueued("job", order))


@asynccontextmanager
async def living(network: Network) -> AsyncIterator[House]:
    house = House(Mailbox("webhooks"), Outbox(), network)

    async def render(delivery: Delivery) -> bytes:
        return b'{"id":"job"}'

    async with anyio.create_task_group() as group:
        group.start_soon(
            Webhooks(
                house.me, outbox=house.outbox, listeners={}, render=render, post=network.post,
                publish=Probe[Any]().tell, secret=SECRET, clock=anyio.current_time,
            ).run
        )  # fmt: skip
        yield house
        group.cancel_scope.cancel()


async def test_a_clock_that_was_put_back_holds_nothing_up() -> None:
    async with living(Network()) as house:
        house.outbox.add(delivery())
        house.outbox.when["msg_1"] = 400 * 86_400.0
        house.me.tell(JobEnded("job", Order()))
        await anyio.sleep(LONGEST_PAUSE_S + 1)
        assert len(house.network.asked) == 1


async def test_a_delivery_is_made_once_and_signed() -> None:
    async with living(Network()) as house:
        house.send(delivery())
        await anyio.sleep(1e6)
        (headers,) = house.network.headers
        assert house.outbox.when == {}
    signed = f"msg_1.{headers['webhook-timestamp']}.".encode() + b'{"id":"job"}'
    digest = base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
    assert headers["webhook-id"] == "msg_1"
    assert headers["webhook-signature"] == f"v1,{digest}"
    assert headers["content-type"] == "application/json"


async def test_the_first_tries_come_after_one_and_two_seconds_and_then_ever_more_slowly() -> None:
    async with living(Network({"receiver": 500})) as house:
        house.send(delivery())
        await anyio.sleep(1e6)
        times = [at for at, _ in house.network.asked]
        assert len(times) == 1 + len(PAUSES_S)
        pauses = [b - a for a, b in pairwise(times)]
        assert pauses[:2] == pytest.approx([1, 2], abs=0.1)
        assert pauses[2:] == pytest.approx(PAUSES_S[2:], rel=0.21)
        assert house.outbox.outcomes["msg_1"] == (500, None)
        assert {h["webhook-id"] for h in house.network.headers} == {"msg_1"}


@pytest.mark.parametrize("answer", [301, 404, 503, OSError("refused"), TimeoutError()])
async def test_everything_but_a_2xx_is_tried_again(answer: int | Exception) -> None:
    async with living(Network({"receiver": answer})) as house:
        house.send(delivery())
        await anyio.sleep(0.5)
        house.network.answers.clear()
        await anyio.sleep(10)
        assert len(house.network.asked) == 2
        assert house.outbox.when == {}


async def test_a_receiver_that_is_gone_is_left_alone() -> None:
    async with living(Network({"receiver": 410})) as house:
        house.send(delivery())
        await anyio.sleep(1e6)
        assert len(house.network.asked) == 1


async def test_a_slow_receiver_delays_no_other_on_the_same_box() -> None:
    async with living(Network(takes_secs={"box:1": 15})) as house:
        house.send(*(delivery(n, "http://box:1/") for n in range(200)))
        house.send(delivery(200, "http://box:2/"))
        await anyio.sleep(0.5)
        assert "box:2" in {host for _, host in house.network.asked}


async def test_a_slow_receiver_delays_nobody_else() -> None:
    async with living(Network(takes_secs={"slow": 15})) as house:
        house.send(*(delivery(n, "http://slow/") for n in range(200)))
        house.send(*(delivery(1000 + n, f"http://fast{n}/") for n in range(5)))
        await anyio.sleep(1)
        reached = {host for _, host in house.network.asked}
        assert {f"fast{n}" for n in range(5)} <= reached
        assert house.network.under_way == MAX_IN_FLIGHT_PER_HOST


async def test_the_models_comings_and_goings_reach_every_registered_url_once() -> None:
    async with living(Network()) as house:
        for url in ("http://a/", "http://b/", "http://a/"):
            house.queued(url)
        house.me.tell(ModelLoaded("2026-05-10T14:00:00.000Z"))
        house.me.tell(ModelUnloaded())
        await anyio.sleep(1)
        assert sorted(host for _, host in house.network.asked) == ["a", "a", "b", "b"]


async def test_of_many_urls_the_latest_hear_of_the_model() -> None:
    async with living(Network()) as house:
        for n in range(MOST_LISTENERS + 1):
            house.queued(f"http://host{n}/")
        house.queued("http://host1/")  # again: it is not the oldest any more
        house.queued("http://another/")
        house.me.tell(ModelUnloaded())
        await anyio.sleep(100)
        told = {host for _, host in house.network.asked}
        assert len(told) == MOST_LISTENERS
        assert {"host0", "host2"} & told == set()
        assert {"host1", "another"} <= told


async def test_deliveries_of_long_ago_are_forgotten_again_and_again() -> None:
    async with living(Network()) as house:
        await anyio.sleep(KEPT_S + 86_400.0)
        assert len(house.outbox.pruned) > 1
        assert house.outbox.pruned[-1] == max(house.outbox.pruned)
        assert house.outbox.pruned[-1].startswith("1970-01-0")


async def test_what_was_due_before_a_restart_is_delivered_after_it() -> None:
    network = Network()
    async with living(network) as house:
        house.outbox.add(delivery())  # nobody was woken
        house.me.tell(JobEnded("job", Order()))
        await anyio.sleep(1)
        assert len(network.asked) == 1
