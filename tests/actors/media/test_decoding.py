import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import av
import numpy as np
import psutil
import pytest

from actors.kernel.processes import ChildFailed, Killed
from actors.media import decoding
from actors.media.decoding import BROKEN, Decoders, Sound
from storage.errors import Invalid
from storage.records import RATE, SAMPLE_BYTES
from tests.actors.media import recordings
from tests.audio import babble, spoken, write_wav

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def decoders() -> AsyncIterator[Decoders]:
    made = Decoders()
    async with anyio.create_task_group() as group:
        group.start_soon(made.run)
        try:
            yield made
        finally:
            group.cancel_scope.cancel()


async def decoded_by(them: Decoders, path: Path) -> bytes:
    return b"".join([sound.pcm async for sound in them.decode(path, None, [])])


async def decoded(path: Path) -> bytes:
    them = Decoders()
    try:
        return await decoded_by(them, path)
    finally:
        await them._end()


def fork_server() -> psutil.Process | None:
    """The one of this test's process."""
    return next(iter(psutil.Process().children()), None)


def forked() -> list[psutil.Process]:
    """The children that decode."""
    server = fork_server()
    return server.children() if server else []


def encoded(path: Path, codec: str, rate: int = 44_100) -> Path:
    """Five seconds in any container and codec."""
    talk = babble((5.0, True))
    return recordings.encoded(path, codec, np.stack([talk, talk], axis=1), rate=rate)


def seconds(pcm: bytes) -> float:
    return len(pcm) / SAMPLE_BYTES / RATE


@pytest.mark.parametrize(
    ("rate", "channels", "sentence"),
    [(1, 1, "a sample rate of 1 Hz"), (RATE, 255, "the audio has 255 channels")],
)
async def test_what_cannot_be_a_recording_of_speech_is_refused_in_a_sentence(
    tmp_path: Path, rate: int, channels: int, sentence: str
) -> None:
    samples = np.repeat(babble((0.1, True))[:, None], channels, axis=1)
    with pytest.raises(Invalid, match=sentence):
        await decoded(write_wav(tmp_path / "a.wav", samples, rate))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.flac", "flac"), ("a.avi", "mp2"),
     ("a.mkv", "ac3"), ("a.caf", "alac"), ("a.aiff", "pcm_s16be")],
)  # fmt: skip
async def test_every_common_format_is_decoded(tmp_path: Path, name: str, codec: str) -> None:
    assert seconds(await decoded(encoded(tmp_path / name, codec))) == pytest.approx(5, abs=0.15)


@pytest.mark.parametrize("name", ["a.webm", "a.ogg", "a.opus"])
async def test_opus_is_decoded(tmp_path: Path, name: str) -> None:
    path = encoded(tmp_path / name, "libopus", rate=48_000)
    assert seconds(await decoded(path)) == pytest.approx(5, abs=0.15)


async def test_samples_at_16_khz_come_through_unchanged(tmp_path: Path) -> None:
    samples = babble((2.0, True))
    assert await decoded(write_wav(tmp_path / "a.wav", samples)) == samples.tobytes()


async def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp3", "libmp3lame").rename(tmp_path / "a.txt")
    assert seconds(await decoded(path)) == pytest.approx(5, abs=0.15)


async def test_a_file_cut_short_gives_what_it_has(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp3", "libmp3lame")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert seconds(await decoded(path)) == pytest.approx(2.5, abs=0.3)


async def test_a_damaged_middle_costs_the_middle_alone(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.flac", "flac")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    path.write_bytes(data)
    assert seconds(await decoded(path)) > 4


async def test_a_video_gives_its_first_audio_track(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width = picture.height = 64
        sound = container.add_stream("aac", rate=RATE)
        sound.codec_context.layout = "mono"
        for _ in range(25):
            container.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
        samples = babble((1.0, True)).astype(np.float32)[None] / 32768
        for at in range(0, samples.shape[1] - 1023, 1024):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples[:, at : at + 1024]), format="fltp", layout="mono"
            )
            frame.rate = RATE
            container.mux(sound.encode(frame))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    assert seconds(await decoded(path)) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    "content", [b"", b"hello", bytes(5000), struct.pack("<1000I", *range(1000))]
)
async def test_garbage_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(Invalid, match="the file is not audio or video"):
        await decoded(tmp_path / "a.wav")


async def test_a_picture_has_no_audio_track(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width = picture.height = 64
        container.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(picture.encode(None))
    with pytest.raises(Invalid, match="no audio track"):
        await decoded(path)


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile {secret}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "[playlist]\nNumberOfEntries=1\nFile1={secret}\n",
    ],
)
async def test_a_playlist_opens_no_other_file(tmp_path: Path, playlist: str) -> None:
    secret = spoken(tmp_path / "secret.wav")
    (tmp_path / "a.txt").write_text(playlist.format(secret=secret))
    with pytest.raises(Invalid):
        await decoded(tmp_path / "a.txt")


def in_the_decoders_place(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'ImportError: libavcodec.so' >&2; exit 1", "ImportError: libavcodec.so"),
        ("exit 1", "it ended without a word"),
        ("echo '{}' >&2; exit 2", "{}"),
    ],
)
async def test_a_decoder_that_cannot_do_its_work_does_not_blame_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    monkeypatch.setattr("sys.executable", in_the_decoders_place(tmp_path / "decoder", script))
    with pytest.raises(ChildFailed, match=reason):
        await decoded(spoken(tmp_path / "a.wav"))


