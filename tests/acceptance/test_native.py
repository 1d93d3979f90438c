"""The native guide, section by section."""

import re
from pathlib import Path

import numpy as np
import pytest

from storage.records import RATE
from tests.acceptance.conftest import Start
from tests.acceptance.server import Server
from tests.actors.media.recordings import encoded
from tests.audio import babble, wav
from tests.hub import hub
from tests.scripted import scripted_model
from tests.scripted_folder import scripted_folder

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


# 2 and 4: submit and poll.


def test_a_submit_before_the_model_is_loaded_loads_it_and_is_asked_to_come_back(
    start: Start, clip: Path
) -> None:
    server = start()
    assert server.http.get("/model/status").json() == {"state": "unloaded"}
    response = server.http.post("/jobs", files={"audio": clip.read_bytes()})
    assert response.status_code == 503
    assert response.headers["retry-after"] == "30"
    assert response.json() == {
        "error": "model_not_ready",
        "state": "unloaded",
        "retry_after_secs": 30,
    }
    server.until(lambda: server.http.get("/model/status").json()["state"] == "ready")
    assert server.ended(server.submit(clip))["status"] == "done"


EVIDENCE = ("avg_logprob", "compression_ratio", "speech_share")  # whisper.cpp tells no more


def test_a_finished_job_is_the_guides_document(shared: Server, clip: Path) -> None:
    job_id = shared.submit(clip, language="EN")
    job = shared.ended(job_id)
    assert TIME.fullmatch(job.pop("created_at"))
    assert TIME.fullmatch(job.pop("completed_at"))
    for segment in job["segments"]:
        evidence = {name: segment.pop(name) for name in EVIDENCE}
        assert evidence["avg_logprob"] <= 0 < evidence["compression_ratio"]
        assert 0 < evidence["speech_share"] <= 1
        assert segment.pop("language") == "en"
    assert job == {
        "id": job_id,
        "status": "done",
        "task": "transcribe",
        "language": "en",
        "progress": 100,
        "duration_secs": 4.0,
        "filename": "clip.wav",
        "segments": [
            {"index": 0, "start": 0.0, "end": 2.0, "text": "Hello world.", "words": []},
            {"index": 1, "start": 2.5, "end": 3.0, "text": "How are you?", "words": []},
        ],
    }


def test_the_language_is_detected_where_none_is_given(shared: Server, clip: Path) -> None:
    assert shared.ended(shared.submit(clip))["language"] == "de"


def test_words_come_when_asked_for(shared: Server, clip: Path) -> None:
    job = shared.ended(shared.submit(clip, word_timestamps="true"))
    words = job["segments"][0]["words"]
    assert [word["text"] for word in words] == ["Hello", "world."]
    assert set(words[0]) == {"text", "start", "end", "probability"}


def test_a_repeated_idempotency_key_is_one_job(shared: Server, clip: Path) -> None:
    answers = [
        shared.http.post(
            "/jobs", files={"audio": clip.read_bytes()}, headers={"Idempotency-Key": "once"}
        ).json()
        for _ in range(2)
    ]
    assert answers[0] == answers[1]


def test_jobs_are_listed_newest_first_by_page_and_status(shared: Server, clip: Path) -> None:
    ids = [shared.submit(clip) for _ in range(3)]
    shared.ended(ids[-1])
    page = shared.http.get("/jobs", params={"limit": 2}).json()
    assert [job["id"] for job in page["jobs"]] == [ids[2], ids[1]]
    following = shared.http.get("/jobs", params={"limit": 1, "before": page["next"]}).json()
    assert following["jobs"][0]["id"] == ids[0]
    assert shared.http.get("/jobs", params={"status": "failed"}).json()["jobs"] == []


@pytest.mark.parametrize(
    ("name", "content_type", "begins"),
    [
        ("txt", "text/plain", "Hello world.\nHow are you?\n"),
        ("srt", "application/x-subrip", "1\n00:00:00,000 --> 00:00:02,000\nHello world.\n\n2\n"),
        ("vtt", "text/vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nHello world.\n"),
        ("tsv", "text/tab-separated-values", "start\tend\ttext\n0\t2000\tHello world.\n"),
        ("json", "application/json", '{"id":'),
    ],
)
def test_a_transcript_comes_in_every_format(
    shared: Server, clip: Path, name: str, content_type: str, begins: str
) -> None:
    job_id = shared.submit(clip)
    shared.ended(job_id)
    response = shared.http.get(f"/jobs/{job_id}/transcript", params={"format": name})
    assert response.headers["content-type"].startswith(content_type)
    assert response.text.startswith(begins)


def test_silence_is_done_without_segments(shared: Server, tmp_path: Path) -> None:
    job = shared.ended(shared.submit(wav(tmp_path / "silence.wav", (20.0, False))))
    assert (job["status"], job["segments"], job["duration_secs"]) == ("done", [], 20.0)


