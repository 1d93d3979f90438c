import json
import logging

from app.logs import JsonFormatter, TextFormatter


def record(**named: object) -> logging.LogRecord:
    made = logging.LogRecord("actors.jobs.queue", logging.INFO, "", 0, "chunk %s", ("done",), None)
    made.created = 1778421600.0
    made.__dict__ |= named
    return made


def test_text_names_the_job_and_the_chunk() -> None:
    line = TextFormatter().format(record(job="a", chunk=0))
    assert line == "2026-05-10T14:00:00.000Z info    chunk done job=a chunk=0"


def test_no_text_of_a_client_becomes_a_line_of_its_own() -> None:
    line = TextFormatter().format(record(path="/a\n2026 warning\x1b[31m\u2028\x00 é"))
    assert line.endswith("path=/a\\n2026 warning\\x1b[31m\\u2028\\x00 é")


def test_json_is_one_object_a_line() -> None:
    line = JsonFormatter().format(record(job="a", chunk=3))
    assert json.loads(line) == {
        "time": "2026-05-10T14:00:00.000Z",
        "level": "info",
        "logger": "actors.jobs.queue",
        "message": "chunk done",
        "job": "a",
        "chunk": 3,
    }


def test_whatever_is_named_is_there() -> None:
    """The address of a refused sign-in, say, which fail2ban reads."""
    named = record(address="192.0.2.1", text="analysis en")
    assert TextFormatter().format(named).endswith("chunk done address=192.0.2.1 text=analysis en")
    assert json.loads(JsonFormatter().format(named))["address"] == "192.0.2.1"
