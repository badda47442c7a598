"""The tables of counters: how often each thing has happened, in total and in each minute.

It is counted in its minute. What a minute has that is not kept any more is added to the totals.

The functions run inside a transaction of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from tim.audit import Entry, counter
from tim.rules import MINUTE, MINUTES_KEPT
from tim.store.sqlite.database import Database

ADD: Final = "ON CONFLICT DO UPDATE SET number = number + excluded.number"
"""Ends an INSERT that adds to a counter, where there is one already."""


class Counters:
    """The verbs of `tim.store.audit.Counters`."""

    def __init__(self, database: Database) -> None:
        self._db = database.connection
        self._transaction, self._reading = database.transaction, database.reading

    def count(self, app: int, counts: Mapping[str, int]) -> None:
        with self._transaction(durable=False) as now:
            count(self._db, app, counts, now)

    def totals(self, app: int) -> dict[str, int]:
        every = "SELECT app, name, number FROM counters UNION ALL SELECT app, name, number FROM minutes"
        total = f"SELECT name, sum(number) FROM ({every}) WHERE app = ? GROUP BY name"
        with self._reading():
            return dict(self._db.execute(total, (app,)).fetchall())

    def minutes(self, app: int, since: float) -> dict[int, dict[str, int]]:
        found: dict[int, dict[str, int]] = {}
        with self._reading() as now:
            first = max(since // MINUTE * MINUTE, now - MINUTES_KEPT)
            rows = "SELECT minute, name, number FROM minutes WHERE minute >= ? AND app = ? ORDER BY minute"
            for minute, name, number in self._db.execute(rows, (first, app)):
                found.setdefault(minute, {})[name] = number
        return found


def count(db: sqlite3.Connection, app: int, counts: Mapping[str, int], now: float) -> None:
    """Add to each counter; `now` is in unix seconds."""
    minute = now // MINUTE * MINUTE
    for name, number in counts.items():
        db.execute(f"INSERT INTO minutes VALUES (?, ?, ?, ?) {ADD}", (app, minute, name, number))


def count_entry(db: sqlite3.Connection, app: int, entry: Entry, now: float) -> None:
    """Count one more entry of the audit."""
    count(db, app, {counter(entry): 1}, now)


def forget(db: sqlite3.Connection, now: float) -> None:
    """Add up what was counted in minutes that are no longer kept, and those from before a clock was set back."""
    over, values = "FROM minutes WHERE minute < ? OR minute > ?", (now - MINUTES_KEPT, now)
    db.execute(f"INSERT INTO counters SELECT app, name, sum(number) {over} GROUP BY app, name {ADD}", values)
    db.execute(f"DELETE {over}", values)
