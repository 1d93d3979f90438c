"""/manifest.webmanifest: so that a browser can install the pages like a program
(https://www.w3.org/TR/appmanifest/)."""

from typing import Any

from litestar import Response, get

from app.services.services import Services


@get("/manifest.webmanifest", include_in_schema=False)
async def manifest(services: Services) -> Response[dict[str, Any]]:
    base = services.info.base_path
    icon = {"src": f"{base}/static/icon.svg", "sizes": "any", "type": "image/svg+xml"}
    return Response(
        {
            "id": f"{base}/whisper",
            "name": "Whisperbox",
            "description": "Speech to text on your own box",
            "start_url": f"{base}/whisper",
            "scope": f"{base}/",
            "display": "standalone",
            "background_color": "#f6f8f9",
            "theme_color": "#0b6b8a",
            "icons": [icon | {"purpose": "any"}, icon | {"purpose": "maskable"}],
            "shortcuts": [{"name": "Search", "url": f"{base}/whisper/search"}],
        },
        media_type="application/manifest+json",
    )


handlers = [manifest]
