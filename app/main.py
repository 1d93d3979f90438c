"""The process: it owns the event loop, the signals and the order of the end."""

import base64
import binascii
import errno
import ipaddress
import logging
import os
import resource
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import uvicorn
from anyio.abc import TaskGroup, TaskStatus

from actors.audio import voices
from actors.audio.diarizing import Listening
from actors.engine import devices
from actors.engine.catalogue import DEMO, SPEAKERS, Catalogue, fitting, named_by
from actors.engine.devices import Device
from actors.fetching import Limits
from actors.gpu import Gpu
from actors.kernel.supervisor import GaveUp
from actors.reach import Network, Reach
from actors.system import Plan, System, open_system
from actors.webhooks import Render
from actors.writing import Provider
from app import hardware, logs
from app.access import Access, normalised
from app.asgi import create_app
from app.hub.forms import CALLBACK_FORMAT
from app.hub.hub import Hub
from app.hub.wire import Config, callback_body
from app.native.wire import webhook_body
from app.passwords import hashed
from app.settings import Settings
from storage.accounts import Accounts
from storage.errors import Fatal, Invalid, NoSpace, Unusable
from storage.jobs import Jobs
from storage.records import Delivery
from storage.shares import Shares
from storage.texts import Texts
from storage.times import utc

log = logging.getLogger(__name__)

CONNECTIONS_GRACE_S = 5


def run(settings: Settings) -> int:
    """Serve until told to stop; returns the exit status of the process.

    0 after a stop, 1 where the server cannot start or had to give up.
    """
    logs.configure(settings.log_format, settings.log_level)
    status = 0
    try:
        anyio.run(serve, settings)
    except* (Unusable, NoSpace) as group:
        log.error("%s", _first(group))
        status = 1
    except* (GaveUp, Fatal) as group:
        log.critical("ending: %s", _first(group))
        status = 1
    return status


def _first(error: BaseException) -> BaseException:
    """What went wrong, out of however many task groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _raise_file_limit() -> None:
    """Each open stream is a file, and 1,024 of them is what most systems give."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve(settings: Settings) -> None:
    _raise_file_limit()
    plan = plan_for(settings)
    with _listening(settings) as listener:
        hub_config = _hub_config(settings, plan, listener)
        async with open_system(plan, partial(_renderer, hub_config)) as system:
            await _first_administrator(system.accounts, settings)
            key = await system.accounts.key("sessions", secrets.token_bytes(32))
            hub = Hub(
                system,
                hub_config,
                settings.quota_jobs,
                settings.quota_audio_minutes,
            )
            access = Access(
                system.accounts,
                key,
                requests_per_minute=settings.requests_per_minute,
                native_needs_token=settings.require_token,
                home=settings.public_url and urlsplit(settings.public_url).netloc,
            )
            config = uvicorn.Config(
                create_app(system, settings, hub, access),
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=CONNECTIONS_GRACE_S,
                server_header=False,
            )
            server = _Server(config)
            async with anyio.create_task_group() as group:
                await group.start(_watch_signals, group, system, server, settings)
                group.start_soon(system.run)
                _welcome(listener, plan, settings)
                await server.serve(sockets=[listener])
                group.cancel_scope.cancel()


