"""/model"""

from functools import partial
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.response import Stream

from actors.events.messages import Subscribe
from actors.events.subscription import MODEL
from actors.models.messages import LoadModel, State, UnloadModel
from app.auth.access import Access
from app.auth.guards import native
from app.http import event_stream
from app.native.documents import ModelDocument, ModelEvent, Outcome, model_document
from app.native.openapi import EVENTS, answers, errors
from app.native.streams import model_events
from app.services.services import Services


@get("/status", summary="The model's state", responses=errors())
async def status(services: Services) -> ModelDocument:
    """VRAM figures are left out where there is no NVIDIA GPU."""
    state = await services.system.lifecycle.ask(State())
    return model_document(state, services.system.configuration.gpu.vram())


@post(
    "/load",
    status_code=202,
    summary="Load the model",
    responses=errors()
    | answers(200, Outcome, "`already_ready`")
    | answers(202, Outcome, "`load_initiated`"),
)
async def load(services: Services) -> Response[Any]:
    """Idempotent. 202 `load_initiated`, or 200 `already_ready`."""
    if await services.system.lifecycle.ask(LoadModel()):
        return Response({"status": "already_ready"}, status_code=200)
    return Response({"status": "load_initiated"}, status_code=202)


@post("/unload", status_code=200, summary="Unload the model", responses=errors())
async def unload(services: Services) -> dict[str, str]:
    """After the chunk at hand. Work that waits tries again after one GPU poll interval."""
    await services.system.lifecycle.ask(UnloadModel())
    return {"status": "unload_requested"}


@get(
    "/events",
    summary="Follow the model (server-sent events)",
    responses=errors() | answers(200, ModelEvent, "The events' data", EVENTS),
)
async def events(request: Request[Any, Any, Any], services: Services, access: Access) -> Stream:
    """Events: `model_loading`, `model_ready` `{loaded_at}`, `model_unloaded`,
    `model_waiting_for_gpu` `{vram_needed_mb, vram_free_mb, retry_in_secs}`, each with its name as
    `type`. The first is the state now. `model_loading` has `downloaded` (0 to 1) during a
    download, `model_unloaded` has `error` after a load that failed.
    """
    subscription = await services.system.broadcaster.ask(Subscribe(MODEL))
    return event_stream.stream(
        model_events(subscription), subscription, partial(access.is_still_in, request)
    )


router = Router(
    "/model",
    route_handlers=[status, load, unload, events],
    guards=[native],
    tags=["model"],
)
