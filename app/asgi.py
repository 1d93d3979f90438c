"""The web application: every route of every dialect."""

from importlib import metadata
from pathlib import Path

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.static_files import create_static_files_router

from actors.system import System
from app import faults
from app.native import health, jobs, model
from app.settings import Settings

VENDOR = Path(__file__).parent / "vendor"


def create_app(system: System, settings: Settings) -> Litestar:
    cors = CORSConfig(
        allow_origins=list(settings.cors_origins),
        expose_headers=["Retry-After"],
    )
    return Litestar(
        route_handlers=[
            jobs.router,
            model.router,
            *health.handlers,
            create_static_files_router("/assets", [VENDOR], include_in_schema=False),
        ],
        dependencies={
            "system": Provide(lambda: system, sync_to_thread=False),
            "queue_when_unloaded": Provide(
                lambda: settings.queue_when_unloaded, sync_to_thread=False
            ),
        },
        exception_handlers=faults.HANDLERS,
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
