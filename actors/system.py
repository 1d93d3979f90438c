"""Builds the whole system: all the actors, and which actor gets which message."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from actors.diarization.diarizer import Diarizer
from actors.diarization.messages import DiarizerMessage
from actors.diarization.process import find
from actors.diarization.settings import DiarizationSettings
from actors.engine.inference import Inference
from actors.engine.messages import (
    ChunkDone,
    ChunkFailed,
    EngineEnded,
    EngineFailed,
    EngineReady,
    InferenceMessage,
)
from actors.engine.settings import EngineSettings
from actors.events.broadcaster import Broadcaster
from actors.events.messages import BroadcasterMessage, CloseStreams
from actors.jobs.attendance import Attendance
from actors.jobs.janitor import Janitor
from actors.jobs.messages import (
    AttendanceMessage,
    ChunkCommitted,
    Drain,
    FetchedAfterEnd,
    JanitorMessage,
    JobAbandoned,
    JobChanged,
    JobDeleted,
    JobEnded,
    JobExpired,
    JobQueued,
    QueueMessage,
    SpeakersSettled,
    TextSettled,
)
from actors.jobs.preparation import Preparation
from actors.jobs.queue import Queue
from actors.jobs.scheduler import Scheduler
from actors.jobs.settings import RetentionSettings
from actors.kernel.mailbox import Address, Mailbox
from actors.kernel.publisher import Publisher
from actors.kernel.supervisor import Factory, supervise
from actors.llm.analyst import Analyst
from actors.llm.client import LanguageModel
from actors.llm.messages import AnalystMessage
from actors.llm.settings import LanguageModelSettings
from actors.media.chunker import Chunker
from actors.media.fetching import Fetcher
from actors.media.ingest import Ingest
from actors.media.messages import (
    ChunkerMessage,
    Fetched,
    FetchesLost,
    FetchFailed,
    Heartbeat,
    IngestMessage,
    MakeRoom,
    Planned,
    SplitFailed,
    SplitsLost,
)
from actors.media.settings import FetchSettings
from actors.models.catalogue import Catalogue
from actors.models.devices import Device
from actors.models.lifecycle import Lifecycle
from actors.models.messages import (
    LifecycleMessage,
    ModelChanged,
    ModelFailed,
    ModelGone,
    ModelLoaded,
    ModelReady,
    ModelUnloaded,
    ModelWaits,
)
from actors.models.provisioning import provisioner
from actors.models.settings import ModelSettings
from actors.models.sources import SPEAKERS
from actors.models.vram import Gpu
from actors.net.address_policy import AddressPolicy
from actors.net.client import open_outbound
from actors.webhooks.dispatcher import Render, Webhooks
from actors.webhooks.messages import WebhookMessage
from actors.webhooks.settings import WebhookSettings
from storage.accounts import Accounts
from storage.blobs import Spool
from storage.data_folder import DataFolder, locked_data_folder
from storage.database import DATABASE, Database, open_database
from storage.deliveries import Deliveries
from storage.edits import Edits
from storage.jobs import Jobs
from storage.search import Search
from storage.shares import Shares
from storage.speakers import SpeakerTurns
from storage.texts import Texts
from storage.usage import Usage

ABORT_TIMEOUT_S = 2.0
"""Seconds that the abort of a chunk may take at a shutdown, after the normal waiting time."""
DATA_FOLDER_CHECK_S = 5.0
"""Seconds between two looks whether the data folder is still there."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What the operator has set, by feature, and what was found out about this computer."""

    data_dir: Path
    catalogue: Catalogue
    suitable_model: str
    """The name of the model that suits this computer best."""
    gpu: Gpu
    device: Device | None
    """The GPU that the engine is to use; None: it uses the CPU."""
    threads: int
    models: ModelSettings
    engine: EngineSettings
    fetch: FetchSettings
    webhooks: WebhookSettings
    language_model: LanguageModelSettings
    diarization: DiarizationSettings
    retention: RetentionSettings