async def _watch_signals(
    group: TaskGroup,
    system: System,
    server: uvicorn.Server,
    settings: Settings,
    *,
    task_status: TaskStatus[None],
) -> None:
    """The first signal ends the server in order, a second one at once."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            if system.draining:
                os._exit(128 + number)
            log.info("stopping on %s", signal.Signals(number).name)
            system.draining = True
            system.close_streams()  # an open stream would hold uvicorn for ever
            group.start_soon(_stop, system, server, settings.shutdown_grace_secs)


async def _stop(system: System, server: uvicorn.Server, grace_secs: float) -> None:
    await system.drain(grace_secs)
    server.should_exit = True


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are ours


def plan_for(settings: Settings) -> Plan:
    """
    Raises:
        Unusable: the settings ask for what this box does not have.
    """
    gpu = Gpu(settings.cuda_device)
    device = _device(settings)
    threads = settings.whisper_cpu_threads or hardware.threads()
    memory_mb = _memory_mb(device, gpu) if device else None
    model, named = _model(settings, memory_mb, threads)
    catalogue = Catalogue(settings.whisper_models_dir.absolute(), named)
    try:
        catalogue.find(model)
    except Invalid as error:
        raise Unusable(f"WHISPER_MODEL: {error.message}") from None
    return Plan(
        data_dir=settings.data_dir.absolute(),
        catalogue=catalogue,
        default_model=model,
        aliases=_aliases(settings.model_aliases),
        gpu=gpu,
        device=device,
        cuda_device=str(settings.cuda_device),
        threads=threads,
        idle_secs=settings.idle_timeout_secs,
        gpu_poll_secs=settings.gpu_poll_interval_secs,
        keep_input_secs=settings.keep_upload_hours * 3600,
        webhook_secret=_secret(settings.webhook_secret),
        webhooks=Reach(private=settings.webhook_private_networks),
        fetches=Reach(networks=_networks(settings.fetch_networks)),
        fetch_limits=Limits(
            most_bytes=settings.fetch_max_mb << 20,
            most_secs=settings.fetch_timeout_secs,
            pages=settings.fetch_pages,
            cookies=settings.fetch_cookies and settings.fetch_cookies.absolute(),
        ),
        provider=_provider(settings),
        tokens_a_day=settings.quota_llm_tokens,
        diarization=settings.diarization,
        listening=Listening(
            models=catalogue.folder / SPEAKERS,
            most_speakers=settings.max_speakers,
            threads=threads,
            patience_secs=settings.diarization_timeout_secs,
        ),
    )


def _provider(settings: Settings) -> Provider | None:
    model = settings.openai_model
    if model is None:
        if settings.openai_base_url or settings.openai_api_key:
            raise Unusable("OPENAI_MODEL is not set, but OPENAI_BASE_URL or OPENAI_API_KEY is")
        return None
    return Provider(
        base_url=settings.openai_base_url,
        api_key=settings.openai_api_key,
        model=model,
        translation_model=settings.openai_translation_model or model,
        part_chars=settings.openai_part_chars,
        timeout_secs=settings.openai_timeout_secs,
    )


def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise Unusable(f"FETCH_NETWORKS: {error}") from None


def _model(settings: Settings, memory_mb: int | None, threads: int) -> tuple[str, dict[str, Path]]:
    """The default model's name, and its file where the settings give one."""
    wanted, path = settings.whisper_model, settings.whisper_model_path
    if wanted is not None and ("/" in wanted or wanted.endswith(".bin")):
        path, wanted = path or Path(wanted), None
    if path is not None:
        name = wanted or named_by(path)
        return name, {name: path.expanduser().absolute()}
    if wanted is None:
        wanted = fitting(memory_mb, threads)
    return wanted, {}


def _device(settings: Settings) -> Device | None:
    """The GPU that the engine is to take, if any."""
    wanted = settings.whisper_device
    if wanted == "cpu":
        return None
    try:
        build = devices.examine(str(settings.cuda_device))
    except devices.Broken as error:
        raise Unusable(f"the engine does not run here: {error}") from None
    if build.gpus or wanted == "auto":
        return build.gpus[0] if build.gpus else None
    if not build.for_gpus:
        raise Unusable(
            f"WHISPER_DEVICE is {wanted}, but this engine is built for the CPU alone: "
            "see 'GPU' in README.md, or set WHISPER_DEVICE to cpu"
        )
    raise Unusable(
        f"WHISPER_DEVICE is {wanted}, but the engine finds no GPU here: see to its driver, "
        "or set WHISPER_DEVICE to auto"
    )


