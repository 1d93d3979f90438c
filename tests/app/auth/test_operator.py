import jwt
import pytest

from app.auth import operator
from app.auth.operator import is_pass, make_pass

KEY, OTHER = bytes(32), bytes(31) + b"1"


def test_a_pass_holds_for_the_key_that_made_it() -> None:
    assert is_pass(make_pass(KEY), KEY)
    assert not is_pass(make_pass(OTHER), KEY)


def test_a_pass_is_soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "LASTS_S", -2.0)
    assert not is_pass(make_pass(KEY), KEY)


@pytest.mark.parametrize("secret", [None, "", "sk-none", "wb_token", "a.b.c"])
def test_what_clients_show_otherwise_is_no_pass(secret: str | None) -> None:
    assert not is_pass(secret, KEY)


def test_a_session_of_the_same_key_is_no_pass() -> None:
    session = jwt.encode({"sid": "1", "exp": 9_999_999_999}, KEY, operator.ALGORITHM)
    assert not is_pass(session, KEY)


def test_a_pass_that_nothing_has_signed_is_none() -> None:
    claims = {"aud": operator.AUDIENCE, "exp": 9_999_999_999}
    assert not is_pass(jwt.encode(claims, None, "none"), KEY)