# 3: the model.


def test_a_job_says_what_was_odd_about_its_recording(shared: Server, tmp_path: Path) -> None:
    silence = np.zeros(4 * RATE, np.int16)
    tracks = silence, babble((3.0, True))
    path = encoded(tmp_path / "a.mkv", "flac", *tracks, starts=(0.0, 0.0))
    job = shared.ended(shared.submit(path))
    assert job["segments"]
    assert job["notices"] == ["Audio track 1 is silent, so audio track 2 was transcribed."]
    chosen = shared.ended(shared.submit(path, audio_track="1"))
    assert chosen["notices"] == [
        "No speech was found in 4.0 s of audio, whose loudest moment is at -100 dBFS."
    ]
    missing = shared.ended(shared.submit(path, audio_track="3"))
    assert missing["error"] == "the file has 2 audio tracks, so there is no audio track 3"


def test_what_describes_a_sound_is_left_out_and_can_be_seen(
    start: Start, tmp_path: Path, clip: Path
) -> None:
    text = "<|0.00|> [Music]<|1.00|><|1.00|> Hello.<|2.00|>"
    model = scripted_model(tmp_path / "sounds.bin", text)
    server = start(WHISPER_MODEL_PATH=model, QUEUE_WHEN_UNLOADED="true")
    job = server.ended(server.submit(clip))
    assert [segment["text"] for segment in job["segments"]] == ["Hello."]
    (left,) = job["left_out"]
    assert (left["text"], left["reason"]) == ("[Music]", "it describes a sound")


def test_the_model_is_loaded_and_unloaded_and_everyone_is_told(start: Start) -> None:
    server = start()
    events = server.events("/model/events")
    assert next(events) == {"type": "model_unloaded"}
    response = server.http.post("/model/load")
    assert (response.status_code, response.json()) == (202, {"status": "load_initiated"})
    assert next(events) == {"type": "model_loading"}
    ready = next(events)
    assert ready.name == ready["type"] == "model_ready"
    status = server.http.get("/model/status").json()
    assert (status["state"], status["loaded_at"]) == ("ready", ready["loaded_at"])
    assert TIME.fullmatch(ready["loaded_at"])
    response = server.http.post("/model/load")
    assert (response.status_code, response.json()) == (200, {"status": "already_ready"})
    response = server.http.post("/model/unload")
    assert (response.status_code, response.json()) == (200, {"status": "unload_requested"})
    assert next(events) == {"type": "model_unloaded"}


def test_an_idle_model_is_unloaded(start: Start) -> None:
    server = start(IDLE_TIMEOUT_SECS=0.5)
    events = server.events("/model/events")
    names = [next(events).name]
    server.http.post("/model/load")
    names += [next(events).name for _ in range(3)]
    assert names == ["model_unloaded", "model_loading", "model_ready", "model_unloaded"]


def test_a_subscriber_who_comes_after_the_load_is_told_that_it_is_ready(shared: Server) -> None:
    assert next(shared.events("/model/events")).name == "model_ready"


def test_queue_when_unloaded_takes_jobs_in_every_state(start: Start, clip: Path) -> None:
    server = start(QUEUE_WHEN_UNLOADED="true")
    assert server.ended(server.submit(clip))["status"] == "done"


def test_a_job_may_name_another_model_that_is_on_the_box(
    start: Start, tmp_path: Path, clip: Path
) -> None:
    (tmp_path / "models").mkdir()
    scripted_model(tmp_path / "models" / "ggml-other.bin", "<|0.00|> Something else.<|2.00|>")
    server = start()
    server.load()
    mine, other, mine_again = (
        server.submit(clip),
        server.submit(clip, model="other"),
        server.submit(clip),
    )
    texts = [server.ended(j)["segments"][0]["text"] for j in (mine, other, mine_again)]
    assert texts == ["Hello world.", "Something else.", "Hello world."]
    assert server.job(other)["model"] == "other"


def test_a_folder_for_ctranslate2_is_a_model_like_any_other(
    start: Start, tmp_path: Path, clip: Path
) -> None:
    folder = scripted_folder(tmp_path / "models" / "folder", "<|0.00|> Something else.<|2.00|>")
    server = start(WHISPER_MODEL_PATH=folder, QUEUE_WHEN_UNLOADED="true")
    job = server.ended(server.submit(clip, word_timestamps="true"))
    (segment,) = job["segments"]
    assert segment["text"] == "Something else."
    assert [word["text"] for word in segment["words"]] == ["Something", "else."]
    assert server.http.get("/health").json()["model"] == "folder"
    server.wait_for_log("engine up on CPU")


