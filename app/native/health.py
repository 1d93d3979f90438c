"""/health, and what orchestrators and Prometheus ask."""

import logging
from collections.abc import Iterator
from typing import Any

from litestar import Response, Router, get
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from actors.models.messages import State
from app.auth.guards import native
from app.native.documents import Health, Outcome, model_document
from app.native.openapi import answers
from app.services.services import Services

log = logging.getLogger(__name__)

MODEL_STATES = ("unloaded", "loading", "waiting_for_gpu", "ready")


@get("/health", summary="Is the server well?", tags=["health"])
async def health(services: Services) -> Health:
    """Green in every state of the model."""
    configuration = services.system.configuration
    vram = configuration.gpu.vram()
    state = await services.system.lifecycle.ask(State())
    return Health(
        status="ok",
        gpu_name=configuration.gpu.name(),
        vram_total_mb=vram.total_mb if vram else None,
        model=configuration.catalogue.default,
        queue_depth=await services.system.jobs.queued_count_for_health(),
        model_state=model_document(state, None).state,
    )


@get("/livez", summary="Does the process answer?", tags=["health"])
async def livez() -> dict[str, str]:
    return {"status": "ok"}


@get(
    "/readyz",
    summary="Does it take requests?",
    tags=["health"],
    responses=answers(503, Outcome, "Not now: it shuts down, or the database does not answer"),
)
async def readyz(services: Services) -> Response[Any]:
    """503 while the server shuts down, or when the database does not answer."""
    if services.system.draining:
        return Response({"status": "shutting down"}, status_code=503)
    try:
        await services.system.jobs.queued_count_for_health()
    except Exception:
        log.exception("the database does not answer")
        return Response({"status": "the database does not answer"}, status_code=503)
    return Response({"status": "ok"})


@get(
    "/metrics",
    summary="Figures for Prometheus",
    tags=["health"],
    responses=answers(200, str, "Prometheus's text format", "text/plain"),
)
async def metrics(services: Services) -> Response[bytes]:
    gauges = CollectorRegistry()
    gauges.register(_Gauges(await _readings(services)))
    body = generate_latest(REGISTRY) + generate_latest(gauges)
    return Response(body, headers={"content-type": CONTENT_TYPE_LATEST})


class _Gauges:
    def __init__(self, families: list[GaugeMetricFamily]) -> None:
        self._families = families

    def collect(self) -> Iterator[GaugeMetricFamily]:
        return iter(self._families)


async def _readings(services: Services) -> list[GaugeMetricFamily]:
    state = model_document(await services.system.lifecycle.ask(State()), None).state
    depth = GaugeMetricFamily(
        "whisperbox_queue_depth", "Jobs that wait", value=await services.system.jobs.queued_count()
    )
    age = GaugeMetricFamily(
        "whisperbox_queue_age_seconds",
        "How long the oldest waiting job has waited",
        value=await services.system.jobs.oldest_wait_secs(),
    )
    model = GaugeMetricFamily("whisperbox_model_state", "1 for the state", labels=["state"])
    for name in MODEL_STATES:
        model.add_metric([name], float(name == state))
    outbox = GaugeMetricFamily("whisperbox_deliveries", "Webhooks by outcome", labels=["outcome"])
    for outcome, count in (await services.system.deliveries.counts()).items():
        outbox.add_metric([outcome], count)
    messages = GaugeMetricFamily(
        "whisperbox_mailbox_depth", "Messages that wait for an actor", labels=["mailbox"]
    )
    waits = GaugeMetricFamily(
        "whisperbox_mailbox_wait_seconds",
        "How long an actor's oldest message has waited",
        labels=["mailbox"],
    )
    for mailbox in services.system.mailboxes:
        messages.add_metric([mailbox.name], mailbox.depth)
        waits.add_metric([mailbox.name], mailbox.wait_secs)
    families = [depth, age, model, outbox, messages, waits]
    if vram := services.system.configuration.gpu.vram():
        used = GaugeMetricFamily("whisperbox_vram_used_bytes", "VRAM", value=vram.used_mb << 20)
        total = GaugeMetricFamily("whisperbox_vram_total_bytes", "VRAM", value=vram.total_mb << 20)
        families += [used, total]
    return families


handlers: list[Any] = [
    health,
    livez,
    readyz,
    Router("/", route_handlers=[metrics], guards=[native]),
]
"""What orchestrators ask stays open."""