def _memory_mb(device: Device, gpu: Gpu) -> int | None:
    vram = gpu.vram()
    return vram.total_mb if vram else device.memory_mb


def _secret(text: str | None) -> bytes | None:
    if text is None:
        return None
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise Unusable("WEBHOOK_SECRET begins with whsec_, but no base64 follows") from None


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            hint = "set PORT to another" if error.errno == errno.EADDRINUSE else "check HOST"
            raise Unusable(f"cannot listen on {where}: {error.strerror}; {hint}") from error
        listener.listen(2048)
        yield listener


def _welcome(listener: socket.socket, plan: Plan, settings: Settings) -> None:
    if not (settings.whisper_model or settings.whisper_model_path):
        log.info("WHISPER_MODEL is not set: %s fits this box", plan.default_model)
    if plan.default_model == DEMO:
        log.warning("the demo model knows forty words of two languages: see its model card")
    log.info(
        "model %s on %s",
        plan.default_model,
        plan.device.description if plan.device else f"{plan.threads} CPU threads",
    )
    if plan.gpu.present and not plan.device and settings.whisper_device == "auto":
        log.warning("%s is here, but not for this engine: whisperbox doctor", plan.gpu.name())
    log.info("listening on %s, documentation at /docs", _address(listener))


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:  # of all addresses, the one that works here
        host = "localhost"
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def _renderer(config: Config, jobs: Jobs, shares: Shares, texts: Texts) -> Render:
    """The bodies of webhooks, from the rows as they are: a job that is over never changes."""

    async def render(delivery: Delivery) -> bytes:
        job = await jobs.get(delivery.job_id) if delivery.job_id else None
        if job and not job.status.terminal:
            raise OSError("the job was restarted")  # and what is to be said of it will be
        segments = await jobs.transcript(job) if job else []
        if job and delivery.format == CALLBACK_FORMAT:
            share = (await shares.of_jobs([job])).get(job.number)
            made = (await texts.of_jobs([job]))[job.number]
            return callback_body(job, config, share, segments, made)
        return webhook_body(delivery, job, segments)

    return render


def _hub_config(settings: Settings, plan: Plan, listener: socket.socket) -> Config:
    cookies = settings.fetch_cookies
    try:
        lines = len(cookies.read_text().splitlines()) if cookies else 0
    except OSError as error:
        raise Unusable(f"cannot read FETCH_COOKIES {cookies}: {error.strerror}") from None
    return Config(
        base_url=(settings.public_url or _address(listener)).rstrip("/"),
        default_model=plan.default_model,
        upload_max_mb=settings.upload_max_mb or None,
        pages=settings.fetch_pages,
        cookies=cookies is not None,
        cookie_lines=lines,
        threads=plan.threads,
        assists=plan.provider is not None,
        diarization=plan.diarization,
        voices=voices.installed(),
        most_speakers=plan.listening.most_speakers,
        diarization_secs=plan.listening.patience_secs,
    )


def _aliases(texts: tuple[str, ...]) -> dict[str, str]:
    for text in texts:
        if not all(text.partition("=")):
            raise Unusable(f"MODEL_ALIASES has '{text}', but each must be NAME=MODEL")
    return {name: model for name, _, model in (text.partition("=") for text in texts)}


async def _first_administrator(accounts: Accounts, settings: Settings) -> None:
    email, password = settings.admin_email, settings.admin_password
    if (email is None) != (password is None):
        raise Unusable("ADMIN_EMAIL and ADMIN_PASSWORD belong together: set both or none")
    if email is None or password is None or await accounts.all():
        return
    try:
        email, password_hash = normalised(email), hashed(password)
    except Invalid as no:
        raise Unusable(f"ADMIN_EMAIL or ADMIN_PASSWORD: {no.message}") from None
    await accounts.add(email, password_hash, admin=True, may=(), now=utc(time.time()))
    log.info("made the first administrator, %s", email)
