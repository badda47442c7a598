"""The tables of events for the webhook. Leases and the log of deliveries are in memory: there is one process.

The function `queue` runs inside a transaction of its caller.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Sequence
from typing import Final

from tim.model import Instance
from tim.rules import ACCOUNT_EVENTS, DELIVERIES_KEPT, EVENT_LIFE, EVENTS_KEPT, LONGEST_PAUSE
from tim.state_change import Delivery, EventQueue, StateChange, event_id
from tim.store.sqlite.database import Database

DUE: Final = "(due <= :now OR due > :now + :longest)"
"""Whose events are due. A time later than after the longest pause is from before the clock was set back."""
OLDEST: Final = "SELECT * FROM events WHERE app = ? AND user = ? ORDER BY seq LIMIT 1"


def queue(db: sqlite3.Connection, instance: Instance, action: str, *, at: float, now: float, kicked: int = 0) -> None:
    """Queue an event of the instance, if its app has a webhook."""
    app, user = instance.app, instance.user
    if db.execute("SELECT 1 FROM temp.webhooks WHERE app = ?", (app,)).fetchone() is None:
        return
    db.execute(
        "INSERT INTO event_queues (app, waiting) VALUES (?, 1) ON CONFLICT DO UPDATE SET waiting = waiting + 1", (app,)
    )
    db.execute(
        "INSERT INTO events (id, app, user, action, at, address, kicked, queued) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (event_id(instance, action), app, user, action, at, instance.client.address, kicked, now),
    )
    db.execute(
        "INSERT INTO event_accounts VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE SET waiting = waiting + 1",
        (app, user, now),
    )
    (mine,) = db.execute("SELECT waiting FROM event_accounts WHERE app = ? AND user = ?", (app, user)).fetchone()
    (all_,) = db.execute("SELECT waiting FROM event_queues WHERE app = ?", (app,)).fetchone()
    if mine > ACCOUNT_EVENTS or all_ > EVENTS_KEPT:
        _delete(db, db.execute(OLDEST, (app, user)).fetchone(), dropped=1)


def _delete(db: sqlite3.Connection, event: sqlite3.Row, *, dropped: int) -> None:
    """Delete the oldest event of its account."""
    app, user = event["app"], event["user"]
    db.execute("DELETE FROM events WHERE seq = ?", (event["seq"],))
    db.execute("UPDATE event_accounts SET waiting = waiting - 1 WHERE app = ? AND user = ?", (app, user))
    db.execute("DELETE FROM event_accounts WHERE app = ? AND user = ? AND waiting = 0", (app, user))
    db.execute("UPDATE event_queues SET waiting = waiting - 1, dropped = dropped + ? WHERE app = ?", (dropped, app))


class Events:
    """The verbs on events of an embedded store."""

    def __init__(self, database: Database) -> None:
        self._db = database.connection
        self._db.execute("CREATE TEMP TABLE webhooks (app INTEGER PRIMARY KEY)")  # whose events this process queues
        self._transaction, self._reading = database.transaction, database.reading  # guards the two below as well
        self._leases: dict[tuple[int, str], tuple[str, float]] = {}  # sender and end of each lease
        self._deliveries: dict[int, deque[Delivery]] = {}

    def switch(self, app: int, on: bool) -> None:
        """The verb `queue_events`."""
        with self._transaction():
            change = (
                "INSERT OR IGNORE INTO temp.webhooks VALUES (?)" if on else "DELETE FROM temp.webhooks WHERE app = ?"
            )
            self._db.execute(change, (app,))

    def due(self, app: int, many: int) -> list[str]:
        """The verb `due_events`."""
        with self._reading() as now:
            rows = self._db.execute(
                f"SELECT user FROM event_accounts WHERE app = :app AND {DUE} ORDER BY due LIMIT :many",
                {"app": app, "now": now, "longest": LONGEST_PAUSE, "many": many + len(self._leases)},
            ).fetchall()
            return [user for (user,) in rows if self._holder(app, user, now) is None][:many]

    def take(self, app: int, user: str, sender: str, lease: float) -> StateChange | None:
        """The verb `take_event`."""
        with self._transaction() as now:
            due = f"SELECT 1 FROM event_accounts WHERE app = :app AND user = :user AND {DUE}"
            at = {"app": app, "user": user, "now": now, "longest": LONGEST_PAUSE}
            if self._holder(app, user, now) not in (None, sender):
                return None
            if self._db.execute(due, at).fetchone() is None:
                return None
            while (event := self._oldest(app, user)) is not None and event["queued"] + EVENT_LIFE <= now:
                _delete(self._db, event, dropped=1)
            if event is None:
                return None
            self._leases[app, user] = (sender, now + lease)
            names = ("action", "at", "address", "kicked", "attempts")
            return StateChange(event["id"], app, user, *(event[name] for name in names))

    def sent(self, app: int, user: str, sender: str, id: str) -> bool:
        """The verb `event_sent`."""
        with self._transaction() as now:
            event = self._oldest(app, user)
            if event is not None and event["id"] == id:
                _delete(self._db, event, dropped=0)
            self._db.execute("UPDATE event_accounts SET due = ? WHERE app = ? AND user = ?", (now, app, user))
            if self._holder(app, user, now) == sender:
                del self._leases[app, user]
            return self._oldest(app, user) is not None

    def failed(self, app: int, user: str, sender: str, id: str, pause: float) -> None:
        """The verb `event_failed`."""
        with self._transaction() as now:
            event = self._oldest(app, user)
            if self._holder(app, user, now) != sender:
                return
            del self._leases[app, user]
            if event is not None and event["id"] == id:
                self._db.execute("UPDATE events SET attempts = attempts + 1 WHERE seq = ?", (event["seq"],))
                again = "UPDATE event_accounts SET due = ? WHERE app = ? AND user = ?"
                self._db.execute(again, (now + pause, app, user))

    def retry(self, app: int) -> None:
        """The verb `retry_events`."""
        with self._transaction():
            self._db.execute("UPDATE event_accounts SET due = 0 WHERE app = ?", (app,))

    def queue(self, app: int) -> EventQueue:
        """The verb `event_queue`."""
        with self._reading():
            row = self._db.execute("SELECT waiting, dropped FROM event_queues WHERE app = ?", (app,)).fetchone()
            return EventQueue(0, 0) if row is None else EventQueue(*row)

    def log(self, app: int, deliveries: Sequence[Delivery]) -> None:
        """The verb `log_deliveries`."""
        with self._transaction():
            self._deliveries.setdefault(app, deque(maxlen=DELIVERIES_KEPT)).extendleft(deliveries)

    def deliveries(self, app: int) -> list[Delivery]:
        """The verb `deliveries`."""
        with self._reading():
            return list(self._deliveries.get(app, ()))

    def _oldest(self, app: int, user: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute(OLDEST, (app, user)).fetchone()
        return row

    def _holder(self, app: int, user: str, now: float) -> str | None:
        """The sender that has the lease of the account."""
        sender, until = self._leases.get((app, user), (None, now))
        if not now < until <= now + LONGEST_PAUSE:  # over, or from before the clock was set back
            self._leases.pop((app, user), None)
            return None
        return sender
