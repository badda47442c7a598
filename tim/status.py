"""What the whole service counts: the numbers of all nodes at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from tim.measures import Measures
from tim.search import Search
from tim.state_change import EventQueue
from tim.store.base import Store


@dataclass(frozen=True, slots=True)
class Status:
    """The numbers of one app.

    Attributes:
        online: number of online instances by node; nodes without any are left out.
        detached: number of live instances that are not online.
        counts: all counters, by name; see `tim.audit.counter` and `tim.measures`.
        events: of the webhook.
    """

    online: dict[str, int]
    detached: int
    counts: dict[str, int]
    events: EventQueue


def read_status(store: Store, app: int, measures: Measures) -> Status:
    """Read the numbers, after those of this node are added. Raises StoreUnavailable."""
    measures.flush(store)
    online = store.online()
    live = store.number(app, Search())
    # The two are read one after the other, and an instance may end in between.
    detached = max(0, live - sum(online.values()))
    return Status(online, detached, store.counters(app), store.event_queue(app))
