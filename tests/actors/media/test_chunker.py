"""Recordings that become plans, and what is done about those that do not.

What needs a decoder runs one; the rest is in virtual time, with the decoder in hand.
"""

import errno
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing

from actors.kernel.mailbox import Mailbox
from actors.kernel.processes import MAX_TRIES, PAUSES_S, ChildFailed, Killed
from actors.media import chunker
from actors.media.chunker import FULL_DISK_PAUSE_S, HEARTBEAT_S, NO_ROOM, WANTED_FREE_BYTES, Chunker
from actors.media.decoding import BROKEN, Decoders, Sound
from actors.media.messages import (
    ChunkerMessage,
    Heartbeat,
    MakeRoom,
    Planned,
    Split,
    SplitFailed,
    SplitsLost,
    StopSplit,
)
from storage.blobs import RECORDING_GONE, Spool
from storage.errors import Invalid
from storage.records import RATE, SAMPLE_BYTES, Stage
from tests.audio import spoken
from tests.probe import Probe, dying

pytestmark = pytest.mark.anyio

SECOND = Sound(bytes(RATE * SAMPLE_BYTES), bytes(31))
"""Of silence."""
in_real_time = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@dataclass
class Decoder:
    """Gives a second of silence at each step, and then does what the test says."""

    seconds: int = 1
    step_secs: float = 0.0
    ends: Callable[[], Exception | None] = lambda: None
    """What it raises in the end, asked each time."""
    begun: list[str] = field(default_factory=list)
    under_way: int = 0

    async def decode(
        self, source: Path, track: int | None, notices: list[str]
    ) -> AsyncGenerator[Sound, None]:
        self.begun.append(source.name)
        self.under_way += 1
        try:
            for _ in range(self.seconds):
                await anyio.sleep(self.step_secs)
                yield SECOND
            if error := self.ends():
                raise error
        finally:
            self.under_way -= 1


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> Decoder:
    """In the place of the real one, without threads, whose time would not be virtual."""

    async def at_once(work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)

    decoder = Decoder()
    monkeypatch.setattr(Decoders, "decode", lambda _, *what: decoder.decode(*what))
    monkeypatch.setattr(anyio.to_thread, "run_sync", at_once)
    return decoder


@dataclass
class House:
    spool: Spool
    me: Mailbox[ChunkerMessage] = field(default_factory=lambda: Mailbox("chunker"))
    facts: Probe[Any] = field(default_factory=Probe)

    def names(self) -> list[str]:
        """What lies in the spool."""
        return sorted(path.name for path in self.spool.files())

    def submitted(self, name: str) -> None:
        self.spool.input(name).write_bytes(b"x")

    async def told(self, *messages: ChunkerMessage) -> list[Any]:
        """The facts that come of these messages, or of what has just happened."""
        for message in messages:
            self.me.tell(message)
        await anyio.wait_all_tasks_blocked()
        return self.facts.told()


@asynccontextmanager
async def living(house: House) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        group.start_soon(Chunker(house.me, spool=house.spool, publish=house.facts.tell).run)
        yield
        group.cancel_scope.cancel()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(Spool(tmp_path))
    async with living(house):
        assert await house.facts.next() == SplitsLost()
        yield house


# With a real decoder.


@in_real_time
async def test_a_recording_becomes_a_plan_and_its_audio_lies_in_the_spool(house: House) -> None:
    spoken(house.spool.input("a"), [3.0, 4.0])
    house.me.tell(Split("a"))
    planned = await house.facts.next()
    assert isinstance(planned, Planned)
    assert (planned.job_id, planned.duration_secs) == ("a", 9.0)
    assert house.spool.pcm("a").stat().st_size == 9 * RATE * SAMPLE_BYTES
    heard = sum(span.length for chunk in planned.chunks for span in chunk.spans) / RATE
    assert 7.0 <= heard < 9.0, "all that is said, and not all that is not"
    assert [chunk.ordinal for chunk in planned.chunks] == list(range(len(planned.chunks)))
    tenth = len(planned.waveform) // 10
    assert max(planned.waveform[:tenth]) > 2 * max(planned.waveform[-tenth:])
    assert house.names() == ["a.input", "a.pcm"]


