"""A server on loopback that speaks OpenAI's protocol, and remembers what it was asked."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Provider:
    """Answers with ``write`` of the user's message; with ``statuses`` first, where there are."""

    def __init__(self, write: Callable[[str], str] = lambda text: f"[{len(text)} characters]"):
        self.asked: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.finish_reason = "stop"
        self.hold = threading.Event()
        self.hold.set()
        self.write = write
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                owner.asked.append(body | {"key": self.headers["authorization"], "at": self.path})
                owner.hold.wait(30)
                if owner.statuses and (status := owner.statuses.pop(0)) != 200:
                    self._answer(status, {"error": {"message": "no"}}, retry_after_ms="1")
                    return
                text = owner.write(body["messages"][-1]["content"])
                message = {"role": "assistant", "content": text}
                choice = {"index": 0, "message": message, "finish_reason": owner.finish_reason}
                usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
                self._answer(200, {
                    "id": "x", "object": "chat.completion", "created": 1, "model": "tiny-llm",
                    "choices": [choice], "usage": usage,
                })  # fmt: skip

            def _answer(self, status: int, body: object, **headers: str) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()


def data_of(message: str) -> str:
    """What stands between the marks."""
    return message.partition("\n")[2].rpartition("\n")[0]
