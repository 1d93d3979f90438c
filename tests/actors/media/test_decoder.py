"""Files of the kinds that recorders, broadcasters and phones really make."""

import struct
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.media.decoder import Decoder, Refused
from actors.media.resampler import mixed
from storage.records import RATE
from tests.actors.media.recordings import Samples, encoded, joined
from tests.audio import babble, write_wav

TALK = babble((3.0, True))


def decoded(path: Path, track: int | None = None) -> tuple[Samples, list[str]]:
    decoder = Decoder(str(path), track=track)
    pcm = b"".join(decoder.blocks())
    return np.frombuffer(pcm, np.int16), decoder.notices


def loud_at(samples: Samples) -> list[bool]:
    """Whether each whole second has sound."""
    seconds = samples[: len(samples) // RATE * RATE].reshape(-1, RATE).astype(float)
    return [bool(level > 1000) for level in np.sqrt(np.square(seconds).mean(axis=1))]


@pytest.mark.parametrize(("first", "second"), [(44_100, 48_000), (48_000, 22_050)])
def test_what_follows_a_change_of_the_sample_rate_is_decoded(
    tmp_path: Path, first: int, second: int
) -> None:
    parts = [
        encoded(tmp_path / f"{n}.mp3", "libmp3lame", TALK, rate=rate)
        for n, rate in enumerate((first, second))
    ]
    samples, _ = decoded(joined(tmp_path / "a.mp3", *parts))
    assert loud_at(samples) == [True] * 6


@pytest.mark.parametrize("channels", [2, 6])
def test_what_follows_a_change_of_the_channels_is_decoded(tmp_path: Path, channels: int) -> None:
    wide = np.repeat(TALK[:, None], channels, axis=1)
    narrow = TALK if channels == 2 else wide[:, :2]
    parts = [
        encoded(tmp_path / f"{n}.ts", "ac3", part) for n, part in enumerate((narrow, wide, narrow))
    ]
    samples, _ = decoded(joined(tmp_path / "a.ts", *parts))
    assert loud_at(samples) == [True] * 9


@pytest.mark.parametrize("first_channels", [1, 2])
def test_each_link_of_a_chained_ogg_is_decoded(tmp_path: Path, first_channels: int) -> None:
    stereo = np.stack([TALK, TALK], axis=1)
    first, second = (TALK, stereo) if first_channels == 1 else (stereo, TALK)
    parts = [
        encoded(tmp_path / f"{n}.ogg", "libopus", part) for n, part in enumerate((first, second))
    ]
    samples, notices = decoded(joined(tmp_path / "a.ogg", *parts))
    assert len(samples) / RATE == pytest.approx(6, abs=0.05)
    assert loud_at(samples) == [True] * 6
    assert not notices


@pytest.mark.parametrize("container", ["mkv", "webm", "mp4"])
def test_a_gap_in_the_time_stamps_is_silence(tmp_path: Path, container: str) -> None:
    path = encoded(tmp_path / f"a.{container}", "libopus", TALK, gap=(1.0, 4.0))
    samples, _ = decoded(path)
    assert loud_at(samples) == [True, False, False, False, False, True, True]


def test_a_track_that_begins_later_than_the_others_begins_with_silence(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mkv", "libopus", TALK, TALK, starts=(0.0, 2.0))
    samples, _ = decoded(path, track=2)
    assert loud_at(samples) == [False, False, True, True, True]


def test_a_gap_of_days_is_a_damaged_time_stamp(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mkv", "libopus", TALK, gap=(1.0, 90_000.0))
    assert loud_at(decoded(path)[0]) == [True] * 3


def test_channels_that_cancel_each_other_out_are_not_mixed(tmp_path: Path) -> None:
    inverted = np.stack([TALK, -TALK], axis=1)
    samples, _ = decoded(write_wav(tmp_path / "a.wav", inverted))
    assert loud_at(samples) == [True] * 3


@given(st.integers(0, 2**32 - 1), st.floats(-1, 1), st.floats(0.01, 1))
def test_a_mix_is_never_much_quieter_than_its_louder_channel(
    seed: int, sameness: float, loudness: float
) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.standard_normal((2, 8000)) * 5000
    stereo = np.stack([one, loudness * (sameness * one + (1 - abs(sameness)) * other)], axis=1)
    mix = mixed(stereo.astype(np.int16)).astype(float)
    levels = np.sqrt(np.square(stereo).mean(axis=0))
    assert np.sqrt(np.square(mix).mean()) > levels.max() * 0.2


def test_the_track_that_the_user_chose_is_decoded(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mkv", "aac", TALK, babble((2.0, True)), starts=(0.0, 0.0))
    assert len(decoded(path)[0]) / RATE == pytest.approx(3, abs=0.1)
    assert len(decoded(path, track=2)[0]) / RATE == pytest.approx(2, abs=0.1)
    with pytest.raises(Refused, match="has 2 audio tracks, so there is no audio track 3"):
        decoded(path, track=3)


def test_where_the_default_track_is_silent_the_other_is_decoded_and_the_user_told(
    tmp_path: Path,
) -> None:
    path = encoded(
        tmp_path / "a.mkv", "flac", np.zeros(4 * RATE, np.int16), TALK, starts=(0.0, 0.0)
    )
    samples, notices = decoded(path)
    assert loud_at(samples) == [True] * 3
    assert notices == ["Audio track 1 is silent, so audio track 2 was transcribed."]
    assert loud_at(decoded(path, track=1)[0]) == [False] * 4


def test_where_all_tracks_are_silent_the_default_one_is_decoded(tmp_path: Path) -> None:
    silence = np.zeros(4 * RATE, np.int16)
    path = encoded(tmp_path / "a.mkv", "flac", silence, silence[:RATE], starts=(0.0, 0.0))
    samples, notices = decoded(path)
    assert len(samples) == 4 * RATE
    assert not notices


def test_sound_that_begins_late_in_the_default_track_keeps_its_time(tmp_path: Path) -> None:
    late = np.concatenate([np.zeros(3 * RATE, np.int16), TALK])
    path = encoded(tmp_path / "a.mkv", "flac", late, TALK, starts=(0.0, 0.0))
    assert loud_at(decoded(path)[0]) == [False] * 3 + [True] * 3


@pytest.mark.parametrize("name", ["a.m4a", "a.flac", "a.mkv", "a.wav"])
def test_what_is_missing_of_a_file_is_told(tmp_path: Path, name: str) -> None:
    codec = {"a.m4a": "aac", "a.wav": "pcm_s16le", "a.flac": "flac", "a.mkv": "libopus"}[name]
    talk = babble((20.0, True))
    if name == "a.m4a":
        path = encoded(tmp_path / "whole.m4a", codec, talk)
        path = _with_its_index_first(path, tmp_path / name)
    else:
        path = encoded(tmp_path / name, codec, talk)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    samples, notices = decoded(path)
    length = len(samples) / RATE
    assert 8 < length < 12
    assert notices == [
        f"Only {length:.1f} s of the recording's 20.0 s could be decoded; the rest is missing from "
        "the file, or damaged."
    ]


def _with_its_index_first(source: Path, path: Path) -> Path:
    import av

    with av.open(str(source)) as whole, av.open(
        str(path), "w", options={"movflags": "faststart"}
    ) as copy:  # fmt: skip
        stream = copy.add_stream_from_template(whole.streams.audio[0])
        for packet in whole.demux(whole.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return path


def test_a_whole_file_is_not_said_to_miss_anything(tmp_path: Path) -> None:
    for name, codec in (("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.ogg", "libopus")):
        assert decoded(encoded(tmp_path / name, codec, TALK))[1] == []


@pytest.mark.parametrize("said", [RATE, 0, 0xFFFF_FFFF, 2 * RATE + 1])
def test_a_wav_whose_header_lies_about_its_length_is_decoded_to_its_end(
    tmp_path: Path, said: int
) -> None:
    path = write_wav(tmp_path / "a.wav", TALK)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", said)
    path.write_bytes(data)
    assert loud_at(decoded(path)[0]) == [True] * 3


def test_what_follows_the_samples_of_a_wav_is_not_decoded_as_sound(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", TALK)
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4000) + b"INFO" + bytes(3996))
    assert len(decoded(path)[0]) == len(TALK)


def test_tags_in_another_encoding_do_no_harm(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", TALK)
    artist = "Björn".encode("latin-1") + b"\0"
    info = b"INFOIART" + struct.pack("<I", len(artist)) + artist
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", len(info)) + info)
    assert len(decoded(path)[0]) == len(TALK)


@pytest.mark.parametrize("name", ["wav", "mp3", "m4a", "ogg", "flac", "mkv"])
def test_two_hundred_damaged_files_of_each_format_give_sound_or_a_sentence(
    tmp_path: Path, name: str
) -> None:
    command = [sys.executable, "-m", "tests.actors.media.mutations", name, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr.decode()
    outcomes = msgspec.json.decode(done.stdout, type=dict[str, int])
    assert sum(outcomes.values()) == 200
    assert set(outcomes) <= {"decoded", "refused", "empty"}
    assert outcomes.get("decoded", 0) > 20
