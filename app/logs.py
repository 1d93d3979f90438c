"""Structured logs: text for people, JSON for machines. Both have what a caller of the logger names
as `extra`: the job, the chunk, the address of a refused sign-in."""

import json
import logging
import sys
from typing import Any

from storage.times import utc

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What every record has; whatever else it has was named by whoever logged it."""
_ESCAPED = {
    code: ascii(chr(code))[1:-1] for code in [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
}
"""Control characters and ends of lines: nothing that a client sends may look like another line."""


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        named = "".join(f" {key}={value}" for key, value in _named(record).items())
        said = f"{record.getMessage()}{named}".translate(_ESCAPED)
        line = f"{utc(record.created)} {record.levelname.lower():7} {said}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_named(record),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _named(record: logging.LogRecord) -> dict[str, Any]:
    fields = record.__dict__.items()
    return {key: value for key, value in fields if key not in _STANDARD and value is not None}


def configure(form: str, level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
