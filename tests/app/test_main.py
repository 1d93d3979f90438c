"""What the process asks of its listener and of its event loop."""

import asyncio
import errno
import logging
import socket

import pytest

from app.main import _home, _listening, _say_less_of_open_files
from app.settings import ServerSettings


def test_a_small_answer_waits_for_no_acknowledgement() -> None:
    with _listening(ServerSettings(host="127.0.0.1", port=0)) as listener:
        with socket.create_connection(listener.getsockname()):
            connection, _ = listener.accept()
            with connection:
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_more_files_is_one_line_and_other_errors_are_told_as_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.new_event_loop()
    try:
        _say_less_of_open_files(loop)
        for _ in range(100):
            full = {"message": "out of files", "exception": OSError(errno.EMFILE, "too many")}
            loop.call_exception_handler(full)
        assert [record.message[:23] for record in caplog.records] == ["too many files are open"]
        loop.call_exception_handler({"message": "odd", "exception": ValueError("other")})
        assert caplog.records[-1].levelno == logging.ERROR
        assert caplog.records[-1].message == "odd"
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("public_url", "origin"),
    [
        (None, None),
        ("https://Box.example:443/whisperbox", "https://box.example"),
        ("http://box.lan:8080", "http://box.lan:8080"),
    ],
)
def test_the_origin_of_our_pages_is_written_as_browsers_write_it(
    public_url: str | None, origin: str | None
) -> None:
    assert _home(ServerSettings(public_url=public_url)) == origin
