"""A model hub on loopback: as much of its protocol as a download needs."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0" * 40


class Hub:
    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.wrong_digest = False
        self.breaks_after: int | None = None
        """Bytes after which a download's connection is cut, once."""
        self.ranges: list[str | None] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        name = request.path.rsplit("/", 1)[-1]
        data = self.files.get(name)
        if data is None:
            request.send_response(404)
            request.send_header("X-Error-Code", "EntryNotFound")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        asked = request.headers.get("Range")
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
        start = int(wanted[1]) if wanted else 0
        digest = "f" * 64 if self.wrong_digest else hashlib.sha256(data).hexdigest()
        request.send_response(206 if wanted else 200)
        request.send_header("ETag", f'"{digest}"')
        request.send_header("X-Linked-Etag", f'"{digest}"')
        request.send_header("X-Linked-Size", str(len(data)))
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("Content-Length", str(len(data) - start))
        if wanted:
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            request.send_header("Content-Range", span)
        request.end_headers()
        if not body:
            return
        self.ranges.append(asked)
        end, self.breaks_after = self.breaks_after or len(data), None
        request.wfile.write(data[start:end])
        if end < len(data):
            request.close_connection = True


@contextmanager
def hub(folder: Path | None = None, **files: bytes) -> Iterator[Hub]:
    """Serves ``ggml-NAME.bin`` for each given NAME, and the files of ``folder``, if there is one,
    in every repository."""
    made = Hub({f"ggml-{name}.bin": data for name, data in files.items()})
    if folder is not None:
        made.files |= {path.name: path.read_bytes() for path in folder.iterdir()}
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
