"""A front end of another origin: what the native guide has it do, by EventSource and fetch."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import RECORDING, Visit, serve
from tests.media_server import MediaServer, gives

CLIENT = """
    const fetched = (path) => fetch(path).then((answer) => answer.blob());
    const model = () => fetch(`${box}/model/status`).then((r) => r.json());

    function ready() {
      return new Promise((resolve) => {
        const events = new EventSource(`${box}/model/events`);
        events.addEventListener("model_ready", (event) => {
          events.close();
          resolve(JSON.parse(event.data));
        });
      });
    }

    async function submit(audio) {
      const form = new FormData();
      form.append("audio", audio, "audio.wav");
      const answer = await fetch(`${box}/jobs`, { method: "POST", body: form });
      const wait = answer.headers.get("Retry-After");
      return { status: answer.status, wait, ...(await answer.json()) };
    }

    function followed(id) {
      return new Promise((resolve) => {
        const percents = [];
        const events = new EventSource(`${box}/jobs/${id}/stream`);
        events.addEventListener("progress", (e) => percents.push(JSON.parse(e.data).percent));
        events.addEventListener("done", (e) => {
          events.close();
          resolve({ percents, ...JSON.parse(e.data) });
        });
        events.addEventListener("error", (e) => {
          events.close();
          resolve("data" in e ? JSON.parse(e.data) : { dropped: true });
        });
      });
    }
"""


@pytest.fixture
def page(web: MediaServer, tmp_path: Path, visit: Visit) -> Iterator[Page]:
    """A page of another origin, with the model of its box unloaded."""
    front = web.at("/", gives(b"<!doctype html><title>Front</title>", Content_Type="text/html"))
    web.at("/demo.wav", gives(RECORDING.read_bytes()))
    web.at("/noise.wav", gives(b"no audio at all"))
    with serve(tmp_path, CORS_ORIGINS=front.rstrip("/"), QUEUE_WHEN_UNLOADED="false") as server:
        page = visit(server, signed_in=False)
        page.goto(front)
        page.add_script_tag(content=f"const box = '{server.http.base_url}';" + CLIENT)
        yield page


def test_it_waits_for_the_model_submits_follows_and_has_the_transcript(page: Page) -> None:
    refused = page.evaluate("fetched('/demo.wav').then(submit)")
    assert (refused["status"], refused["state"], refused["wait"]) == (503, "unloaded", "30")
    assert "loaded_at" in page.evaluate("ready()")
    assert page.evaluate("model()")["state"] == "ready"
    accepted = page.evaluate("fetched('/demo.wav').then(submit)")
    assert accepted["status"] == 202
    told = page.evaluate("followed", accepted["job_id"])
    assert told["job"]["status"] == "done"
    assert told["job"]["segments"][0]["text"] == "Hello world."
    assert told["percents"] == sorted(told["percents"])


def test_it_is_told_what_was_wrong_with_a_recording(page: Page) -> None:
    page.evaluate("fetched('/noise.wav').then(submit)")
    page.evaluate("ready()")
    accepted = page.evaluate("fetched('/noise.wav').then(submit)")
    told = page.evaluate("followed", accepted["job_id"])
    assert told["type"] == "error"
    assert "not audio or video" in told["message"]
    assert page.evaluate("followed", accepted["job_id"]) == told
