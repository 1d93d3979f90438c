"""What the webhook dispatcher is told and asked."""

import msgspec

from actors.jobs.messages import JobEnded, JobQueued, TextSettled
from actors.kernel.mailbox import Question
from actors.models.messages import ModelLoaded, ModelUnloaded
from storage.records import Delivery


class Replay(Question[bool], frozen=True):
    """Begin again with a delivery that is over. Answered whether there is one."""

    delivery_id: str


class DeliveryTried(msgspec.Struct, frozen=True):
    """The dispatcher tells itself what came of one try."""

    delivery: Delivery
    http_status: int | None
    error: str | None


class DeliveryDue(msgspec.Struct, frozen=True):
    """The dispatcher's own timer; ignored unless ``generation`` is still the latest."""

    generation: int


class PruneDeliveries(msgspec.Struct, frozen=True):
    """The dispatcher tells itself, now and then: forget what ended long ago."""


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
)