@in_real_time
async def test_a_file_that_is_no_recording_fails_with_its_sentence(house: House) -> None:
    house.spool.input("a").write_text("Dear diary, " * 100)
    house.me.tell(Split("a"))
    problem = "the file is not audio or video in any format FFmpeg understands"
    assert await house.facts.next() == SplitFailed("a", problem)
    assert house.names() == ["a.input"]


@in_real_time
async def test_a_decoder_that_is_killed_each_time_fails_the_job(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.submitted("a")
    monkeypatch.setattr("actors.kernel.processes.PAUSES_S", (0.0, 0.0))
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr("sys.executable", dying(tmp_path / "bin" / "python", "half"))
    house.me.tell(Split("a"))
    assert await house.facts.next() == SplitFailed("a", BROKEN)
    assert house.names() == ["a.input"]


# In virtual time.


async def test_a_rebuilt_chunker_says_first_that_its_work_is_lost(
    house: House, decoder: Decoder
) -> None:
    house.submitted("a")
    house.me.tell(Split("a"))
    async with living(House(house.spool, Mailbox("rebuilt"), house.facts)):
        assert [type(fact) for fact in await house.told()] == [SplitsLost, Planned]


async def test_an_input_that_is_not_kept_any_more_fails_for_that(
    house: House, decoder: Decoder
) -> None:
    assert await house.told(Split("a")) == [SplitFailed("a", RECORDING_GONE)]
    assert decoder.begun == []


async def test_what_the_decoder_refuses_fails_with_its_sentence(
    house: House, decoder: Decoder
) -> None:
    house.submitted("a")
    decoder.ends = lambda: Invalid("the file has no audio track")
    assert await house.told(Split("a")) == [SplitFailed("a", "the file has no audio track")]
    assert house.names() == ["a.input"]


async def test_an_error_of_ours_is_told_without_its_details(house: House, decoder: Decoder) -> None:
    house.submitted("a")
    decoder.ends = lambda: RuntimeError("/secret/path")
    problem = "the audio could not be prepared: an error in the server, which its log shows"
    assert await house.told(Split("a")) == [SplitFailed("a", problem)]
    decoder.ends = lambda: None
    assert [type(fact) for fact in await house.told(Split("a"))] == [Planned]


async def test_a_split_that_is_told_twice_is_made_once(house: House, decoder: Decoder) -> None:
    house.submitted("a")
    decoder.step_secs = 1.0
    await house.told(Split("a"), Split("a"))
    await anyio.sleep(10)
    assert [type(fact) for fact in await house.told()] == [Planned]
    assert decoder.begun == ["a.input"]


async def test_a_long_recording_says_how_far_it_is(house: House, decoder: Decoder) -> None:
    house.submitted("a")
    decoder.seconds, decoder.step_secs = 180, 0.1
    await house.told(Split("a"))
    await anyio.sleep(4 * HEARTBEAT_S)
    *beats, planned = await house.told()
    assert [beat.detail for beat in beats] == [f"decoded {n} min" for n in (1, 2, 3)]
    assert {(beat.job_id, beat.stage) for beat in beats} == {("a", Stage.DECODING)}
    assert planned.duration_secs == 180.0


async def test_without_room_a_job_waits_and_goes_on_by_itself(
    house: House, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = [0]
    monkeypatch.setattr(house.spool, "spare_bytes", lambda: spare[0])
    monkeypatch.setattr(chunker, "CHECK_DISK_EVERY", 1)
    house.submitted("a")
    waits = [Heartbeat("a", Stage.DECODING, NO_ROOM), MakeRoom(WANTED_FREE_BYTES)]
    assert await house.told(Split("a")) == waits
    assert (house.names(), decoder.under_way) == (["a.input"], 0)
    await anyio.sleep(2.5 * FULL_DISK_PAUSE_S)
    assert await house.told() == 2 * waits, "for as long as it takes"
    spare[0] = 1 << 30
    await anyio.sleep(FULL_DISK_PAUSE_S)
    assert [type(fact) for fact in await house.told()] == [Planned]
    assert house.names() == ["a.input", "a.pcm"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_disk_that_is_full_before_we_see_it_is_waited_for_too(
    house: House, decoder: Decoder, number: int
) -> None:
    house.submitted("a")
    decoder.ends = lambda: OSError(number, "full")
    assert await house.told(Split("a")) == [
        Heartbeat("a", Stage.DECODING, NO_ROOM),
        MakeRoom(WANTED_FREE_BYTES),
    ]
    decoder.ends = lambda: None
    await anyio.sleep(FULL_DISK_PAUSE_S + 1)
    assert [type(fact) for fact in await house.told()] == [Planned]


async def test_what_else_is_short_is_waited_for_without_removing_anything(
    house: House, decoder: Decoder
) -> None:
    house.submitted("a")
    decoder.ends = lambda: OSError(errno.EMFILE, "Too many open files")
    problem = "the audio could not be stored: Too many open files"
    assert await house.told(Split("a")) == [Heartbeat("a", Stage.DECODING, problem)]
    decoder.ends = lambda: None
    await anyio.sleep(FULL_DISK_PAUSE_S + 1)
    assert [type(fact) for fact in await house.told()] == [Planned]


async def test_a_decoder_that_cannot_start_is_waited_for(house: House, decoder: Decoder) -> None:
    """An upgrade is under way, say."""
    house.submitted("a")
    decoder.ends = lambda: ChildFailed("ImportError: libavcodec.so")
    problem = "the audio decoder could not do its work"
    assert await house.told(Split("a")) == [Heartbeat("a", Stage.DECODING, problem)]
    decoder.ends = lambda: None
    await anyio.sleep(FULL_DISK_PAUSE_S + 1)
    assert [type(fact) for fact in await house.told()] == [Planned]


async def test_a_decoder_that_was_killed_is_tried_again(house: House, decoder: Decoder) -> None:
    house.submitted("a")
    decoder.ends = lambda: Killed() if len(decoder.begun) < MAX_TRIES else None
    assert await house.told(Split("a")) == []
    await anyio.sleep(sum(PAUSES_S) + 1)
    assert [type(fact) for fact in await house.told()] == [Planned]
    assert len(decoder.begun) == MAX_TRIES


@pytest.mark.parametrize("seconds", [0, 3])
async def test_a_stop_ends_the_work_and_leaves_nothing_half_done(
    house: House, decoder: Decoder, seconds: int
) -> None:
    house.submitted("a")
    decoder.seconds, decoder.step_secs = 100, 1.0
    await house.told(Split("a"))
    await anyio.sleep(seconds)
    assert [name.rpartition(".")[2] for name in house.names()] == ["part", "input"]
    await house.told(StopSplit("a"))
    assert (house.names(), decoder.under_way) == (["a.input"], 0)
    await anyio.sleep(1000)
    assert await house.told() == []


async def test_a_stop_ends_the_waiting_for_room(house: House, decoder: Decoder) -> None:
    house.submitted("a")
    decoder.ends = lambda: OSError(errno.ENOSPC, "full")
    await house.told(Split("a"))
    assert await house.told(StopSplit("a")) == []
    await anyio.sleep(10 * FULL_DISK_PAUSE_S)
    assert (await house.told(), len(decoder.begun)) == ([], 1)


async def test_a_stop_concerns_no_other_job(house: House, decoder: Decoder) -> None:
    for name in ("a", "b"):
        house.submitted(name)
    decoder.step_secs = 1.0
    await house.told(Split("a"), Split("b"), StopSplit("a"))
    await anyio.sleep(10)
    assert [fact.job_id for fact in await house.told()] == ["b"]


async def test_what_was_stopped_may_be_split_again_at_once(house: House, decoder: Decoder) -> None:
    house.submitted("a")
    decoder.step_secs = 1.0
    await house.told(Split("a"))
    await house.told(StopSplit("a"), Split("a"))
    await anyio.sleep(10)
    assert [type(fact) for fact in await house.told()] == [Planned]
    assert house.names() == ["a.input", "a.pcm"]
