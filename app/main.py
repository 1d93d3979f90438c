"""The process: it owns the event loop, the signals and the order of the end."""

import asyncio
import errno
import gc
import ipaddress
import logging
import os
import resource
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import uvicorn
from anyio.abc import TaskGroup, TaskStatus

from actors.diarization import voices
from actors.kernel.supervisor import GaveUp
from actors.models.catalogue import DEMO
from actors.system import Configuration, System, open_system
from app import logs
from app.asgi import create_app
from app.auth.access import Access
from app.auth.credentials import normalised
from app.auth.passwords import hashed
from app.auth.settings import AccessSettings
from app.configure import configure, cookie_lines
from app.http.slow_clients import LimitedPatience
from app.services.calls import CallService
from app.services.info import ServerInfo
from app.services.jobs import JobService
from app.services.services import Services
from app.services.share import ShareService
from app.services.submit import SubmitService
from app.settings import ServerSettings, Settings
from app.watch.settings import WatchSettings
from app.webhook_bodies import renderer
from storage.accounts import SESSIONS_KEY, Accounts
from storage.data_folder import make_private
from storage.errors import Fatal, Invalid, NoSpace, Unusable
from storage.times import utc

log = logging.getLogger(__name__)

CONNECTIONS_GRACE_S = 5
WAITING_CONNECTIONS = 4096
"""How many connections the system keeps for the server to accept (Linux caps it by somaxconn)."""
ACCEPTED_AT_ONCE = 8
"""How many connections are accepted before the event loop does something else."""
MOST_UNSENT = 256 << 10
"""Bytes that the system takes for a client beyond what is on the way to it. Without a limit it
keeps some MiB of a recording for each of those that do not read."""
NOTSENT_LOWAT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)
"""Not every system has it."""


def run(settings: Settings) -> int:
    """Serve until told to stop; returns the exit status of the process.

    0 after a stop, 1 where the server cannot start or had to give up.
    """
    logs.configure(settings.server.log_format, settings.server.log_level)
    make_private()
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


def _collect_rarely() -> None:
    """Look for garbage in few objects at a time, and almost never in all of them.

    A full collection stops the event loop for half a second when thousands of streams are open,
    and Python begins one whenever the number of objects has grown by a quarter. Almost all garbage
    that needs the collector is young, and what lives since the start is never garbage.
    """
    gc.freeze()
    gc.set_threshold(5000, 10, 1000)


async def serve(settings: Settings) -> None:
    _raise_file_limit()
    configuration = configure(settings)
    with _listening(settings.server) as listener:
        info = ServerInfo(
            configuration=configuration,
            base_url=settings.server.public_url or _address(listener),
            upload_max_mb=settings.submissions.upload_max_mb or None,
            cookie_lines=cookie_lines(settings),
            diarizes_voices=voices.installed(),
        )
        async with open_system(configuration, partial(renderer, info=info)) as system:
            await _first_administrator(system.accounts, settings.access)
            key = await system.accounts.key(SESSIONS_KEY, secrets.token_bytes(32))
            access = Access(
                system.accounts,
                key,
                settings.access,
                home=_home(settings.server),
                front_ends=settings.server.cors_origins,
            )
            submissions = SubmitService(system, settings.submissions)
            services = Services(
                system=system,
                info=info,
                jobs=JobService(system),
                submissions=submissions,
                calls=CallService(system, submissions),
                shares=ShareService(system, access, info.base_url),
            )
            config = uvicorn.Config(
                create_app(services, access, settings),
                lifespan="off",
                http=LimitedPatience,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=CONNECTIONS_GRACE_S,
                server_header=False,
                backlog=ACCEPTED_AT_ONCE,
                forwarded_allow_ips=settings.server.forwarded_allow_ips,
            )
            server = _Server(config)
            async with anyio.create_task_group() as group:
                await group.start(_watch_signals, group, system, server, settings.server)
                group.start_soon(system.run)
                _welcome(listener, configuration, settings)
                if settings.watch.watch_dir is not None:
                    group.start_soon(_watch, services, settings.watch.watch_dir, settings.watch)
                async with _wyoming(services, settings.server):
                    _collect_rarely()
                    await server.serve(sockets=[listener])
                group.cancel_scope.cancel()


async def _watch(services: Services, folder: Path, settings: WatchSettings) -> None:
    from app.watch.folder import WatchedFolder  # the server without it weighs less

    await WatchedFolder(services, folder, settings).run()


