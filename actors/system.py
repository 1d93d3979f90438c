"""The whole house on one page: who is there, and who knows whom."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from actors.analyst import Analyst
from actors.audio.diarizing import Listening
from actors.broadcaster import Broadcaster
from actors.chunker import Chunker
from actors.diarizer import Diarizer
from actors.engine.catalogue import Catalogue
from actors.engine.devices import Device
from actors.fetching import Fetcher, Limits
from actors.gpu import Gpu
from actors.inference import Inference
from actors.ingest import Ingest
from actors.janitor import Janitor
from actors.kernel.mailbox import Address, Mailbox
from actors.kernel.supervisor import Factory, supervise
from actors.lifecycle import Lifecycle
from actors.messages import (
    AnalystMessage,
    BroadcasterMessage,
    ChunkerMessage,
    CloseStreams,
    DiarizerMessage,
    Drain,
    InferenceMessage,
    IngestMessage,
    JanitorMessage,
    LifecycleMessage,
    QueueMessage,
    WebhookMessage,
)
from actors.outbound import open_outbound
from actors.preparing import preparer
from actors.queue import Queue
from actors.reach import Reach
from actors.webhooks import Render, Webhooks
from actors.writing import Provider, Writer
from storage.accounts import Accounts
from storage.blobs import Spool, owned
from storage.corrections import Corrections
from storage.database import DATABASE, Database, open_database
from storage.deliveries import Deliveries
from storage.jobs import Jobs
from storage.search import Search
from storage.shares import Shares
from storage.speakers import SpeakerTurns
from storage.texts import Texts
from storage.usage import Usage

HURRY_S = 2.0
"""What an abort may take on top of the patience at a shutdown."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plain values that the wiring needs. Times in seconds."""

    data_dir: Path
    catalogue: Catalogue
    default_model: str
    aliases: Mapping[str, str]
    """Other names of models, and what they mean."""
    gpu: Gpu
    device: Device | None
    """The GPU that the engine is to take; None: the CPU."""
    cuda_device: str
    threads: int
    idle_secs: float
    gpu_poll_secs: int
    keep_input_secs: float
    webhook_secret: bytes | None
    webhooks: Reach
    fetches: Reach
    fetch_limits: Limits
    provider: Provider | None
    tokens_a_day: int
    diarization: bool
    listening: Listening


@dataclass
class System:
    """What the edge holds: addresses to ask, and rows to read."""

    plan: Plan
    database: Database
    jobs: Jobs
    deliveries: Deliveries
    accounts: Accounts
    shares: Shares
    texts: Texts
    speakers: SpeakerTurns
    usage: Usage
    corrections: Corrections
    search: Search
    spool: Spool
    lifecycle: Address[LifecycleMessage]
    queue: Address[QueueMessage]
    broadcaster: Address[BroadcasterMessage]
    analyst: Address[AnalystMessage]
    webhooks: Address[WebhookMessage]
    factories: dict[str, Factory]
    drained: anyio.Event
    draining: bool = False
    """The server is on its way down: take nothing new."""

    async def run(self) -> None:
        """Run the actors until cancelled.

        Raises:
            GaveUp, Fatal: the process must end; see `supervise`.
        """
        await supervise(self.factories)

    def close_streams(self) -> None:
        self.broadcaster.tell(CloseStreams())

    async def drain(self, patience_secs: float) -> None:
        """Let the chunk at hand finish, and park its job; abort it when patience runs out."""
        self.queue.tell(Drain())
        with anyio.move_on_after(patience_secs):
            await self.drained.wait()
        self.queue.tell(Drain(hurry=True))
        with anyio.move_on_after(HURRY_S):
            await self.drained.wait()


