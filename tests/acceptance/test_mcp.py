"""The Model Context Protocol, by its official client library, as assistants use it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.acceptance.conftest import Start
from tests.acceptance.hub_client import Member
from tests.acceptance.server import Server
from tests.media_server import MediaServer, gives

pytestmark = pytest.mark.anyio

READ_ONLY = {"search_transcripts", "list_recordings", "read_transcript", "queue"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, scripted: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mcp")
    with Server(
        folder, WHISPER_MODEL_PATH=scripted, QUEUE_WHEN_UNLOADED="true", REQUESTS_PER_MINUTE=0,
        FETCH_NETWORKS="127.0.0.0/8",
    ).start() as server:  # fmt: skip
        yield server


@pytest.fixture(scope="module")
def ann(server: Server) -> Member:
    return Member(server, "ann@box.example", "--grant", "whisper.use", "--grant", "whisper.api")


@asynccontextmanager
async def assistant(server: Server, token: str | None = None) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        url = f"{server.http.base_url}/mcp"
        async with Client(streamable_http_client(url, http_client=http)) as client:
            yield client


async def names(client: Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools()).tools}


async def call(client: Client, tool: str, **given: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, given)
    assert not result.is_error, result.content
    found = result.structured_content
    assert isinstance(found, dict)
    return found


async def refused(client: Client, tool: str, **given: Any) -> str:
    result = await client.call_tool(tool, given)
    assert result.is_error
    return str(result.content[0].text)  # type: ignore[union-attr]


async def test_an_assistant_finds_and_reads_what_its_owner_has(
    server: Server, ann: Member, clip: Path
) -> None:
    number = ann.ended(ann.upload(clip, source_label="The interview")["id"])["id"]
    async with assistant(server, ann.token().secret) as client:
        (hit,) = (await call(client, "search_transcripts", query="hello world"))["hits"]
        assert (hit["recording"], hit["title"]) == (number, "The interview")
        assert "**Hello** **world**" in hit["text"]
        listed = (await call(client, "list_recordings", status="done"))["recordings"]
        assert [each["recording"] for each in listed] == [number]
        read = await call(client, "read_transcript", recording=number)
        first, second = read["transcript"].splitlines()
        assert first.startswith("[00:00:00]")
        assert first.endswith("Hello world.")
        assert second.endswith("How are you?")
        later = await call(client, "read_transcript", recording=number, start_seconds=2.4)
        assert later["transcript"] == second
        assert (await call(client, "queue"))["counts"]["done"] == 1


async def test_nobody_reads_what_belongs_to_somebody_else(
    server: Server, ann: Member, clip: Path
) -> None:
    number = ann.ended(ann.upload(clip)["id"])["id"]
    bob = Member(server, "bob@box.example", "--grant", "whisper.use", "--grant", "whisper.api")
    for token in (bob.token().secret, None):
        async with assistant(server, token) as client:
            assert (await call(client, "list_recordings"))["recordings"] == []
            assert (await call(client, "search_transcripts", query="hello"))["hits"] == []
            sentence = await refused(client, "read_transcript", recording=number)
            assert sentence == f"job {number} not found"


async def test_an_assistant_only_reads_unless_its_token_says_otherwise(
    server: Server, ann: Member, clip: Path
) -> None:
    async with assistant(server, ann.token().secret) as client:
        assert await names(client) == READ_ONLY
        sentence = await refused(client, "transcribe_url", url="https://example.org/a.wav")
        assert "this token may not use it" in sentence
    media = MediaServer()
    url = media.at("/talk.wav", gives(clip.read_bytes()))
    try:
        token = ann.token("--scope", "whisper.submit").secret
        async with assistant(server, token) as client:
            assert await names(client) == READ_ONLY | {"transcribe_url"}
            made = await call(client, "transcribe_url", url=url, title="A talk")
            assert (made["title"], made["status"]) == ("A talk", "queued")
            assert ann.ended(made["recording"])["status"] == "completed"
            wrong = await refused(client, "transcribe_url", url="ftp://example.org/a.wav")
            assert "http" in wrong
    finally:
        media.close()


@pytest.mark.parametrize(
    ("tool", "given", "sentence"),
    [
        ("search_transcripts", {}, "wrong arguments for search_transcripts"),
        ("search_transcripts", {"query": "a", "limit": 1000}, "limit must be from 1 to 50"),
        ("list_recordings", {"status": "lost"}, "wrong arguments for list_recordings"),
        ("list_recordings", {"owner": 1}, "takes no argument 'owner'"),
        ("read_transcript", {"recording": 999}, "job 999 not found"),
        ("read_transcript", {"recording": 2**63}, "wrong arguments for read_transcript"),
        ("forget_everything", {}, "there is no tool 'forget_everything'"),
    ],
)
async def test_what_an_assistant_gets_wrong_is_told_in_a_sentence(
    server: Server, tool: str, given: dict[str, Any], sentence: str
) -> None:
    async with assistant(server) as client:
        assert sentence in await refused(client, tool, **given)


async def test_a_box_that_wants_tokens_wants_one_here(start: Start) -> None:
    server = start(REQUIRE_TOKEN="true")
    with pytest.raises((MCPError, httpx2.HTTPError, ExceptionGroup)):
        async with assistant(server) as client:
            await client.list_tools()
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert server.http.post("/mcp", json=body).status_code == 401
    assert server.http.post("/mcp", json=body, headers={"x-api-key": "wrong"}).status_code == 401


async def test_a_page_of_another_site_cannot_use_it(server: Server) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = server.http.post("/mcp", json=body, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
