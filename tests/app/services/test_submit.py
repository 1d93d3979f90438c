import pytest

from app.services.submit import LONGEST_KEY, stored_key
from storage.errors import Invalid
from storage.records import Channel


def test_no_two_clients_have_the_same_key() -> None:
    asked = [
        ("monday", None, Channel.NATIVE),
        ("monday", 1, Channel.NATIVE),
        ("monday", 1, Channel.WEB),
        ("monday", 1, Channel.API),
        ("monday", 2, Channel.WEB),
    ]
    assert len({stored_key(*each) for each in asked}) == len(asked)
    assert stored_key("1:monday", None, Channel.NATIVE) != stored_key("monday", 1, Channel.WEB)
    assert stored_key(None, 1, Channel.WEB) is None


@pytest.mark.parametrize("key", ["", "k" * (LONGEST_KEY + 1)])
def test_an_empty_or_long_key_is_refused(key: str) -> None:
    with pytest.raises(Invalid, match="1 to 255 characters"):
        stored_key(key, 1, Channel.WEB)
