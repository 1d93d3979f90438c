"""The messages that the broadcaster receives. Its subscribers get the facts among them."""

import msgspec

from actors.events.subscription import Subscription
from actors.jobs.messages import (
    ChunkCommitted,
    JobChanged,
    JobDeleted,
    JobEnded,
    SpeakersSettled,
    TextSettled,
)
from actors.kernel.mailbox import Question
from actors.models.messages import ModelChanged


class Subscribe(Question[Subscription], frozen=True):
    """Subscribe to ``topic``: a job's id, MODEL or EVERYTHING.

    The one who asked closes the subscription when it is no longer needed.
    """

    topic: str


class Unsubscribed(msgspec.Struct, frozen=True):
    """A subscription to this topic has been closed."""

    topic: str


class CloseStreams(msgspec.Struct, frozen=True):
    """End every subscription: the server is shutting down."""


BroadcasterMessage = (
    ChunkCommitted
    | JobChanged
    | JobEnded
    | JobDeleted
    | SpeakersSettled
    | TextSettled
    | ModelChanged
    | Subscribe
    | Unsubscribed
    | CloseStreams
)