@dataclass
class System:
    """What the surfaces use: the addresses of actors, to tell and ask, and the database's rows."""

    configuration: Configuration
    database: Database
    jobs: Jobs
    deliveries: Deliveries
    accounts: Accounts
    shares: Shares
    texts: Texts
    speakers: SpeakerTurns
    usage: Usage
    edits: Edits
    search: Search
    spool: Spool
    fetch_policy: AddressPolicy
    lifecycle: Address[LifecycleMessage]
    queue: Address[QueueMessage]
    broadcaster: Address[BroadcasterMessage]
    analyst: Address[AnalystMessage]
    webhooks: Address[WebhookMessage]
    janitor: Address[JanitorMessage]
    attendance: Address[AttendanceMessage]
    mailboxes: tuple[Mailbox[Any], ...]
    publisher: Publisher
    factories: dict[str, Factory]
    data_folder: DataFolder
    drained: anyio.Event
    draining: bool = False
    """The server is shutting down and accepts nothing new."""

    async def run(self) -> None:
        """Run the actors until cancelled.

        Raises:
            GaveUp, Fatal: the process must end; see `supervise` and `DataFolder.check`.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch_data_folder)
            await supervise(self.factories)

    async def _watch_data_folder(self) -> None:
        while True:
            await anyio.sleep(DATA_FOLDER_CHECK_S)
            self.data_folder.check()

    def close_streams(self) -> None:
        self.broadcaster.tell(CloseStreams())

    async def drain(self, patience_secs: float) -> None:
        """Wait until the chunk in flight is done and all running jobs are queued again.

        After ``patience_secs`` the chunk is aborted.
        """
        self.queue.tell(Drain())
        with anyio.move_on_after(patience_secs):
            await self.drained.wait()
        self.queue.tell(Drain(hurry=True))
        with anyio.move_on_after(ABORT_TIMEOUT_S):
            await self.drained.wait()


@asynccontextmanager
async def open_system(
    configuration: Configuration, renderer: Callable[["System"], Render]
) -> AsyncIterator[System]:
    """Lock the data folder, open the database and the spool in it, and build the actors.

    ``renderer`` comes from `app`: it returns the function that makes the bodies of webhooks.

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
    attendance: Mailbox[AttendanceMessage] = Mailbox("attendance")
    drained = anyio.Event()

    publisher = Publisher(
        {
            # About jobs, from the queue:
            JobQueued: [webhooks],
            JobChanged: [broadcaster],
            ChunkCommitted: [broadcaster],
            JobEnded: [broadcaster, analyst, diarizer, webhooks, janitor],
            JobDeleted: [broadcaster, janitor],
            FetchedAfterEnd: [janitor],
            # From the janitor, and from the actors and surfaces that store recordings:
            JobExpired: [queue],
            MakeRoom: [janitor],
            # From attendance:
            JobAbandoned: [queue],
            # About speaker turns and texts, from the diarizer and the analyst:
            SpeakersSettled: [broadcaster, janitor],
            TextSettled: [broadcaster, webhooks],
            # About recordings, from ingest and the chunker:
            Heartbeat: [queue],
            Fetched: [queue],
            FetchFailed: [queue],
            FetchesLost: [queue],
            Planned: [queue],
            SplitFailed: [queue],
            SplitsLost: [queue],
            # About chunks and the engine, from inference:
            ChunkDone: [queue],
            ChunkFailed: [queue],
            EngineReady: [lifecycle],
            EngineFailed: [lifecycle],
            EngineEnded: [lifecycle],
            # About models, from the lifecycle:
            ModelChanged: [broadcaster],
            ModelReady: [queue],
            ModelGone: [queue],
            ModelWaits: [queue],
            ModelFailed: [queue],
            ModelLoaded: [webhooks],
            ModelUnloaded: [webhooks],
        }
    )
    publish = publisher.publish

    models, fetch = configuration.models, configuration.fetch
    webhook_policy = AddressPolicy(private=configuration.webhooks.webhook_private_networks)
    fetch_policy = AddressPolicy(networks=fetch.fetch_networks)
    catalogue, language_model = configuration.catalogue, configuration.language_model

    with locked_data_folder(configuration.data_dir) as data_folder:
        spool = Spool(configuration.data_dir / "spool")
        spool.clean_up()
        async with (
            open_database(configuration.data_dir / DATABASE) as database,
            open_outbound(webhook_policy) as webhook_client,
            open_outbound(fetch_policy) as fetch_client,
        ):
            jobs, deliveries, shares = Jobs(database), Deliveries(database), Shares(database)
            texts, speakers, usage = Texts(database), SpeakerTurns(database), Usage(database)
            suspects = await jobs.count_crash_of_interrupted()
            listeners = await deliveries.listeners()

            def build_queue() -> Queue:
                scheduler = Scheduler()
                preparation = Preparation(scheduler, spool, ingest=ingest, chunker=chunker)
                return Queue(
                    queue,
                    jobs=jobs,
                    spool=spool,
                    scheduler=scheduler,
                    preparation=preparation,
                    lifecycle=lifecycle,
                    inference=inference,
                    publish=publish,
                    model_for=catalogue.resolve,
                    drained=drained,
                    suspects=suspects,
                )

            factories: Mapping[str, Callable[[], Any]] = {
                "broadcaster": lambda: Broadcaster(broadcaster),
                "webhooks": lambda: Webhooks(
                    webhooks,
                    outbox=deliveries,
                    listeners=listeners,
                    render=renderer(system),
                    post=webhook_client.post,
                    publish=publish,
                    secret=configuration.webhooks.webhook_secret,
                ),
                "analyst": lambda: Analyst(
                    analyst,
                    texts=texts,
                    jobs=jobs,
                    usage=usage,
                    publish=publish,
                    write=LanguageModel(language_model).write if language_model.present else None,
                    tokens_a_day=language_model.quota_llm_tokens,
                ),
                "diarizer": lambda: Diarizer(
                    diarizer,
                    speakers=speakers,
                    spool=spool,
                    publish=publish,
                    voice_models=catalogue.voices(),
                    diarize_file=partial(
                        find,
                        settings=configuration.diarization,
                        models=catalogue.folder / SPEAKERS,
                        threads=configuration.threads,
                    ),
                ),
                "janitor": lambda: Janitor(
                    janitor,
                    jobs=jobs,
                    speakers=speakers,
                    spool=spool,
                    publish=publish,
                    retention=configuration.retention,
                ),
                "attendance": lambda: Attendance(attendance, publish=publish),
                "ingest": lambda: Ingest(
                    ingest,
                    fetch=Fetcher(fetch_client, fetch_policy, spool, fetch).fetch,
                    publish=publish,
                ),
                "chunker": lambda: Chunker(chunker, spool=spool, publish=publish),
                "inference": lambda: Inference(
                    inference,
                    publish=publish,
                    use_gpu=configuration.device is not None,
                    cuda_device=str(configuration.engine.cuda_device),
                    threads=configuration.threads,
                ),
                "lifecycle": lambda: Lifecycle(
                    lifecycle,
                    inference=inference,
                    publish=publish,
                    provision=provisioner(catalogue),
                    vram=lambda: configuration.gpu.vram() if configuration.device else None,
                    default_model=catalogue.default,
                    settings=models,
                ),
                "queue": build_queue,
            }
            system = System(
                configuration,
                database,
                jobs,
                deliveries,
                Accounts(database),
                shares,
                texts,
                speakers,
                usage,
                Edits(database),
                Search(database),
                spool,
                fetch_policy,
                lifecycle,
                queue,
                broadcaster,
                analyst,
                webhooks,
                janitor,
                attendance,
                (
                    lifecycle, queue, ingest, chunker, inference,
                    broadcaster, analyst, diarizer, webhooks, janitor, attendance,
                ),
                publisher,
                dict(factories),
                data_folder,
                drained,
            )  # fmt: skip
            yield system
