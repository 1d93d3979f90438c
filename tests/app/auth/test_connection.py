from typing import Any, cast

import pytest

from app.auth.connection import Connection, check_origin
from app.http.refusals import Denied

HOME = "https://box.example"


def asked(host: str, scheme: str = "http", **headers: str) -> Connection:
    """A form that was sent to ``host``; headers with _ for -."""
    told = {"host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in told.items()]
    scope = {"type": "http", "method": "POST", "scheme": scheme, "headers": raw}
    return Connection(cast(Any, scope))


@pytest.mark.parametrize(
    ("home", "connection"),
    [
        (None, asked("box.lan:8080", origin="http://box.lan:8080")),
        (None, asked("box.lan", "https", origin="https://box.lan")),
        (HOME, asked("box.example", origin=HOME)),  # the proxy does not say that it speaks TLS
        (HOME, asked("127.0.0.1:8080", origin=HOME)),
        (HOME, asked("127.0.0.1:8080", origin="http://127.0.0.1:8080")),
        (HOME, asked("box.example", sec_fetch_site="same-origin", origin="null")),
        (HOME, asked("box.example")),
    ],
)
def test_a_form_of_ours_is_taken(home: str | None, connection: Connection) -> None:
    check_origin(connection, home)


@pytest.mark.parametrize(
    ("home", "connection"),
    [
        (None, asked("box.lan:8080", origin="null")),
        (None, asked("box.lan:8080", origin="http://box.lan")),
        (None, asked("box.lan:8080", origin="https://box.lan:8080")),
        (None, asked("box.lan", "https", origin="http://box.lan")),
        (HOME, asked("box.example", origin="http://box.example")),
        (HOME, asked("box.example", "https", origin="http://box.example")),
        (HOME, asked("127.0.0.1:8080", origin="http://box.example")),
        (HOME, asked("box.example", sec_fetch_site="cross-site")),
        (HOME, asked("box.example", sec_fetch_site="same-site", origin=HOME)),
    ],
)
def test_a_form_of_another_site_port_or_scheme_is_refused(
    home: str | None, connection: Connection
) -> None:
    with pytest.raises(Denied):
        check_origin(connection, home)
