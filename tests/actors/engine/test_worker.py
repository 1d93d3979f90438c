"""The real engine in its child process."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import anyio
import pytest

from actors.engine import protocol
from actors.engine.protocol import Failed, Result, Window
from actors.engine.worker import EngineError, EngineWorker, spawn
from storage.records import RATE, Span
from tests.audio import babble
from tests.scripted import scripted_model
from tests.scripted_folder import scripted_folder

pytestmark = pytest.mark.anyio


SCRIPT = "<|0.00|> Hello world.<|2.00|><|2.50|> How are you?<|4.00|>"
GERMAN = 2


@pytest.fixture(params=["ggml", "CTranslate2"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same model in the form of each backend."""
    if request.param == "ggml":
        return scripted_model(tmp_path / "scripted.bin", SCRIPT, GERMAN)
    return scripted_folder(tmp_path / "scripted", SCRIPT, GERMAN)


@pytest.fixture
def pcm(tmp_path: Path) -> Path:
    path = tmp_path / "a.pcm"
    path.write_bytes(babble((30.0, True)).tobytes())
    return path


def window(pcm: Path, number: int = 1, seconds: float = 5) -> Window:
    spans = (Span(0, round(seconds * RATE)),)
    return Window(number, str(pcm), spans, spans, None, {}, False, None, True)


async def load(engine: EngineWorker, model: Path) -> None:
    await engine.load(str(model), use_gpu=False, threads=2)


async def test_a_window_comes_back_as_segments_with_language_and_words(
    model: Path, pcm: Path
) -> None:
    async with spawn() as engine:
        await load(engine, model)
        await engine.transcribe(window(pcm))
        result = await engine.receive()
    assert isinstance(result, Result)
    assert {segment.language for segment in result.segments} == {"de"}
    assert [(s.text, s.start, s.end) for s in result.segments] == [
        ("Hello world.", 0.0, 2.0),
        ("How are you?", 2.5, 4.0),
    ]
    assert [w.text for w in result.segments[0].words] == ["Hello", "world."]


async def test_a_batch_is_answered_window_by_window(model: Path, pcm: Path) -> None:
    async with spawn() as engine:
        await load(engine, model)
        await engine.transcribe(window(pcm, 1), window(pcm, 2, seconds=0.3), window(pcm, 3))
        answers = [await engine.receive() for _ in range(3)]
    assert [a.id for a in answers if isinstance(a, Result)] == [1, 2, 3]


async def test_an_abort_ends_the_windows_it_names_and_the_engine_goes_on(
    slow: Path, pcm: Path
) -> None:
    async with spawn() as engine:
        await load(engine, slow)
        await engine.transcribe(window(pcm, 1, 30), window(pcm, 2, 30), window(pcm, 3, 2))
        await engine.abort(1, 2)
        answers = [await engine.receive() for _ in range(3)]
    assert sorted(a.id for a in answers if isinstance(a, Failed) and a.kind == "aborted") == [1, 2]
    assert [a.id for a in answers if isinstance(a, Result)] == [3]


async def test_windows_that_were_not_begun_are_given_back(slow: Path, pcm: Path) -> None:
    async with spawn() as engine:
        await load(engine, slow)
        await engine.transcribe(window(pcm, 1, 2))
        assert isinstance(await engine.receive(), Result)
        await engine.transcribe(window(pcm, 2, 30))
        await anyio.sleep(0.2)  # it has begun this one
        await engine.transcribe(window(pcm, 3), window(pcm, 4))
        await engine.give_back()
        answers = [await engine.receive() for _ in range(3)]
    assert sorted(a.id for a in answers if isinstance(a, Failed)) == [3, 4]
    assert [a.id for a in answers if isinstance(a, Result)] == [2]


async def test_a_window_whose_recording_is_gone_costs_the_others_nothing(
    model: Path, pcm: Path
) -> None:
    async with spawn() as engine:
        await load(engine, model)
        gone = window(pcm.with_name("gone.pcm"), 1)
        await engine.transcribe(gone, window(pcm, 2))
        answers = [await engine.receive() for _ in range(2)]
    assert [(a.id, a.kind) for a in answers if isinstance(a, Failed)] == [(1, "lost")]
    assert [a.id for a in answers if isinstance(a, Result)] == [2]


async def test_a_recording_that_is_removed_while_it_is_heard_is_heard_to_the_end(
    slow: Path, pcm: Path
) -> None:
    async with spawn() as engine:
        await load(engine, slow)
        await engine.transcribe(window(pcm, 1, 30))
        await anyio.sleep(0.2)  # it has begun: it listens for the language first
        pcm.unlink()
        answer = await engine.receive()
    assert isinstance(answer, Result)


async def test_a_killed_engine_is_an_end_of_stream(slow: Path, pcm: Path) -> None:
    async with spawn() as engine:
        await load(engine, slow)
        await engine.transcribe(window(pcm))
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(anyio.EndOfStream):
            await engine.receive()


async def test_nothing_is_left_after_the_block(model: Path) -> None:
    async with spawn() as engine:
        await load(engine, model)
    with pytest.raises(ProcessLookupError):
        os.kill(engine.pid, 0)


async def test_leaving_during_an_inference_takes_no_time(slow: Path, pcm: Path) -> None:
    async with spawn() as engine:
        await load(engine, slow)
        await engine.transcribe(window(pcm, 1, 30))
        began = time.monotonic()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("content", [b"", b"lmgg" + bytes(2000)])
async def test_weights_that_do_not_load_are_said_to(tmp_path: Path, content: bytes) -> None:
    bad = tmp_path / "bad.bin"
    bad.write_bytes(content)
    async with spawn() as engine:
        with pytest.raises(EngineError) as failed:
            await load(engine, bad)
    assert failed.value.kind in ("invalid", "crashed")


async def test_an_engine_whose_server_died_with_answers_unread_ends(
    scripted: Path, pcm: Path
) -> None:
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "actors.engine.child", str(theirs.fileno())]
    child = await anyio.open_process(command, pass_fds=[theirs.fileno()], stderr=None)
    theirs.close()
    ours.sendall(protocol.frame(protocol.Load(str(scripted), False, 2)))
    await anyio.to_thread.run_sync(ours.recv, 1)  # loaded; the rest of the answer stays unread
    ours.close()  # with something unread, the other side's next read fails
    async with child:
        with anyio.fail_after(10):
            assert await child.wait() == 0
