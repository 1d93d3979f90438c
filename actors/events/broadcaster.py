"""The actor that passes facts about jobs and the model on to subscribers."""

from collections import defaultdict
from typing import assert_never

from anyio.lowlevel import checkpoint

from actors.events.messages import BroadcasterMessage, CloseStreams, Subscribe, Unsubscribed
from actors.events.subscription import EVERYTHING, MODEL, Subscription
from actors.jobs.messages import JobDeleted, JobEnded, JobFact
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox
from actors.models.messages import ModelChanged

WOKEN_AT_ONCE = 10
"""How many readers get an event before the event loop does something else. Each of them takes some
tenths of a millisecond, and with thousands every other request would wait for all of them."""


class Broadcaster(Actor[BroadcasterMessage]):
    def __init__(self, mailbox: Mailbox[BroadcasterMessage]) -> None:
        super().__init__(mailbox)
        self._subscribers: defaultdict[str, list[Subscription]] = defaultdict(list)
        self._model: ModelChanged | None = None
        self._closing = False

    async def handle(self, message: BroadcasterMessage) -> object:
        match message:
            case JobFact(job_id=job_id):
                await self._send_to_topic(job_id, message)
                return await self._send_to_topic(EVERYTHING, message)
            case ModelChanged():
                self._model = message
                await self._send_to_topic(MODEL, message)
                return await self._send_to_topic(EVERYTHING, message)
            case Subscribe(topic):
                return self._subscribe(topic)
            case Unsubscribed(topic):
                return self._drop_closed(topic)
            case CloseStreams():
                return self._close_all()
            case _:
                assert_never(message)

    async def _send_to_topic(self, topic: str, event: object) -> None:
        """Offer the event to the topic's open subscriptions, and drop the closed ones."""
        self._drop_closed(topic)
        for n, subscription in enumerate(self._subscribers.get(topic, ()), 1):
            subscription.offer(event)
            if n % WOKEN_AT_ONCE == 0:
                await checkpoint()
        if isinstance(event, JobEnded | JobDeleted) and topic != EVERYTHING:
            self._subscribers.pop(topic, None)

    def _subscribe(self, topic: str) -> Subscription:
        subscription = Subscription(topic, lambda: self.me.tell(Unsubscribed(topic)))
        if self._closing:
            subscription.close()
            return subscription
        if topic in (MODEL, EVERYTHING) and self._model is not None:
            subscription.offer(self._model)
        self._subscribers[topic].append(subscription)
        return subscription

    def _drop_closed(self, topic: str) -> None:
        living = [each for each in self._subscribers.pop(topic, ()) if not each.closed]
        if living:
            self._subscribers[topic] = living

    def _close_all(self) -> None:
        self._closing = True
        everyone = [each for those in self._subscribers.values() for each in those]
        self._subscribers.clear()
        for subscription in everyone:
            subscription.close()
