"""The tools: what each is called, what it takes, and what it does."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from app.auth.permissions import Caller
from app.services import order_form
from app.services.jobs import title
from app.services.services import Services
from app.transcripts.attribution import labels
from app.transcripts.formats import clock
from storage.errors import Invalid, NotFound
from storage.records import Channel, Job, Segment, Status, View
from storage.search import MARK

MOST_HITS, MOST_JOBS = 50, 100
MOST_CHARS = 40_000
"""Of a transcript in one answer: about 10,000 tokens of a language model."""
URL_FIELDS = {"url": order_form.SOURCE_URL, "language": order_form.LANGUAGE,
              "title": order_form.LABEL}  # fmt: skip


@dataclass(frozen=True)
class Agent:
    """Who asks, through an assistant."""

    view: View
    caller: Caller | None
    """None where the server asks nobody for a token."""

    @property
    def may_submit(self) -> bool:
        return self.caller is not None and self.caller.may_submit


class _Search(msgspec.Struct):
    query: str
    limit: int = 20


class _List(msgspec.Struct):
    status: Status | None = None
    limit: int = 20


class _Read(msgspec.Struct):
    recording: Annotated[int, msgspec.Meta(ge=1, le=2**62)]
    start_seconds: float = 0.0
    end_seconds: float | None = None


class _Transcribe(msgspec.Struct):
    url: str
    language: str | None = None
    title: str | None = None


class _Nothing(msgspec.Struct):
    pass


@dataclass(frozen=True)
class Tool:
    name: str
    title: str
    about: str
    takes: type[msgspec.Struct]
    properties: dict[str, dict[str, Any]]
    run: Callable[[Services, Agent, Any], Awaitable[dict[str, Any]]]
    writes: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its arguments."""
        fields = msgspec.structs.fields(self.takes)
        return {
            "type": "object",
            "properties": self.properties,
            "required": [field.name for field in fields if field.required],
            "additionalProperties": False,
        }

    async def __call__(
        self, services: Services, agent: Agent, given: dict[str, Any]
    ) -> dict[str, Any]:
        """
        Raises:
            Refusal: with a sentence; `Invalid` where the arguments are wrong.
        """
        if unknown := given.keys() - self.properties.keys():
            raise Invalid(f"{self.name} takes no argument '{sorted(unknown)[0]}'")
        try:
            arguments = msgspec.convert(given, self.takes)
        except msgspec.ValidationError as error:
            raise Invalid(f"wrong arguments for {self.name}: {error}") from None
        return await self.run(services, agent, arguments)


async def _search(services: Services, agent: Agent, given: _Search) -> dict[str, Any]:
    hits = await services.system.search.spoken(
        given.query, agent.view, _within(given.limit, MOST_HITS)
    )
    begin, end = MARK
    return {
        "hits": [
            {
                "recording": hit.job.number,
                "title": title(hit.job),
                "start_seconds": round(hit.start, 2),
                "text": hit.excerpt.replace(begin, "**").replace(end, "**"),
            }
            for hit in hits
        ]
    }


async def _list(services: Services, agent: Agent, given: _List) -> dict[str, Any]:
    jobs = await services.system.jobs.page(
        given.status, None, _within(given.limit, MOST_JOBS), agent.view
    )
    return {"recordings": [_summary(job) for job in jobs]}


async def _queue(services: Services, agent: Agent, _: _Nothing) -> dict[str, Any]:
    counts = await services.system.jobs.counts(agent.view)
    totals = dict.fromkeys(Status, 0)
    for (status, _fetched), count in counts.items():
        totals[status] += count
    waiting = await services.system.jobs.waiting_in(agent.view, MOST_JOBS)
    running = await services.system.jobs.page(Status.RUNNING, None, MOST_JOBS, agent.view)
    return {
        "counts": {str(status): count for status, count in totals.items()},
        "running": [_summary(job) for job in running],
        "waiting": [_summary(job) for job in waiting],
    }


