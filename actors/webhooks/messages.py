"""The messages that the webhook dispatcher receives."""

import msgspec

from actors.jobs.messages import JobEnded, JobQueued, TextSettled
from actors.kernel.mailbox import Question
from actors.models.messages import ModelLoaded, ModelUnloaded
from storage.records import Delivery


class Replay(Question[bool], frozen=True):
    """Send a delivery again that was delivered or has failed.

    The answer says whether there is such a delivery.
    """

    delivery_id: str


class DeliveryTried(msgspec.Struct, frozen=True):
    """The dispatcher tells itself the outcome of one try."""

    delivery: Delivery
    http_status: int | None
    error: str | None


class DeliveryDue(msgspec.Struct, frozen=True):
    """The dispatcher's own timer ran out; ignored unless ``generation`` is that of the latest."""

    generation: int


class CheckClock(msgspec.Struct, frozen=True):
    """The dispatcher tells itself, every minute: was the system's clock put back?"""


class PruneDeliveries(msgspec.Struct, frozen=True):
    """The dispatcher tells itself this every hour: delete deliveries that ended long ago."""


WebhookMessage = (
    JobQueued
    | JobEnded
    | TextSettled
    | ModelLoaded
    | ModelUnloaded
    | Replay
    | DeliveryTried
    | DeliveryDue
    | PruneDeliveries
    | CheckClock
)
