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
from litestar.openapi.spec import Server
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp, Message, Scope

from app.asr import errors as asr_errors
from app.asr import web_service
from app.auth.access import Access
from app.http.base_path import under_path
from app.http.file_names import possible_names
from app.http.pacing import paced
from app.hub import account, shares, transcribe
from app.hub import errors as hub_errors
from app.hub import jobs as hub_jobs
from app.mcp.server import mcp
from app.native import errors as native_errors
from app.native import health, jobs, model
from app.openai import audio, models
from app.openai import errors as openai_errors
from app.services.services import Services
from app.settings import Settings, values_in_use
from app.web import errors as page_errors
from app.web import pages, render
from storage.records import View

HERE = Path(__file__).parent


class _App(Litestar):
    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        """Litestar's own, without those for pydantic, attrs and others that it finds installed:
        we have msgspec alone, and pydantic would cost every start 0.1 s and 9 MiB."""
        return [*plugins, MsgspecDIPlugin()]


def create_app(services: Services, access: Access, settings: Settings) -> ASGIApp:
    """The server's routes, under the path of PUBLIC_URL if it has one."""
    app = litestar_app(services, access, settings)
    base_path = services.info.base_path
    return paced(under_path(app, base_path) if base_path else app)


def litestar_app(services: Services, access: Access, settings: Settings) -> Litestar:
    cors = CORSConfig(
        allow_origins=list(settings.server.cors_origins),
        expose_headers=["Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining"],
    )
    base_path = services.info.base_path
    render.serve_under(base_path)
    shown_settings = values_in_use(settings)
    return _App(
        route_handlers=[
            jobs.router,
            model.router,
            *health.handlers,
            account.router,
            hub_jobs.router,
            transcribe.router,
            shares.router,
            audio.router,
            models.router,
            web_service.router,
            mcp,
            *pages.routers,
            create_static_files_router(
                "/assets",
                [HERE / "vendor"],
                include_in_schema=False,
                middleware=[possible_names, pages.smaller],
            ),
        ],
        dependencies={
            "services": Provide(lambda: services, sync_to_thread=False),
            "access": Provide(lambda: access, sync_to_thread=False),
            "view": Provide(_view, sync_to_thread=False),
            "shown_settings": Provide(lambda: shown_settings, sync_to_thread=False),
        },
        exception_handlers=native_errors.HANDLERS | {HTTPException: _unrouted},
        before_send=[_say_allowance],
        state=State({"access": access, "services": services}, deep_copy=False),
        logging_config=None,
        cors_config=cors if settings.server.cors_origins else None,
        openapi_config=OpenAPIConfig(
            title="Whisperbox",
            version=metadata.version("whisperbox"),
            description="Speech to text on your own box. The integration guide is docs/guide.md.",
            path="/docs",
            render_plugins=[_swagger(base_path)],
            servers=[Server(url=base_path or "/")],
            use_handler_docstrings=True,
        ),
    )


def _unrouted(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """No route was found: a page for a browser, else an error of the path's own dialect."""
    if "text/html" in request.headers.get("accept", ""):
        return page_errors.failed_request(request, error)
    path = request.url.path
    for prefix, answer in (
        ("/api/", hub_errors.http_error),
        ("/v1/", openai_errors.http_error),
        ("/asr", asr_errors.http_error),
        ("/detect-language", asr_errors.http_error),
    ):
        if path.startswith(prefix):
            return answer(request, error)
    return native_errors.http_error(request, error)


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


def _swagger(base_path: str) -> SwaggerRenderPlugin:
    """From our own files: a box without internet has documentation, too."""
    folder = f"{base_path}/assets/swagger-ui"
    return SwaggerRenderPlugin(
        path="/",
        js_url=f"{folder}/swagger-ui-bundle.js",
        css_url=f"{folder}/swagger-ui.css",
        standalone_preset_js_url=f"{folder}/swagger-ui-standalone-preset.js",
        favicon=f'<link rel="icon" type="image/png" href="{folder}/favicon-32x32.png">',
    )
