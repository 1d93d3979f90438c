"""Sends facts to the actors that listen for them, so that the sender need not know these actors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from actors.kernel.mailbox import Address

Publish = Callable[[object], None]
"""Publishes a fact; see `Publisher.publish`."""


class Publisher:
    """Tells each fact to the addresses that are listed for its type.

    Example: ``Publisher({JobEnded: [broadcaster, webhooks]}).publish(JobEnded(...))``
    """

    def __init__(self, listeners: Mapping[type, Sequence[Address[Any]]]) -> None:
        self.listeners = listeners

    def publish(self, fact: object) -> None:
        """Tell the fact to all its listeners.

        Raises:
            KeyError: no listeners are listed for facts of this type.
            Full: a listener's mailbox is full.
        """
        for address in self.listeners[type(fact)]:
            address.tell(fact)