async def test_a_file_that_makes_the_decoder_fail_is_blamed_by_the_decoder_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """echo 'Traceback: UnicodeDecodeError' >&2; echo '{"refused": ""}' >&2; exit 2"""
    monkeypatch.setattr("sys.executable", in_the_decoders_place(tmp_path / "decoder", script))
    with pytest.raises(Invalid, match=BROKEN):
        await decoded(spoken(tmp_path / "a.wav"))


async def test_a_decoder_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", in_the_decoders_place(tmp_path / "d", "exec sleep 60"))
    monkeypatch.setattr(decoding, "SILENT_S", 0.1)
    with pytest.raises(Killed, match="gave nothing"):
        await decoded(spoken(tmp_path / "a.wav"))


async def test_a_lower_memory_limit_of_the_operators_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd's LimitAS=, which a process cannot raise."""
    script = f'ulimit -v 3000000; exec {sys.executable} "$@"'
    monkeypatch.setattr("sys.executable", in_the_decoders_place(tmp_path / "python", script))
    assert len(await decoded(spoken(tmp_path / "a.wav"))) > RATE


async def test_stopping_early_leaves_no_child(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "long.wav", np.zeros(600 * RATE, np.int16))
    async with decoders() as them:
        blocks = them.decode(path, None, [])
        assert await anext(blocks)
        assert forked()
        await blocks.aclose()
        await until(lambda: not forked())
    assert fork_server() is None


async def test_each_recording_has_a_child_of_its_own_and_all_have_one_fork_server(
    tmp_path: Path,
) -> None:
    paths = [write_wav(tmp_path / f"{n}.wav", np.full(60 * RATE, n, np.int16)) for n in (1, 2)]
    async with decoders() as them:
        await anyio.lowlevel.checkpoint()
        assert fork_server() is None, "an idle server has none"
        first, second = (them.decode(path, None, []) for path in paths)
        pcm = [(await anext(first)).pcm, (await anext(second)).pcm]
        assert len(forked()) == 2
        server = fork_server()
        for blocks, number in ((first, 0), (second, 1)):
            pcm[number] += b"".join([sound.pcm async for sound in blocks])
        assert [set(np.frombuffer(each, np.int16)) for each in pcm] == [{1}, {2}]
        assert await decoded_by(them, paths[0]) == pcm[0]
        assert fork_server() == server
    assert fork_server() is None


async def test_the_fork_server_is_ended_when_no_recording_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "IDLE_S", 0.05)
    path = spoken(tmp_path / "a.wav", [3.0])
    async with decoders() as them:
        first = await decoded_by(them, path)
        await until(lambda: fork_server() is None)
        assert await decoded_by(them, path) == first


async def test_it_is_not_ended_while_a_recording_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "IDLE_S", 0.0)
    path = write_wav(tmp_path / "long.wav", np.zeros(600 * RATE, np.int16))
    async with decoders() as them:
        blocks = them.decode(path, None, [])
        await anext(blocks)
        await anyio.sleep(0.05)
        assert forked()
        assert sum([len(sound.pcm) async for sound in blocks])


async def test_another_takes_the_place_of_a_fork_server_that_was_killed(tmp_path: Path) -> None:
    path = spoken(tmp_path / "a.wav", [3.0])
    async with decoders() as them:
        first = await decoded_by(them, path)
        server = fork_server()
        assert server
        server.kill()
        await until(lambda: fork_server() is None)
        assert await decoded_by(them, path) == first


async def test_a_child_that_a_signal_ends_is_told_from_one_that_fails(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "long.wav", np.zeros(600 * RATE, np.int16))
    async with decoders() as them:
        blocks = them.decode(path, None, [])
        await anext(blocks)
        forked()[0].kill()
        with pytest.raises(Killed, match="by signal 9"):
            await _drain(blocks)
        assert await decoded_by(them, spoken(tmp_path / "a.wav", [3.0]))


async def _drain(blocks: AsyncIterator[Sound]) -> None:
    async for _ in blocks:
        pass


async def test_a_child_that_hangs_is_ended_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_wav(tmp_path / "long.wav", np.zeros(600 * RATE, np.int16))
    async with decoders() as them:
        hanging = them.decode(path, None, [])
        await anext(hanging)
        (child,) = forked()
        child.suspend()
        other = them.decode(path, None, [])
        await anext(other)
        with monkeypatch.context() as short:  # a busy machine needs longer to start a child
            short.setattr(decoding, "SILENT_S", 1.0)
            with pytest.raises(Killed, match="gave nothing"):
                await _drain(hanging)
        assert not child.is_running()
        await _drain(other)


async def test_a_fork_server_that_hangs_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = spoken(tmp_path / "a.wav", [3.0])
    async with decoders() as them:
        first = await decoded_by(them, path)
        monkeypatch.setattr(decoding, "SILENT_S", 0.1)
        monkeypatch.setattr(decoding, "ANSWER_S", 0.1)
        server = fork_server()
        assert server
        server.suspend()
        with pytest.raises(Killed, match="gave nothing"):
            await decoded_by(them, path)
        await until(lambda: not server.is_running())
        monkeypatch.undo()
        assert await decoded_by(them, path) == first


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.01)
