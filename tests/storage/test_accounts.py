from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.accounts import Accounts
from storage.database import open_database
from storage.errors import Conflict
from storage.records import Account, Permission

pytestmark = pytest.mark.anyio

AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture
async def accounts(tmp_path: Path) -> AsyncIterator[Accounts]:
    async with open_database(tmp_path / "a.db") as database:
        yield Accounts(database)


async def ann(accounts: Accounts) -> Account:
    return await accounts.add("ann@x", "hash", admin=False, may=[Permission.USE], now=AT)


async def test_an_account_is_found_by_its_address(accounts: Accounts) -> None:
    made = await ann(accounts)
    assert await accounts.find("ann@x") == (made, "hash")
    assert await accounts.find("bob@x") is None
    assert made.may(Permission.USE)
    assert not made.may(Permission.MANAGE)


async def test_an_administrator_may_everything(accounts: Accounts) -> None:
    root = await accounts.add("root@x", "hash", admin=True, may=[], now=AT)
    assert all(root.may(permission) for permission in Permission)


async def test_an_address_has_one_account(accounts: Accounts) -> None:
    await ann(accounts)
    with pytest.raises(Conflict, match="already"):
        await ann(accounts)


async def test_a_session_lasts_its_time(accounts: Accounts) -> None:
    made = await ann(accounts)
    await accounts.begin_session(made.number, b"s", AT, expires=100.0, expired=0.0)
    assert await accounts.of_session(b"s", 99.0) == made
    assert await accounts.of_session(b"s", 100.0) is None
    assert await accounts.of_session(b"other", 99.0) is None
    await accounts.end_session(b"s")
    assert await accounts.of_session(b"s", 99.0) is None


@pytest.mark.parametrize("how", ["password", "disabled"])
async def test_sessions_end_with_the_password_and_with_the_account(
    accounts: Accounts, how: str
) -> None:
    made = await ann(accounts)
    await accounts.begin_session(made.number, b"s", AT, expires=100.0, expired=0.0)
    if how == "password":
        await accounts.set_password(made.number, "new")
    else:
        await accounts.set_disabled(made.number, AT)
        await accounts.set_disabled(made.number, None)
    assert await accounts.of_session(b"s", 1.0) is None


async def test_a_token_holds_until_it_is_revoked_or_expires(accounts: Accounts) -> None:
    made = await ann(accounts)
    for secret, expires in ((b"a", None), (b"b", 50.0)):
        await accounts.add_token(
            made.number, secret, name="ci", scopes=["s"], now=AT, expires=expires
        )
    found = await accounts.of_token(b"a", 10.0)
    assert found
    assert (found[0], found[1].name, found[1].scopes) == (made, "ci", frozenset({"s"}))
    assert await accounts.of_token(b"b", 50.0)
    assert await accounts.of_token(b"b", 50.1) is None
    assert await accounts.revoke_token(found[1].number, None, AT)
    assert not await accounts.revoke_token(found[1].number, None, AT)
    assert await accounts.of_token(b"a", 10.0) is None


async def test_a_token_is_revoked_by_its_own_account_alone(accounts: Accounts) -> None:
    made = await ann(accounts)
    token = await accounts.add_token(made.number, b"a", name="", scopes=[], now=AT, expires=None)
    assert not await accounts.revoke_token(token.number, made.number + 1, AT)
    assert await accounts.revoke_token(token.number, made.number, AT)


async def test_a_disabled_accounts_tokens_sleep(accounts: Accounts) -> None:
    made = await ann(accounts)
    await accounts.add_token(made.number, b"a", name="", scopes=[], now=AT, expires=None)
    await accounts.set_disabled(made.number, AT)
    assert await accounts.of_token(b"a", 1.0) is None
    await accounts.set_disabled(made.number, None)
    assert await accounts.of_token(b"a", 1.0)


async def test_a_tokens_use_is_noted_once_a_minute(accounts: Accounts) -> None:
    made = await ann(accounts)
    token = await accounts.add_token(made.number, b"a", name="", scopes=[], now=AT, expires=None)
    seen = []
    for at in ("00:00:00", "00:00:59", "00:01:01"):
        await accounts.note_token_use(token, f"2026-01-01T{at}.000Z")
        seen.append((await accounts.tokens(made.number))[0].last_used_at)
    assert seen == [AT, AT, "2026-01-01T00:01:01.000Z"]


async def test_a_key_is_made_once(accounts: Accounts) -> None:
    assert await accounts.key("sessions", b"first") == b"first"
    assert await accounts.key("sessions", b"second") == b"first"
