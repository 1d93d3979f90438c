import pytest

from app.auth.credentials import normalised
from app.auth.permissions import API_SCOPE, Caller, require_api
from app.http.refusals import Denied
from storage.errors import Invalid
from storage.records import Account, Permission, Token, View


def caller(*may: Permission, admin: bool = False, scopes: tuple[str, ...] = (API_SCOPE,)) -> Caller:
    account = Account(
        number=7, email="a@b", admin=admin, permissions=frozenset(may), created_at="",
        disabled_at=None,
    )  # fmt: skip
    token = Token(
        number=1, account=7, name="", scopes=frozenset(scopes), created_at="", expires=None,
        last_used_at=None, revoked_at=None,
    )  # fmt: skip
    return Caller(account, token=token)


def test_a_token_of_another_scope_is_denied() -> None:
    rights = (Permission.API, Permission.USE)
    require_api(caller(*rights))
    with pytest.raises(Denied, match=r"scope whisper\.api"):
        require_api(caller(*rights, scopes=("something.else",)))


@pytest.mark.parametrize("missing", [Permission.API, Permission.USE])
def test_a_tokens_owner_needs_both_permissions(missing: Permission) -> None:
    rights = {Permission.API, Permission.USE} - {missing}
    with pytest.raises(Denied, match="permission whisper"):
        require_api(caller(*rights))


def test_each_sees_their_own_and_managers_all() -> None:
    one, manager = caller(Permission.USE), caller(Permission.MANAGE)
    assert one.jobs == View(7, ("web", "api", "openai", "asr"))
    assert (manager.jobs, manager.api_jobs) == (View(), View(7, ("api",)))
    assert (one.native_jobs, manager.native_jobs) == (
        View(7, ("native", "openai", "asr", "wyoming", "watch")),
        View(None, ("native", "openai", "asr", "wyoming", "watch")),
    )
    assert caller(admin=True).jobs == View()


def test_an_address_is_written_in_one_way() -> None:
    assert normalised(" Ann@Box.Example ") == "ann@box.example"


@pytest.mark.parametrize("text", ["", "ann", "@box", "ann@", "a b@c", "a" * 260 + "@b"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        normalised(text)
