"""The Wyoming protocol, by its own client library, as Home Assistant uses it."""

import asyncio
import json
import socket
import wave
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong

from tests.acceptance.conftest import Start
from tests.acceptance.server import Server

pytestmark = pytest.mark.anyio

TEXT = "Hello world. How are you?"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, scripted: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("wyoming")
    with Server(folder, WHISPER_MODEL_PATH=scripted, WYOMING_PORT=0).start() as server:
        yield server


def port_of(server: Server) -> int:
    return int(server.wait_for_log(r"Wyoming on 127\.0\.0\.1:(\d+)")[1])


async def events_of(client: AsyncTcpClient) -> list[Event]:
    """What the server sends, to the transcript or the end."""
    found: list[Event] = []
    while (event := await asyncio.wait_for(client.read_event(), 30)) is not None:
        found.append(event)
        if TranscriptStop.is_type(event.type):
            break
    return found


async def say(client: AsyncTcpClient, recording: Path, chunk_frames: int = 1024) -> None:
    with wave.open(str(recording)) as file:
        form = (file.getframerate(), file.getsampwidth(), file.getnchannels())
        await client.write_event(AudioStart(*form).event())
        while frames := file.readframes(chunk_frames):
            await client.write_event(AudioChunk(*form, frames).event())
    await client.write_event(AudioStop().event())


async def test_home_assistant_gets_what_was_said(server: Server, clip: Path) -> None:
    async with AsyncTcpClient("127.0.0.1", port_of(server)) as client:
        await client.write_event(Transcribe(language="de").event())
        await say(client, clip)
        found = await events_of(client)
    (transcript,) = [Transcript.from_event(e) for e in found if Transcript.is_type(e.type)]
    assert (transcript.text, transcript.language) == (TEXT, "de")


async def test_the_text_is_told_as_it_is_heard(server: Server, talk: Path) -> None:
    async with AsyncTcpClient("127.0.0.1", port_of(server)) as client:
        await say(client, talk, chunk_frames=16_000)
        found = await events_of(client)
    assert TranscriptStart.is_type(found[0].type)
    texts = [TranscriptChunk.from_event(e).text for e in found if TranscriptChunk.is_type(e.type)]
    assert len(texts) > 2
    assert "".join(texts) == Transcript.from_event(found[-2]).text


async def test_one_connection_serves_several_sentences(server: Server, clip: Path) -> None:
    async with AsyncTcpClient("127.0.0.1", port_of(server)) as client:
        for _ in range(2):
            await say(client, clip)
            assert Transcript.from_event((await events_of(client))[-2]).text == TEXT


async def test_audio_may_have_another_form(server: Server, clip: Path, tmp_path: Path) -> None:
    """Two channels at 8 kHz."""
    with wave.open(str(clip)) as file:
        samples = file.readframes(file.getnframes())
    halved = b"".join(samples[n : n + 2] * 2 for n in range(0, len(samples) - 3, 4))
    with wave.open(str(tmp_path / "other.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(halved)
    async with AsyncTcpClient("127.0.0.1", port_of(server)) as client:
        await say(client, tmp_path / "other.wav")
        assert Transcript.from_event((await events_of(client))[-2]).text == TEXT
    job = server.http.get("/jobs").json()["jobs"][0]
    assert job["duration_secs"] == pytest.approx(len(samples) / 32_000, abs=0.1)


async def test_the_server_says_which_models_and_languages_it_has(server: Server) -> None:
    async with AsyncTcpClient("127.0.0.1", port_of(server)) as client:
        await client.write_event(Describe().event())
        answer = await client.read_event()
        await client.write_event(Ping(text="here?").event())
        pong = await client.read_event()
    assert answer
    (program,) = Info.from_event(answer).asr
    assert [model.name for model in program.models] == ["scripted"]
    assert {"en", "de", "ja"} <= set(program.models[0].languages)
    assert program.supports_transcript_streaming
    assert pong
    assert Pong.from_event(pong).text == "here?"


async def test_hints_that_mean_nothing_here_are_no_errors(server: Server, clip: Path) -> None:
    async with AsyncTcpClient("127.0.0.1", port_of(server)) as client:
        await client.write_event(Transcribe(name="huge", language="tlh-Latn").event())
        await say(client, clip)
        assert Transcript.from_event((await events_of(client))[-2]).text == TEXT


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([AudioStart(16_000, 2, 1).event(), AudioStop().event()], "no audio was sent"),
        ([Event("audio-start", {"rate": "fast"})], "audio-start must state the rate"),
        ([AudioStart(16_000, 9, 1).event()], "audio-start must state the rate"),
        ([Event("transcribe", {"language": 7})], "transcribe: Expected `str | null`, got `int`"),
    ],
)
async def test_what_is_wrong_is_said_before_the_end(
    server: Server, events: list[Event], sentence: str
) -> None:
    async with AsyncTcpClient("127.0.0.1", port_of(server)) as client:
        for event in events:
            await client.write_event(event)
        (answer,) = await events_of(client)
    assert sentence in Error.from_event(answer).text


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"[]\n",
        b"{}\n",
        b'{"type": "ping", "data": []}\n',
        b'{"type": 7}\n',
        b"\xff\xfe\n",
        b"x" * 200_000,
        json.dumps({"type": "audio-chunk", "payload_length": 1 << 40}).encode() + b"\n",
    ],
)
async def test_a_client_that_speaks_something_else_is_let_go(server: Server, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as connection:
        with suppress(OSError):  # it may be let go before it has said all
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b""
    assert not [entry for entry in server.log if "Traceback" in entry]


async def test_a_client_that_hangs_up_in_the_middle_leaves_nothing(
    server: Server, clip: Path
) -> None:
    before = server.http.get("/jobs").json()["jobs"]
    async with AsyncTcpClient("127.0.0.1", port_of(server)) as client:
        await client.write_event(AudioStart(16_000, 2, 1).event())
        await client.write_event(AudioChunk(16_000, 2, 1, clip.read_bytes()).event())
    spool = server.folder / "data" / "spool"
    server.until(lambda: not list(spool.glob("*.part")))
    assert server.http.get("/jobs").json()["jobs"] == before


async def test_without_a_port_nothing_listens(start: Start) -> None:
    server = start()
    server.http.get("/health")
    assert not [line for line in server.log if "Wyoming" in line]
