"""Deliveries in virtual time, with the outbox in memory and the network in hand."""

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
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
    CHECK_CLOCK_EVERY_S,
    KEPT_S,
    LONGEST_PAUSES_S,
    MOST_LISTENERS,
    PAUSES_S,
    Webhooks,
)
from actors.webhooks.messages import WebhookMessage
from actors.webhooks.receivers import AT_ONCE_PER_ORIGIN
from storage.errors import NoSpace
from storage.records import Delivery, Order
from tests.probe import Probe

pytestmark = pytest.mark.anyio

SECRET = b"secret"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def origin(url: str) -> str:
    return "/".join(url.split("/")[:3])


def delivery(number: int = 1, url: str = "http://receiver/hook") -> Delivery:
    return Delivery(
        id=f"msg_{number}", event="job_ended", url=url, origin=origin(url), format="native",
        job_id="job",
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
    full_until: float = 0

    def add(self, *deliveries: Delivery) -> None:
        for each in deliveries:
            self.rows[each.id], self.when[each.id] = each, anyio.current_time()

    async def due(
        self, now: float, *, exclude: Iterable[str], exclude_origins: Iterable[str], limit: int,
        per_origin: int,
    ) -> list[Delivery]:  # fmt: skip
        ids, origins = set(exclude), set(exclude_origins)
        rows = (self.rows[i] for i, at in self.when.items() if at <= now and i not in ids)
        counts: Counter[str] = Counter()
        found = []
        for row in rows:
            counts[row.origin] += 1
            if row.origin not in origins and counts[row.origin] <= per_origin:
                found.append(row)
        return found[:limit]

    async def next_due(self, after: float) -> float | None:
        return min((at for at in self.when.values() if at > after), default=None)

    async def cap_due(self, now: float, pauses: Sequence[float]) -> int:
        before = dict(self.when)
        self.when = {
            name: min(at, now + pauses[self.rows[name].attempts]) for name, at in before.items()
        }
        return sum(self.when[name] != at for name, at in before.items())

    async def prune(self, before: str) -> None:
        self.pruned.append(before)

    async def announce(
        self, event: str, targets: Iterable[tuple[str, str]], happened_at: str, due: float
    ) -> None:
        for url, form in targets:
            name = f"{event} {url}"
            self.rows[name] = Delivery(
                id=name, event=event, url=url, origin=origin(url), format=form, job_id=None,
                happened_at=happened_at, attempts=0,
            )  # fmt: skip
            self.when[name] = due

    async def record(
        self, delivery_id: str, *, http_status: int | None, error: str | None, due: float | None,
        delivered_at: str | None,
    ) -> None:  # fmt: skip
        if anyio.current_time() < self.full_until:
            raise NoSpace("the disk is full")
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


async def test_what_was_sent_while_the_disk_is_full_is_not_sent_again() -> None:
    async with living(Network()) as house:
        house.outbox.full_until = anyio.current_time() + 600
        house.send(delivery())
        await anyio.sleep(500)
        assert house.outbox.outcomes == {}
        await anyio.sleep(500)
        assert house.outbox.outcomes == {"msg_1": (200, None)}
        assert len(house.network.asked) == 1


@pytest.mark.parametrize("attempts", [0, 1, 3])
async def test_a_clock_that_was_put_back_delays_no_try_beyond_its_own_pause(attempts: int) -> None:
    async with living(Network()) as house:
        house.outbox.add(msgspec.structs.replace(delivery(), attempts=attempts))
        house.outbox.when["msg_1"] = 86_400.0
        await anyio.sleep(CHECK_CLOCK_EVERY_S + LONGEST_PAUSES_S[attempts] + 1)
        assert len(house.network.asked) == 1


async def test_three_hundred_deliveries_to_a_dead_host_hold_up_no_healthy_one() -> None:
    """Each has a URL of its own, and each try takes the whole time-out."""
    network = Network({"dead": TimeoutError()}, {"dead": 15.0})
    async with living(network) as house:
        house.send(*(delivery(n, f"http://dead/{n}") for n in range(300)))
        await anyio.sleep(60)
        house.send(delivery(1000, "http://healthy/"))
        await anyio.sleep(1)
        assert "healthy" in {host for _, host in network.asked}


async def test_a_hundred_dead_hosts_hold_up_no_healthy_one() -> None:
    dead = [f"dead{n}" for n in range(100)]
    network = Network(dict.fromkeys(dead, TimeoutError()), dict.fromkeys(dead, 15.0))
    async with living(network) as house:
        house.send(*(delivery(n, f"http://dead{n % 100}/{n}") for n in range(1000)))
        await anyio.sleep(60)
        house.send(delivery(1000, "http://healthy/"))
        await anyio.sleep(1)
        assert "healthy" in {host for _, host in network.asked}


async def test_a_receiver_that_is_dead_for_long_is_tried_rarely_and_heard_when_it_is_back() -> None:
    network = Network({"dead": OSError("refused")})
    async with living(network) as house:
        day = 86_400.0
        for n in range(200):
            house.send(delivery(n, "http://dead/"))
            await anyio.sleep(day / 100)
        network.asked.clear()
        await anyio.sleep(day)
        assert len(network.asked) <= 24 * AT_ONCE_PER_ORIGIN
        network.answers.clear()
        await anyio.sleep(3700)
        assert len(network.asked) > 100


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
        assert house.network.under_way == AT_ONCE_PER_ORIGIN


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
