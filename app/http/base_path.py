"""Serving under a path: ``PUBLIC_URL=https://box.example/whisperbox``."""

from litestar.types import ASGIApp, Message, Receive, Scope, Send


def under_path(app: ASGIApp, base_path: str) -> ASGIApp:
    """The app as it is seen behind a proxy that serves it under ``base_path`` (``/whisperbox``).

    The app knows its own paths alone. Requests may come with the base path, or from a proxy that
    has stripped it; redirects get it in either case.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path"] = _within(scope["path"], base_path)
        raw = scope.get("raw_path")
        if raw:
            scope["raw_path"] = _within(raw.decode("latin-1"), base_path).encode("latin-1")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    (name, _prefixed(name, value)) for name, value in message["headers"]
                ]
            await send(message)

        await app(scope, receive, answer)

    def _prefixed(name: bytes, value: bytes) -> bytes:
        is_own_path = value.startswith(b"/") and not value.startswith(b"//")
        if name.lower() in (b"location", b"hx-redirect") and is_own_path:
            return base_path.encode() + value
        return value

    return serve


def _within(path: str, base_path: str) -> str:
    """``path`` without the base path, where it has it."""
    if path == base_path or path.startswith(f"{base_path}/"):
        return path[len(base_path) :] or "/"
    return path