async def _read(services: Services, agent: Agent, given: _Read) -> dict[str, Any]:
    job = await services.jobs.find(given.recording, agent.view)
    if job.status is not Status.DONE:
        why = f": {job.error}" if job.error else ""
        raise NotFound(f"recording {job.number} has no transcript, it is {job.status}{why}")
    segments = await services.system.jobs.transcript(job)
    turns = await services.jobs.turns(job)
    wanted = [
        (segment, speaker)
        for segment, speaker in zip(segments, labels(segments, turns), strict=True)
        if segment.end > given.start_seconds
        and (given.end_seconds is None or segment.start < given.end_seconds)
    ]
    text, count = _written(wanted)
    answer = {**_summary(job), "transcript": text}
    if count < len(wanted):
        answer["continues_at_seconds"] = round(wanted[count][0].start, 2)
    return answer


def _written(lines: Sequence[tuple[Segment, str | None]]) -> tuple[str, int]:
    """A line for each segment, and how many of them fit into one answer."""
    written: list[str] = []
    size, before = 0, None
    for segment, speaker in lines:
        name = f"{speaker}: " if speaker and speaker != before else ""
        line = f"[{clock(segment.start)[:8]}] {name}{segment.text.strip()}"
        size += len(line) + 1
        if size > MOST_CHARS and written:
            break
        written.append(line)
        before = speaker
    return "\n".join(written), len(written)


async def _transcribe(services: Services, agent: Agent, given: _Transcribe) -> dict[str, Any]:
    caller = agent.caller
    assert caller is not None  # or the tool is not offered
    submission = await services.submissions.begin(URL_FIELDS, owner=caller.account.number)
    for name, value in msgspec.structs.asdict(given).items():
        submission.form.take(name, value)
    submission.form.check_together()
    for sentences in submission.form.errors.values():
        raise Invalid(sentences[0])
    order = services.submissions.order_of(caller, submission.form, channel=Channel.API)
    return _summary(await services.submissions.queue(submission, order, None, limited=True))


def _summary(job: Job) -> dict[str, Any]:
    return {
        "recording": job.number,
        "title": title(job),
        "status": str(job.status),
        "progress_percent": job.percent,
        "duration_seconds": job.duration_secs,
        "language": job.language,
        "submitted_at": job.created_at,
        "error": job.error,
    }


def _within(limit: int, most: int) -> int:
    if not 1 <= limit <= most:
        raise Invalid(f"limit must be from 1 to {most}")
    return limit


def _limit(most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "maximum": most, "default": 20}


TOOLS = (
    Tool(
        "search_transcripts",
        "Search transcripts",
        "Find every place where certain words were said, the newest recordings first. All words "
        "must occur in the same sentence; the last one may be incomplete.",
        _Search,
        {"query": {"type": "string"}, "limit": _limit(MOST_HITS)},
        _search,
    ),
    Tool(
        "list_recordings",
        "List recordings",
        "List recordings, the newest first, with their state, length and language.",
        _List,
        {
            "status": {"type": "string", "enum": [str(status) for status in Status]},
            "limit": _limit(MOST_JOBS),
        },
        _list,
    ),
    Tool(
        "read_transcript",
        "Read a transcript",
        "Read what was said in a recording, with the time of each line and the speakers, if they "
        "are known. A long transcript comes in parts: continues_at_seconds says where the next one "
        "begins.",
        _Read,
        {
            "recording": {"type": "integer", "description": "Its number, as other tools give it"},
            "start_seconds": {"type": "number", "minimum": 0, "default": 0},
            "end_seconds": {"type": "number", "description": "Omit for the end"},
        },
        _read,
    ),
    Tool(
        "queue",
        "See the queue",
        "See what is being transcribed, what waits, and how many recordings are in which state.",
        _Nothing,
        {},
        _queue,
    ),
    Tool(
        "transcribe_url",
        "Transcribe a recording from a URL",
        "Put a recording that can be downloaded from a URL into the queue.",
        _Transcribe,
        {
            "url": {"type": "string", "format": "uri"},
            "language": {"type": "string", "description": "ISO 639-1; omit to detect it"},
            "title": {"type": "string", "description": "What people call it"},
        },
        _transcribe,
        writes=True,
    ),
)


def offered(agent: Agent) -> dict[str, Tool]:
    """The tools that this one may use, by name."""
    return {tool.name: tool for tool in TOOLS if not tool.writes or agent.may_submit}