@asynccontextmanager
async def _wyoming(services: Services, settings: ServerSettings) -> AsyncIterator[None]:
    if settings.wyoming_port is None:
        yield
        return
    from app.wyoming.server import serving  # the server without it weighs less

    async with serving(services, settings.host, settings.wyoming_port):
        yield


def _home(settings: ServerSettings) -> str | None:
    """The origin that people open this server by, as browsers write it."""
    if settings.public_url is None:
        return None
    url = urlsplit(settings.public_url)
    usual = {"http": ":80", "https": ":443"}[url.scheme]
    return f"{url.scheme}://{url.netloc.lower().removesuffix(usual)}"


async def _watch_signals(
    group: TaskGroup,
    system: System,
    server: uvicorn.Server,
    settings: ServerSettings,
    *,
    task_status: TaskStatus[None],
) -> None:
    """The first signal ends the server in order, a second one at once."""
    with anyio.open_signal_receiver(*_stop_signals()) as signals:
        task_status.started()
        async for number in signals:
            if system.draining:
                os._exit(128 + number)
            log.info("stopping on %s", signal.Signals(number).name)
            system.draining = True
            system.close_streams()  # an open stream would hold uvicorn for ever
            group.start_soon(_stop, system, server, settings.shutdown_grace_secs)


def _stop_signals() -> list[signal.Signals]:
    """A closed terminal stops the server in order, unless it was started with nohup."""
    found = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        found.append(signal.SIGHUP)
    return found


async def _stop(system: System, server: uvicorn.Server, grace_secs: float) -> None:
    await system.drain(grace_secs)
    server.should_exit = True


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        _say_less_of_open_files(asyncio.get_running_loop())
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(WAITING_CONNECTIONS)  # asyncio has made the queue as short as its batch

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are ours


def _say_less_of_open_files(loop: asyncio.AbstractEventLoop) -> None:
    """Log the lack of file descriptors in one line a second at most.

    asyncio reports each connection that it cannot accept, with a traceback, and then accepts none
    for a second.
    """
    said = -1.0

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal said
        if getattr(context.get("exception"), "errno", None) not in (errno.EMFILE, errno.ENFILE):
            loop.default_exception_handler(context)
        elif loop.time() - said >= 1:
            said = loop.time()
            log.error("too many files are open: new connections wait; raise LimitNOFILE, ulimit -n")

    loop.set_exception_handler(handle)


@contextmanager
def _listening(settings: ServerSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it. asyncio sets it only on sockets made with IPPROTO_TCP, and without
        # it the second half of a small answer waits 40 ms for the client's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if NOTSENT_LOWAT is not None:
            listener.setsockopt(socket.IPPROTO_TCP, NOTSENT_LOWAT, MOST_UNSENT)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            hint = "set PORT to another" if error.errno == errno.EADDRINUSE else "check HOST"
            raise Unusable(f"cannot listen on {where}: {error.strerror}; {hint}") from error
        listener.listen(WAITING_CONNECTIONS)
        yield listener


def _welcome(listener: socket.socket, configuration: Configuration, settings: Settings) -> None:
    model, device = configuration.catalogue.default, configuration.device
    if not (settings.models.whisper_model or settings.models.whisper_model_path):
        log.info("WHISPER_MODEL is not set: %s fits this box", model)
    if model == DEMO:
        log.warning("the demo model knows forty words of two languages: see its model card")
    on = device.description if device else f"{configuration.threads} CPU threads"
    log.info("model %s on %s", model, on)
    gpu = configuration.gpu
    if gpu.present and not device and settings.engine.whisper_device == "auto":
        log.warning("%s is here, but this engine cannot use it: whisperbox doctor", gpu.name())
    log.info("listening on %s, documentation at /docs", _address(listener))


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:  # of all addresses, the one that works here
        host = "localhost"
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


async def _first_administrator(accounts: Accounts, settings: AccessSettings) -> None:
    email, password = settings.admin_email, settings.admin_password
    if (email is None) != (password is None):
        raise Unusable("ADMIN_EMAIL and ADMIN_PASSWORD belong together: set both or none")
    if email is None or password is None or await accounts.all():
        return
    try:
        email, password_hash = normalised(email), hashed(password)
    except Invalid as refusal:
        raise Unusable(f"ADMIN_EMAIL or ADMIN_PASSWORD: {refusal.message}") from None
    await accounts.add(email, password_hash, admin=True, may=(), now=utc(time.time()))
    log.info("made the first administrator, %s", email)
