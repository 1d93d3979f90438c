import pytest

from app.auth import passwords
from storage.errors import Invalid

pytestmark = pytest.mark.anyio


async def test_a_password_is_known_again_by_its_hash() -> None:
    made = passwords.hashed("correct horse")
    assert made.startswith("$argon2id$")
    assert await passwords.verify(made, "correct horse")
    assert not await passwords.verify(made, "battery staple")


async def test_no_account_has_no_password() -> None:
    assert not await passwords.verify(None, "nobody's")


async def test_no_password_may_keep_the_box_busy() -> None:
    assert not await passwords.verify(passwords.hashed("correct horse"), "x" * 10_000_000)


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_a_password_has_a_sensible_length(password: str) -> None:
    with pytest.raises(Invalid, match="8 to 1024"):
        passwords.hashed(password)
