"""A web server on loopback that jobs name by URL; it can be as unhelpful as the web is."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class MediaServer:
    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.closing = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.append(self.path)
                owner.answers.get(self.path, gives(b"", status=404))(self)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def at(self, path: str, answer: Answer, host: str = "127.0.0.1") -> str:
        self.answers[path] = answer
        return f"http://{host}:{self.server.server_port}{path}"

    def trickles(self, data: bytes, every_s: float) -> Answer:
        """A byte at a time."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            _begin(handler, 200, {"Content-Type": "audio/wav", "Content-Length": len(data)})
            for n in range(len(data)):
                if self.closing.wait(every_s):
                    return
                handler.wfile.write(data[n : n + 1])

        return answer

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


def gives(data: bytes, status: int = 200, size: int | None = None, **headers: str) -> Answer:
    """``size``: what it claims to have."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        told = {"Content-Type": "audio/wav", "Content-Length": len(data) if size is None else size}
        _begin(handler, status, told | {k.replace("_", "-"): v for k, v in headers.items()})
        handler.wfile.write(data)

    return answer


def redirects(target: str) -> Answer:
    return gives(b"", status=302, Location=target)


def fails_at_first(times: int, then: Answer) -> Answer:
    left = [times]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        left[0] -= 1
        (gives(b"", status=503) if left[0] >= 0 else then)(handler)

    return answer


def _begin(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, object]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, str(value))
    handler.end_headers()
