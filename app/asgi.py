"""The web application: every route of every dialect."""

import time
from importlib import metadata
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders, State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.static_files import create_static_files_router
from litestar.types import Message, Scope

from actors.system import System
from app import faults
from app.access import Access
from app.hub import account, shares, transcribe
from app.hub import jobs as hub_jobs
from app.hub.hub import Hub
from app.native import health, jobs, model
from app.settings import Settings, in_force
from app.web import pages, troubles
from storage.records import View

HERE = Path(__file__).parent


def create_app(system: System, settings: Settings, hub: Hub, access: Access) -> Litestar:
    cors = CORSConfig(
        allow_origins=list(settings.cors_origins),
        expose_headers=["Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining"],
    )
    told = in_force(settings)
    intake = jobs.Intake(system, settings.queue_when_unloaded, settings.upload_max_mb << 20 or None)
    return Litestar(
        route_handlers=[
            jobs.router,
            model.router,
            *health.handlers,
            account.router,
            hub_jobs.router,
            transcribe.router,
            *shares.routers,
            *pages.routers,
            create_static_files_router(
                "/assets",
                [HERE / "vendor"],
                include_in_schema=False,
                middleware=[pages.smaller],
            ),
        ],
        dependencies={
            "system": Provide(lambda: system, sync_to_thread=False),
            "hub": Provide(lambda: hub, sync_to_thread=False),
            "access": Provide(lambda: access, sync_to_thread=False),
            "view": Provide(_view, sync_to_thread=False),
            "intake": Provide(lambda: intake, sync_to_thread=False),
            "settings_told": Provide(lambda: told, sync_to_thread=False),
        },
        exception_handlers=faults.HANDLERS | {HTTPException: _unrouted},
        before_send=[_say_allowance],
        state=State({"access": access}, deep_copy=False),
        logging_config=None,
        cors_config=cors if settings.cors_origins else None,
        openapi_config=OpenAPIConfig(
            title="Whisperbox",
            version=metadata.version("whisperbox"),
            description="Speech to text on your own box. The integration guide is docs/guide.md.",
            path="/docs",
            render_plugins=[_swagger()],
            use_handler_docstrings=True,
        ),
    )


def _unrouted(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """A page for whoever came by a browser's address bar."""
    by_hand = "text/html" in request.headers.get("accept", "")
    return (troubles.failed_request if by_hand else faults.unrouted)(request, error)


def _view(request: Request[Any, Any, Any]) -> View:
    """What the native dialect's guard has found that the caller may see."""
    view: View = request.state.view
    return view


async def _say_allowance(message: Message, scope: Scope) -> None:
    """How often the caller may still ask, on whatever answer they get."""
    allowance = scope.get("state", {}).get("allowance")
    if allowance is not None and allowance.limit and message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        headers["X-RateLimit-Limit"] = str(allowance.limit)
        headers["X-RateLimit-Remaining"] = str(max(0, allowance.remaining))
        if allowance.exceeded:
            headers["X-RateLimit-Reset"] = str(int(time.time()) + allowance.retry_after)


def _swagger() -> SwaggerRenderPlugin:
    """From our own files: a box without internet has documentation, too."""
    folder = "/assets/swagger-ui"
    return SwaggerRenderPlugin(
        path="/",
        js_url=f"{folder}/swagger-ui-bundle.js",
        css_url=f"{folder}/swagger-ui.css",
        standalone_preset_js_url=f"{folder}/swagger-ui-standalone-preset.js",
        favicon=f'<link rel="icon" type="image/png" href="{folder}/favicon-32x32.png">',
    )
