"""The events of the webhook. The queue of an account lies in its shard, the log of deliveries in the first one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from tim.rules import DELIVERIES_KEPT, SHARDS, shard_of
from tim.state_change import Delivery, EventQueue, StateChange
from tim.store.redis.connection import Connection
from tim.store.redis.decode import seconds, us
from tim.store.redis.scripts import Scripts, call_id
from tim.store.redis.shards import key


class Events:
    """The verbs on events of a store on Redis."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts

    def switch(self, app: int, on: bool) -> None:
        """The verb `queue_events`."""
        self._scripts.queue_events(on)

    def due(self, app: int, many: int) -> list[str]:
        """The verb `due_events`. A shard that does not answer is left out."""
        replies = self._scripts.everywhere("due_events", app, -(-many // SHARDS))
        return [user for reply in replies if reply is not None for user in reply[0]]

    def take(self, app: int, user: str, sender: str, lease: float) -> StateChange | None:
        """The verb `take_event`."""
        [event] = self._scripts.call(shard_of(app, user), "take_event", app, user, sender, us(lease))
        return _event(app, user, event) if event else None

    def sent(self, app: int, user: str, sender: str, id: str) -> bool:
        """The verb `event_sent`."""
        [left] = self._scripts.call(shard_of(app, user), "event_sent", app, user, sender, id)
        return bool(left)

    def failed(self, app: int, user: str, sender: str, id: str, pause: float) -> None:
        """The verb `event_failed`."""
        self._scripts.call(shard_of(app, user), "event_failed", app, user, sender, id, us(pause))

    def retry(self, app: int) -> None:
        """The verb `retry_events`."""
        self._scripts.everywhere_or_fail("retry_events", app)

    def queue(self, app: int) -> EventQueue:
        """The verb `event_queue`."""
        counts = [[int(number) for number in reply] for reply in self._scripts.everywhere_or_fail("event_queue", app)]
        return EventQueue(*map(sum, zip(*counts, strict=True)))

    def log(self, app: int, deliveries: Sequence[Delivery]) -> None:
        """The verb `log_deliveries`."""
        newest = (json.dumps(asdict(delivery)) for delivery in deliveries[-DELIVERIES_KEPT:])
        self._scripts.call(0, "log_deliveries", app, DELIVERIES_KEPT, call_id(), *newest)

    def deliveries(self, app: int) -> list[Delivery]:
        """The verb `deliveries`."""
        found = self._connection.command(0, "LRANGE", key(0, "deliveries", app), 0, -1)
        return [Delivery(**json.loads(delivery)) for delivery in found]


def _event(app: int, user: str, text: str) -> StateChange:
    """The event that a script keeps as JSON, with times in microseconds."""
    of = json.loads(text)
    return StateChange(
        id=of["id"],
        app=app,
        user=user,
        action=of["action"],
        at=seconds(of["at"]),
        address=of["address"],
        kicked=int(of["kicked"]),
        attempts=int(of["attempts"]),
    )
