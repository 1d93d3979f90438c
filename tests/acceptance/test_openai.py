"""OpenAI's API, by OpenAI's own client and by raw requests."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.acceptance.conftest import Start
from tests.acceptance.hub_client import Member
from tests.acceptance.server import Server
from tests.audio import spoken
from tools import node_sdk

TEXT = "Hello world. How are you?"
PATH = "/v1/audio/transcriptions"
Client = openai.OpenAI


def client_of(server: Server, key: str = "sk-none", **settings: Any) -> Client:
    return Client(api_key=key, base_url=f"{server.http.base_url}/v1", **settings)


@pytest.fixture
def client(shared: Server) -> Iterator[Client]:
    with client_of(shared, max_retries=0) as client:
        yield client


def ask(server: Server, files: Any, data: Any = None, path: str = PATH) -> httpx.Response:
    return server.http.post(path, files=files, data={"model": "whisper-1", **(data or {})})


def jobs(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.http.get("/jobs").json()["jobs"]
    return found


def test_the_transcript_is_the_answer(client: Client, clip: Path) -> None:
    found = client.audio.transcriptions.create(model="whisper-1", file=clip)
    assert found.text == TEXT
    assert found.usage is not None
    assert found.usage.model_dump() == {"type": "duration", "seconds": 4}, "they are rounded up"


def test_a_call_is_a_job_like_any_other(shared: Server, client: Client, clip: Path) -> None:
    client.audio.transcriptions.create(model="whisper-1", file=clip, language="it")
    job = shared.job(jobs(shared)[0]["id"])
    assert (job["status"], job["filename"], len(job["segments"])) == ("done", "clip.wav", 2)


def test_the_long_answer_has_segments_and_words(client: Client, clip: Path) -> None:
    found = client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=clip, response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )  # fmt: skip
    assert (found.text, found.language) == (TEXT, "german")
    assert found.segments is not None
    assert found.words is not None
    assert [segment.text for segment in found.segments] == ["Hello world.", "How are you?"]
    assert [word.word for word in found.words] == TEXT.split()


@pytest.mark.parametrize(
    ("form", "begins"),
    [("text", "Hello world."), ("srt", "1\n00:00:00,"), ("vtt", "WEBVTT\n\n00:00:00.")],
)
def test_the_transcript_comes_as_a_file(client: Client, clip: Path, form: Any, begins: str) -> None:
    found = client.audio.transcriptions.create(model="whisper-1", file=clip, response_format=form)
    assert str(found).startswith(begins)


def test_each_word_has_its_probability(client: Client, clip: Path) -> None:
    found = client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=clip, include=["logprobs"], response_format="json"
    )
    assert found.logprobs is not None
    assert [each.token for each in found.logprobs] == TEXT.split()
    assert all(each.logprob is not None and each.logprob <= 0 for each in found.logprobs)


def test_a_stream_tells_the_text_as_it_is_heard(client: Client, talk: Path) -> None:
    stream = client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=talk, stream=True, response_format="json"
    )
    events = list(stream)
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) > 2
    assert events[-1].type == "transcript.text.done"
    assert "".join(deltas) == events[-1].text


def test_a_translation_is_asked_for_by_its_own_path(shared: Server, clip: Path) -> None:
    files = {"file": ("clip.wav", clip.read_bytes())}
    assert ask(shared, files, path="/v1/audio/translations").json()["text"] == TEXT
    assert jobs(shared)[0]["task"] == "translate"


def test_the_models_are_those_of_the_server_and_the_name_that_clients_know(
    client: Client,
) -> None:
    assert [model.id for model in client.models.list()] == ["scripted", "whisper-1"]
    assert client.models.retrieve("scripted").owned_by == "whisperbox"
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("Systran/faster-whisper-small")
    assert refused.value.code == "model_not_found"


def test_the_file_may_come_first_and_without_a_length(shared: Server, clip: Path) -> None:
    """As OpenAI's client for Node sends a stream."""
    boundary = "b0undary"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="clip.wav"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode(),
        clip.read_bytes(),
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="timestamp_granularities[]"\r\n\r\n'
        f'word\r\n--{boundary}\r\nContent-Disposition: form-data; name="response_format"\r\n\r\n'
        f"verbose_json\r\n--{boundary}--\r\n".encode(),
    ]
    answer = shared.http.post(
        PATH,
        content=iter(parts),
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    assert "content-length" not in answer.request.headers
    assert [word["word"] for word in answer.json()["words"]] == TEXT.split()


NO_AUDIO = b"this is no audio" * 100


@pytest.mark.parametrize(
    ("files", "data", "status", "param", "sentence"),
    [
        ({"other": b"x"}, {}, 400, "file", "file is required"),
        ({"file": ("a.wav", b"")}, {}, 400, "file", "file is empty"),
        ({"file": ("a.wav", NO_AUDIO)}, {}, 400, "file", "is not audio or video"),
        ({"file": b"x"}, {"language": "xx"}, 400, "language", "'xx' is not a code"),
        ({"file": b"x"}, {"response_format": "docx"}, 400, "response_format", "may be json, text"),
        ({"file": b"x"}, {"temperature": "hot"}, 400, "temperature", "a number from 0 to 1"),
        ({"file": b"x"}, {"stream": "perhaps"}, 400, "stream", "must be 'true' or 'false'"),
        ({"file": b"x"}, {"timestamp_granularities[]": "line"}, 400, "timestamp_granularities",
         "may be word, segment"),
        ({"file": b"x"}, {"model": "huge"}, 404, "model", "there is no model 'huge'"),
        ({"file": b"x"}, {"language": ["en", "de"]}, 400, "language", "given more than once"),
        ({"file": b"x"}, {"prompt": "x" * 20_000}, 400, None, "longer than"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_request_is_said_in_openais_words(
    shared: Server, files: Any, data: Any, status: int, param: str | None, sentence: str
) -> None:
    answer = ask(shared, files, data)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert sentence in error["message"]
    assert error["type"] == "invalid_request_error"
    assert error.keys() == {"message", "type", "param", "code"}


def test_a_body_that_is_no_form_or_ends_too_early_is_refused(shared: Server) -> None:
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    for content, headers in ((b"{}", {"Content-Type": "application/json"}), (b"--b\r\nCont", form)):
        answer = shared.http.post(PATH, content=content, headers=headers)
        assert answer.status_code == 400
        assert "multipart error" in answer.json()["error"]["message"]


def test_an_unknown_route_is_said_in_openais_words(shared: Server) -> None:
    answer = shared.http.post("/v1/chat/completions", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")
    assert shared.http.get(PATH).status_code == 405


def test_a_failure_that_would_come_again_asks_for_no_retry(shared: Server) -> None:
    answer = ask(shared, {"file": ("b.wav", NO_AUDIO + b"b")})
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["code"] == "invalid_file"


def test_the_same_request_again_finds_its_job(shared: Server, clip: Path) -> None:
    files = {"file": ("clip.wav", clip.read_bytes())}
    first = ask(shared, files, {"language": "sv"})
    number = len(jobs(shared))
    assert ask(shared, files, {"language": "sv", "response_format": "text"}).text == f"{TEXT}\n"
    assert len(jobs(shared)) == number
    assert first.json()["text"] == TEXT
    ask(shared, files, {"language": "fi"})
    assert len(jobs(shared)) == number + 1


def test_a_token_of_ours_is_the_api_key(start: Start, clip: Path) -> None:
    server = start(REQUIRE_TOKEN="true", QUEUE_WHEN_UNLOADED="true")
    rights = ("--grant", "whisper.use", "--grant", "whisper.api")
    token = Member(server, "ann@box.example", *rights).token().secret
    with client_of(server, max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            stranger.audio.transcriptions.create(model="whisper-1", file=clip)
        assert refused.value.code == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError):
            stranger.models.list()
    with client_of(server, token) as ann:
        assert ann.audio.transcriptions.create(model="whisper-1", file=clip).text == TEXT


def test_one_call_is_one_job_through_a_kill(start: Start, slow: Path, tmp_path: Path) -> None:
    talk = spoken(tmp_path / "talk.wav", [9.0] * 8)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = start(WHISPER_MODEL_PATH=slow, PORT=port)
    with client_of(server, max_retries=8) as client, ThreadPoolExecutor() as pool:
        call = pool.submit(client.audio.transcriptions.create, model="whisper-1", file=talk)
        server.until(lambda: any(job["progress"] for job in jobs(server)))
        server.kill()
        server.start()
        assert call.result(timeout=90).text
    (job,) = jobs(server)
    assert job["status"] == "done"


def test_a_call_that_takes_long_gets_white_space_and_its_job_ends_when_it_hangs_up(
    start: Start, tmp_path: Path, clip: Path
) -> None:
    server = start(WHISPER_MODEL_PATH=tmp_path / "unmounted.bin", QUEUE_WHEN_UNLOADED="true")
    with (
        clip.open("rb") as file,
        server.http.stream("POST", PATH, files={"file": ("clip.wav", file)}) as answer,
    ):
        assert answer.status_code == 200
        assert next(answer.iter_bytes()).isspace()
    (job,) = jobs(server)
    assert job["status"] == "queued", "the client may come again"
    server.until(lambda: jobs(server)[0]["status"] == "cancelled")


def test_white_space_before_the_answer_is_no_part_of_it(
    start: Start, tmp_path: Path, scripted: Path, clip: Path
) -> None:
    model = tmp_path / "late.bin"
    server = start(WHISPER_MODEL_PATH=model, QUEUE_WHEN_UNLOADED="true")
    with (
        clip.open("rb") as file,
        server.http.stream("POST", PATH, files={"file": ("clip.wav", file)}) as answer,
    ):
        parts = answer.iter_bytes()
        first = next(parts)
        model.write_bytes(scripted.read_bytes())
        whole = first + b"".join(parts)
    assert whole.startswith(b"\n")
    assert json.loads(whole)["text"] == TEXT


def test_openais_library_for_node_sends_its_stream_and_gets_its_answers(
    shared: Server, clip: Path, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None or not node_sdk.folder().exists():
        pytest.skip("no OpenAI library for Node: python -m tools.node_sdk fetches it")
    (tmp_path / "node_modules").symlink_to(node_sdk.folder() / "node_modules")
    script = shutil.copy(Path(__file__).parent / "openai_client.mjs", tmp_path)
    done = subprocess.run(
        [node, script, f"{shared.http.base_url}/v1", clip],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        TEXT, TEXT.split(), TEXT, [400, "invalid_file"],
    ]  # fmt: skip


def test_a_job_that_is_deleted_meanwhile_is_not_sent_again(
    start: Start, tmp_path: Path, clip: Path
) -> None:
    server = start(WHISPER_MODEL_PATH=tmp_path / "away.bin", QUEUE_WHEN_UNLOADED="true")
    with ThreadPoolExecutor() as pool:
        call = pool.submit(ask, server, {"file": ("a.wav", clip.read_bytes())})
        server.until(lambda: bool(jobs(server)))
        server.http.delete(f"/jobs/{jobs(server)[0]['id']}")
        answer = call.result(timeout=30)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (500, "false")
    assert answer.json()["error"]["message"] == "the job was cancelled"


def test_the_documentation_has_examples_and_they_are_like_real_answers(
    shared: Server, clip: Path
) -> None:
    paths = shared.http.get("/docs/openapi.json").json()["paths"]
    for path in (PATH, "/v1/audio/translations", "/asr", "/detect-language", "/jobs"):
        (content,) = paths[path]["post"]["requestBody"]["content"].values()
        assert content["example"], path

    def examples(path: str, method: str) -> list[Any]:
        content = paths[path][method]["responses"]["200"]["content"]
        return [each["value"] for kind in content.values() for each in kind["examples"].values()]

    short, long = examples(PATH, "post")
    files = {"file": ("clip.wav", clip.read_bytes())}
    assert ask(shared, files).json().keys() == short.keys()
    wanted = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
    answer = ask(shared, files, wanted).json()
    assert answer.keys() == long.keys()
    for part in ("segments", "words"):
        assert answer[part][0].keys() == long[part][0].keys()
    (models,) = examples("/v1/models", "get")
    listed = shared.http.get("/v1/models").json()
    assert (listed.keys(), listed["data"][0].keys()) == (models.keys(), models["data"][0].keys())
    (language,) = examples("/detect-language", "post")
    found = shared.http.post("/detect-language", files={"audio_file": clip.read_bytes()}).json()
    assert found.keys() == language.keys()
