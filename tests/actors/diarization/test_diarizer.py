"""Whom the models for voices are fetched for, and what is said where they cannot be."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors.diarization import diarizer
from actors.diarization.diarizer import Diarizer
from actors.diarization.messages import DiarizerMessage
from actors.diarization.process import Diarization
from actors.jobs.messages import JobEnded, SpeakersSettled
from actors.kernel.mailbox import Mailbox
from actors.models.catalogue import Catalogue, Model
from actors.models.downloads import PullFailed
from storage.blobs import Spool
from storage.database import open_database
from storage.jobs import Jobs
from storage.records import Chunk, Job, Order, Segment, Span, Speakers, SpeakersStatus, Status, Turn
from storage.speakers import SpeakerTurns
from tests.probe import Probe

pytestmark = pytest.mark.anyio

AT = "2026-05-10T14:00:00.000Z"
TURN = Turn(0.0, 1.0, "Speaker 1")


@dataclass
class Ears:
    """Hears voices once the models are there."""

    there: bool = False
    refuses: str = ""
    pulls: list[str] = field(default_factory=list)

    async def find(self, recording: Path, track: int | None) -> Diarization:
        if self.there:
            return Diarization(provider="voices", turns=(TURN,))
        return Diarization(unavailable="it is no call", needs_voice_models=True)

    async def pull(self, model: Model, report: Callable[[int, int], object]) -> None:
        self.pulls.append(model.path.name)
        if self.refuses:
            raise PullFailed(self.refuses, certain=False)
        self.there = True


class House:
    def __init__(self, jobs: Jobs, speakers: SpeakerTurns, spool: Spool, ears: Ears) -> None:
        self.jobs, self.speakers, self.spool, self.ears = jobs, speakers, spool, ears
        self.me: Mailbox[DiarizerMessage] = Mailbox("diarizer")
        self.facts: Probe[Any] = Probe()

    async def heard(self, name: str) -> Speakers:
        """What is found out about a new job."""
        await self.jobs.insert(name, Order(speakers=True), 1, AT)
        self.spool.input(name).write_bytes(b"x")
        await self.jobs.plan(name, 1.0, [Chunk(ordinal=0, spans=(Span(start=0, end=16000),))])
        await self.jobs.start(name)
        await self.jobs.commit_chunk(name, 0, [Segment(index=0, start=0.0, end=1.0, text="Hello.")])
        job: Job | None = await self.jobs.finish(name, Status.DONE, AT, 0.0)
        assert job
        self.me.tell(JobEnded(name, job.order))
        await self.facts.next(SpeakersSettled)
        return (await self.speakers.of_jobs([job]))[job.number]


@asynccontextmanager
async def house(tmp_path: Path, ears: Ears) -> AsyncIterator[House]:
    (tmp_path / "spool").mkdir()
    async with open_database(tmp_path / "a.db") as database, anyio.create_task_group() as group:
        made = House(Jobs(database), SpeakerTurns(database), Spool(tmp_path / "spool"), ears)
        actor = Diarizer(
            made.me,
            speakers=made.speakers,
            spool=made.spool,
            publish=made.facts.tell,
            voice_models=Catalogue(tmp_path / "models").voices(),
            diarize_file=ears.find,
            pull=ears.pull,
        )
        group.start_soon(actor.run)
        yield made
        group.cancel_scope.cancel()


async def test_the_models_are_fetched_when_a_recording_first_needs_them(tmp_path: Path) -> None:
    ears = Ears()
    async with house(tmp_path, ears) as made:
        first, second = await made.heard("a"), await made.heard("b")
    assert ears.pulls == ["segmentation.onnx", "embedding.onnx"]
    assert (first.status, first.provider, first.turns) == (SpeakersStatus.DONE, "voices", (TURN,))
    assert second.turns == (TURN,)


async def test_without_a_hub_it_says_so_and_does_not_ask_for_every_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears = Ears(refuses="put it there by hand")
    async with house(tmp_path, ears) as made:
        first, second = await made.heard("a"), await made.heard("b")
        assert ears.pulls == ["segmentation.onnx"]
        assert first.status is second.status is SpeakersStatus.UNAVAILABLE
        assert first.error == second.error == "it is no call: put it there by hand"
        monkeypatch.setattr(diarizer, "PULL_RETRY_S", 0.0)
        ears.refuses = ""
        assert (await made.heard("c")).status is SpeakersStatus.DONE
