"""Speakers told apart by a real process."""

from pathlib import Path

import numpy as np

from tests.acceptance.conftest import Start
from tests.acceptance.hub_client import Member
from tests.audio import a_call, write_wav
from tests.scripted_voices import dull, quiet, scripted_voices, sharp

RIGHTS = ("--grant", "whisper.use")


def test_a_calls_speakers_are_told_apart_after_its_transcript(start: Start, tmp_path: Path) -> None:
    server = start(QUEUE_WHEN_UNLOADED="true", KEEP_UPLOAD_HOURS=0)
    ann = Member(server, "ann@box.example", *RIGHTS)
    job = ann.upload(a_call(tmp_path / "call.wav"))
    assert job["diarization"]["status"] == "pending"
    ann.ended(job["id"])
    server.until(lambda: ann.job(job["id"])["diarization"]["status"] == "completed")
    done = ann.job(job["id"])
    assert [s["speaker_label"] for s in done["transcript_segments"]] == ["Speaker 1", "Speaker 2"]
    assert done["speaker_aware_transcript"] == (
        "Speaker 1: Hello world.\n\nSpeaker 2: How are you?"
    )
    share = ann.ask("POST", f"/jobs/{job['id']}/share").json()["share"]
    text = server.http.get(f"{share['url']}/download/txt")
    assert text.text == "Speaker 1: Hello world.\nSpeaker 2: How are you?\n"
    listed = ann.ask("GET", "/jobs").json()["jobs"][0]
    assert listed["diarization"]["labelled_segment_count"] is None, "the list has no segments"
    page = server.http.get(share["url"]).text
    said = ("Speaker 1</bdi>", "Hello world.", "Speaker 2</bdi>", "How are you?")
    places = [page.index(each) for each in said]
    assert places == sorted(places)
    found = done["diarization"]
    assert (found["provider"], found["speaker_count"]) == ("channels", 2)
    assert (found["speaker_labels"], found["labelled_segment_count"]) == (
        ["Speaker 1", "Speaker 2"],
        2,
    )
    assert "estimates" in found["warning"]
    spool = server.folder / "data" / "spool"
    server.until(lambda: not list(spool.iterdir()))


def test_a_recording_that_is_no_call_keeps_its_transcript_and_says_why(
    start: Start, clip: Path
) -> None:
    ann = Member(start(QUEUE_WHEN_UNLOADED="true"), "ann@box.example", *RIGHTS)
    plain, unwanted = ann.upload(clip), ann.upload(clip, disable_diarization="true")
    ann.ended(plain["id"])
    ann.server.until(lambda: ann.job(plain["id"])["diarization"]["status"] == "unavailable")
    seen = ann.job(plain["id"])
    assert "one speaker on each channel" in seen["diarization"]["error"]
    assert "speakers/segmentation.onnx" in seen["diarization"]["error"], "what to do by hand"
    assert (seen["transcript_text"] != "", seen["speaker_aware_transcript"]) == (True, None)
    assert ann.ended(unwanted["id"])["diarization"]["status"] == "skipped"


def test_voices_are_told_apart_where_the_models_are(start: Start, tmp_path: Path) -> None:
    scripted_voices(tmp_path / "models" / "speakers")
    server = start(QUEUE_WHEN_UNLOADED="true", WHISPER_MODELS_DIR=tmp_path / "models")
    ann = Member(server, "ann@box.example", *RIGHTS)
    talk = np.concatenate([dull(2.2), quiet(0.6), sharp(2.2), quiet(1.0)])
    job = ann.upload(write_wav(tmp_path / "talk.wav", talk), vad="off")  # two tones
    server.until(lambda: ann.job(job["id"])["diarization"]["status"] == "completed")
    done = ann.job(job["id"])
    assert done["diarization"]["provider"] == "voices"
    assert done["speaker_aware_transcript"] == (
        "Speaker 1: Hello world.\n\nSpeaker 2: How are you?"
    )
    told = ann.ask("GET", "/status").json()["config"]["diarization"]
    assert (told["provider"], told["max_speakers"]) == ("voices", 10)


def test_an_operator_may_want_none_told_apart(start: Start, tmp_path: Path) -> None:
    ann = Member(start(QUEUE_WHEN_UNLOADED="true", DIARIZATION="false"), "ann@box.example", *RIGHTS)
    job = ann.upload(a_call(tmp_path / "call.wav"), disable_diarization="false")
    assert ann.ended(job["id"])["diarization"]["status"] == "skipped"
    assert not ann.ask("GET", "/status").json()["config"]["diarization"]["enabled"]


def test_a_kill_while_it_listens_costs_nothing(start: Start, tmp_path: Path) -> None:
    server = start(QUEUE_WHEN_UNLOADED="true")
    ann = Member(server, "ann@box.example", *RIGHTS)
    job = ann.upload(a_call(tmp_path / "call.wav"))
    ann.ended(job["id"])
    server.kill()
    server.start()
    server.until(lambda: ann.job(job["id"])["diarization"]["status"] == "completed")