@asynccontextmanager
async def open_system(
    plan: Plan, render: Callable[[Jobs, Shares, Texts], Render]
) -> AsyncIterator[System]:
    """Own the data folder, open what lies in it, and lay the wires.

    ``render`` is the edge's: it makes the bodies of webhooks from the rows.

    Raises:
        Unusable: the data folder or the database cannot be used; the message says why.
    """
    lifecycle: Mailbox[LifecycleMessage] = Mailbox("lifecycle")
    queue: Mailbox[QueueMessage] = Mailbox("queue")
    ingest: Mailbox[IngestMessage] = Mailbox("ingest")
    chunker: Mailbox[ChunkerMessage] = Mailbox("chunker")
    inference: Mailbox[InferenceMessage] = Mailbox("inference")
    broadcaster: Mailbox[BroadcasterMessage] = Mailbox("broadcaster")
    analyst: Mailbox[AnalystMessage] = Mailbox("analyst")
    diarizer: Mailbox[DiarizerMessage] = Mailbox("diarizer")
    webhooks: Mailbox[WebhookMessage] = Mailbox("webhooks")
    janitor: Mailbox[JanitorMessage] = Mailbox("janitor")
    drained = anyio.Event()

    with owned(plan.data_dir):
        spool = Spool(plan.data_dir / "spool")
        spool.tidy()
        async with (
            open_database(plan.data_dir / DATABASE) as database,
            open_outbound(plan.webhooks) as outbound,
            open_outbound(plan.fetches) as inbound,
        ):
            jobs, deliveries, shares = Jobs(database), Deliveries(database), Shares(database)
            texts, speakers, usage = Texts(database), SpeakerTurns(database), Usage(database)
            fetcher = Fetcher(inbound, plan.fetches, spool, plan.fetch_limits)
            await jobs.charge_interrupted()
            listeners = await deliveries.listeners()
            factories: dict[str, Callable[[], Any]] = {
                "broadcaster": lambda: Broadcaster(broadcaster),
                "webhooks": lambda: Webhooks(
                    webhooks,
                    outbox=deliveries,
                    listeners=listeners,
                    render=render(jobs, shares, texts),
                    post=outbound.post,
                    broadcaster=broadcaster,
                    secret=plan.webhook_secret,
                ),
                "analyst": lambda: Analyst(
                    analyst,
                    texts=texts,
                    jobs=jobs,
                    usage=usage,
                    webhooks=webhooks,
                    broadcaster=broadcaster,
                    write=Writer(plan.provider).write if plan.provider else None,
                    tokens_a_day=plan.tokens_a_day,
                ),
                "diarizer": lambda: Diarizer(
                    diarizer,
                    speakers=speakers,
                    spool=spool,
                    janitor=janitor,
                    broadcaster=broadcaster,
                    listening=plan.listening,
                    voices=plan.catalogue.voices(),
                ),
                "janitor": lambda: Janitor(
                    janitor,
                    jobs=jobs,
                    speakers=speakers,
                    spool=spool,
                    keep_input_secs=plan.keep_input_secs,
                ),
                "ingest": lambda: Ingest(ingest, fetch=fetcher.fetch, queue=queue),
                "chunker": lambda: Chunker(chunker, spool=spool, queue=queue),
                "inference": lambda: Inference(
                    inference,
                    queue=queue,
                    lifecycle=lifecycle,
                    use_gpu=plan.device is not None,
                    cuda_device=plan.cuda_device,
                    threads=plan.threads,
                ),
                "lifecycle": lambda: Lifecycle(
                    lifecycle,
                    inference=inference,
                    queue=queue,
                    broadcaster=broadcaster,
                    webhooks=webhooks,
                    prepare=preparer(plan.catalogue),
                    vram=lambda: plan.gpu.vram() if plan.device else None,
                    default_model=plan.default_model,
                    idle_secs=plan.idle_secs,
                    poll_secs=plan.gpu_poll_secs,
                ),
                "queue": lambda: Queue(
                    queue,
                    jobs=jobs,
                    spool=spool,
                    lifecycle=lifecycle,
                    ingest=ingest,
                    chunker=chunker,
                    inference=inference,
                    broadcaster=broadcaster,
                    analyst=analyst,
                    diarizer=diarizer,
                    webhooks=webhooks,
                    janitor=janitor,
                    default_model=plan.default_model,
                    aliases=plan.aliases,
                    drained=drained,
                ),
            }
            yield System(
                plan,
                database,
                jobs,
                deliveries,
                Accounts(database),
                shares,
                texts,
                speakers,
                usage,
                Corrections(database),
                Search(database),
                spool,
                lifecycle,
                queue,
                broadcaster,
                analyst,
                webhooks,
                factories,
                drained,
            )
