"""Facts and who hears them: whoever states a fact knows nobody who listens."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from actors.kernel.mailbox import Address

Publish = Callable[[object], None]
"""States a fact."""


class Publisher:
    """Tells each fact to the addresses that are listed for its type.

    Example: ``Publisher({JobEnded: [broadcaster, webhooks]}).publish(JobEnded(...))``
    """

    def __init__(self, listeners: Mapping[type, Sequence[Address[Any]]]) -> None:
        self.listeners = listeners

    def publish(self, fact: object) -> None:
        """
        Raises:
            KeyError: nothing says who hears facts of this type.
            Full: a listener's mailbox is full.
        """
        for address in self.listeners[type(fact)]:
            address.tell(fact)