@pytest.mark.parametrize(
    ("engine", "there", "build"),
    [("auto", "tiny/model.bin", "CTranslate2 "), ("whisper.cpp", "ggml-tiny.bin", "CPU : ")],
)
def test_a_model_by_name_is_downloaded_at_its_first_load_in_the_form_of_the_engine(
    start: Start, tmp_path: Path, scripted: Path, clip: Path, monkeypatch: pytest.MonkeyPatch,
    engine: str, there: str, build: str,
) -> None:  # fmt: skip
    folder = scripted_folder(tmp_path / "published", "<|0.00|> Hello.<|2.00|>")
    with hub(folder, tiny=scripted.read_bytes()) as place:
        monkeypatch.setenv("HF_ENDPOINT", place.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        models = tmp_path / "models"
        server = start(
            WHISPER_MODEL="tiny", WHISPER_MODEL_PATH="", ENGINE=engine, WHISPER_MODELS_DIR=models,
            WHISPER_DEVICE="cpu",
        )  # fmt: skip
        server.load()
        server.wait_for_log("downloading tiny: 100 % of")
        server.wait_for_log(build)
    assert (models / there).exists()
    assert server.ended(server.submit(clip))["status"] == "done"
    assert server.http.get("/health").json()["model"] == "tiny"


# 5: streams.


def test_a_stream_carries_progress_and_segments_and_ends_with_done(
    shared: Server, talk: Path
) -> None:
    job_id = shared.submit(talk)
    events = list(shared.events(f"/jobs/{job_id}/stream"))
    percents = [e["percent"] for e in events if e.name == "progress"]
    assert percents == sorted(percents)
    assert [e["segment"]["index"] for e in events if e.name == "segment"] == list(
        range(len(shared.job(job_id)["segments"]))
    )
    assert events[-1].name == "done"
    assert events[-1]["job"] == shared.job(job_id)
    assert set(next(e for e in events if e.name == "progress")) == {
        "type",
        "percent",
        "chunk",
        "chunks_total",
    }


def test_whoever_listens_at_once_hears_of_the_plan_as_soon_as_there_is_one(
    start: Start, slow: Path, clip: Path
) -> None:
    server = start(WHISPER_MODEL_PATH=slow, QUEUE_WHEN_UNLOADED="true")
    first, second = server.submit(clip), server.submit(clip)
    heard = []
    with server.http.stream("GET", f"/jobs/{second}/stream") as response:
        for line in response.iter_lines():
            heard.append(line)
            if line.startswith("data: "):
                break
    assert '"percent":0,"chunk":0' in heard[-1]
    assert ": keepalive" not in heard, "it waited for nothing but the plan"
    for job_id in (first, second):
        server.http.delete(f"/jobs/{job_id}")


def test_a_late_stream_is_one_event(shared: Server, clip: Path) -> None:
    job_id = shared.submit(clip)
    shared.ended(job_id)
    (event,) = shared.events(f"/jobs/{job_id}/stream")
    assert (event.name, event["job"]["id"]) == ("done", job_id)


def test_a_client_that_has_the_last_event_is_told_not_to_come_back(
    shared: Server, clip: Path
) -> None:
    job_id = shared.submit(clip)
    *_, last = shared.events(f"/jobs/{job_id}/stream")
    assert last.id
    response = shared.http.get(f"/jobs/{job_id}/stream", headers={"Last-Event-ID": last.id})
    assert response.status_code == 204


def test_any_event_id_resumes_without_loss_or_repeat(shared: Server, talk: Path) -> None:
    job_id = shared.submit(talk)
    live = list(shared.events(f"/jobs/{job_id}/stream"))
    segments = [e for e in live if e.name == "segment"]
    for n in range(0, len(segments), 5):
        resumed = list(shared.events(f"/jobs/{job_id}/stream", segments[n].id))
        assert [e["segment"]["index"] for e in resumed if e.name == "segment"] == [
            e["segment"]["index"] for e in segments[n + 1 :]
        ]
        assert resumed[-1].name == "done"


def test_a_failed_jobs_stream_ends_with_its_error_late_or_live(
    shared: Server, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("not audio at all")
    job_id = shared.submit(tmp_path / "notes.txt")
    for _ in range(2):
        *_, last = shared.events(f"/jobs/{job_id}/stream")
        assert last.name == "error"
        assert last == {
            "type": "error",
            "message": "the file is not audio or video in any format FFmpeg understands",
        }
    assert shared.job(job_id)["error"] == last["message"]


# 7: health.


def test_health_is_the_guides_document(shared: Server) -> None:
    health = shared.http.get("/health").json()
    assert set(health) == {
        "status", "gpu_name", "vram_total_mb", "model", "queue_depth", "model_state",
    }  # fmt: skip
    assert (health["status"], health["model"], health["model_state"]) == ("ok", "scripted", "ready")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_are_green(shared: Server, path: str) -> None:
    assert shared.http.get(path).json() == {"status": "ok"}


def test_metrics_are_prometheus_text(shared: Server, clip: Path) -> None:
    shared.ended(shared.submit(clip))
    text = shared.http.get("/metrics").text
    for name in (
        "whisperbox_queue_depth 0.0",
        "whisperbox_queue_age_seconds 0.0",
        'whisperbox_deliveries{outcome="waiting"} 0.0',
        'whisperbox_model_state{state="ready"} 1.0',
        "whisperbox_audio_seconds_total",
        "whisperbox_model_load_seconds_count",
        'whisperbox_mailbox_depth{mailbox="queue"} 0.0',
        'whisperbox_mailbox_wait_seconds{mailbox="inference"} 0.0',
        "whisperbox_real_time_factor_count",
        'whisperbox_jobs_ended_total{status="done"}',
    ):
        assert name in text


# 8: cancelling.


def test_a_queued_job_is_cancelled_at_once(start: Start, slow: Path, talk: Path) -> None:
    server = start(WHISPER_MODEL_PATH=slow)
    server.load()
    running, queued = server.submit(talk), server.submit(talk)
    response = server.http.delete(f"/jobs/{queued}")
    assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    (event,) = server.events(f"/jobs/{queued}/stream")
    assert (event.name, event["job"]["status"]) == ("done", "cancelled")
    server.until(lambda: server.job(running)["status"] == "running")
    assert server.http.delete(f"/jobs/{running}").json()["status"] == "cancelled"
    # Its engine is free again, for whoever comes next.
    server.until(lambda: server.http.get("/health").json()["queue_depth"] == 0)
    assert server.job(running)["segments"] == []


def test_a_job_that_has_ended_is_deleted_only_when_that_is_asked_for(
    shared: Server, clip: Path
) -> None:
    job_id = shared.submit(clip)
    done = shared.ended(job_id)
    assert shared.http.delete(f"/jobs/{job_id}").status_code == 409
    purged = shared.http.delete(f"/jobs/{job_id}", params={"purge": "true"})
    assert (purged.status_code, purged.json()) == (200, done)
    assert shared.http.get(f"/jobs/{job_id}").status_code == 404
    again = shared.http.delete(f"/jobs/{job_id}", params={"purge": "true"})
    assert again.status_code == 404


# Other origins, and the documentation.


def test_front_ends_of_other_origins_may_ask(shared: Server) -> None:
    response = shared.http.options(
        "/jobs",
        headers={
            "Origin": "https://front.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "idempotency-key",
        },
    )
    assert response.status_code == 204
    answer = shared.http.get("/jobs/none", headers={"Origin": "https://front.example"})
    assert answer.headers["access-control-allow-origin"] == "https://front.example"
    assert "retry-after" in answer.headers["access-control-expose-headers"].lower()


def test_the_documentation_needs_no_other_host(shared: Server) -> None:
    page = shared.http.get("/docs/").text
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert links
    for link in links:
        assert link.startswith("/"), link
        assert shared.http.get(link).status_code == 200
    paths = shared.http.get("/docs/openapi.json").json()["paths"]
    assert {"/jobs", "/jobs/{job_id}/stream", "/model/events", "/health"} <= set(paths)
    load = paths["/model/load"]["post"]["responses"]
    assert {"200", "202"} <= load.keys()
    assert "201" not in load
    told = paths["/jobs/{job_id}/stream"]["get"]["responses"]["200"]["content"]
    assert [*told] == ["text/event-stream"]
    assert {"401", "405", "413", "429", "500", "503", "507"} <= paths["/jobs"]["post"][
        "responses"
    ].keys()
    form = paths["/jobs"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {"audio", "language", "task", "webhook_url"} <= set(form["properties"])


def test_the_server_may_have_as_many_files_as_the_system_allows(shared: Server) -> None:
    limits = Path(f"/proc/{shared.pid}/limits").read_text()
    row = next(line for line in limits.splitlines() if line.startswith("Max open files"))
    soft, hard = row.split()[3:5]
    assert soft == hard


def test_a_model_for_english_refuses_another_language_and_keeps_nothing(
    start: Start, scripted: Path, clip: Path, tmp_path: Path
) -> None:
    (english := tmp_path / "ggml-tiny.en.bin").symlink_to(scripted)
    server = start(WHISPER_MODEL_PATH=english, QUEUE_WHEN_UNLOADED="true")
    response = server.http.post(
        "/jobs", files={"audio": ("a.wav", clip.read_bytes())}, data={"language": "de"}
    )
    assert response.status_code == 400
    assert "knows only English" in response.json()["error"]
    assert server.http.get("/jobs").json()["jobs"] == []
    assert not any(path.is_file() for path in (server.folder / "data" / "spool").rglob("*"))
