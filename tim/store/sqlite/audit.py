"""The tables of the audit: what has happened, and apart from it which logins were refused.

The functions run inside a transaction of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from dataclasses import replace
from typing import Final

from tim.audit import REFUSALS, AuditFilter, AuditPage, Entry, Lane, Retention, first_page, merge, order
from tim.store.sqlite import counters
from tim.store.sqlite.database import Database

TABLES: Final = ("audit", "refusals")
SCANNED: Final = 2000
"""Rows of each table that one call looks at, at most: a few milliseconds, in which no other verb runs."""
DELETED: Final = 5000
"""Rows of each table that one sweep deletes, at most."""


class Audit:
    """The verbs of `tim.store.audit.Audit`."""

    def __init__(self, database: Database) -> None:
        self._db = database.connection
        self._transaction, self._reading = database.transaction, database.reading

    def note(self, app: int, entry: Entry) -> None:
        with self._transaction(durable=False) as now:
            write(self._db, app, replace(entry, at=now), now)

    def page(self, app: int, where: AuditFilter, before: str = "", limit: int = 50) -> AuditPage:
        with self._reading():
            found = merge(_search(self._db, lane, app, where, before, limit=limit) for lane in range(len(TABLES)))
            return first_page(found, limit)


def write(db: sqlite3.Connection, app: int, entry: Entry, now: float) -> None:
    """Append the entry, and count it. `now` is in unix seconds."""
    table = TABLES[entry.kind in REFUSALS]
    # A clock that was set back does not change the order.
    last = f"SELECT written FROM {table} ORDER BY id DESC LIMIT 1"
    db.execute(
        f"INSERT INTO {table} (app, written, at, kind, user, instance, browser, address, code, words, actor,"
        f" by_instance) VALUES (?, max(?, coalesce(({last}), 0)), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (app, _us(now), entry.at, entry.kind, entry.user, entry.instance, entry.browser, entry.address, entry.code,
         entry.words, entry.actor, entry.by),
    )  # fmt: skip
    counters.count_entry(db, app, entry, now)


def delete_old(db: sqlite3.Connection, retention: Retention, now: float) -> None:
    """Delete some of the oldest rows that are older than `retention.age`, or more than it allows."""
    for table, most in zip(TABLES, (retention.entries, retention.refusals), strict=True):
        first, newest = _ends(db, table)
        last = max(newest - most, _newest_before(db, table, _us(now - retention.age)))
        db.execute(f"DELETE FROM {table} WHERE id <= ?", (min(last, first + DELETED - 1),))


def _search(db: sqlite3.Connection, lane: int, app: int, where: AuditFilter, before: str, *, limit: int) -> Lane:
    """What matches in one table, at most one entry more than `limit`."""
    table, first, last = TABLES[lane], 0, None
    if before:
        last = _below(db, lane, *order(before))
    if where.until is not None:
        upper = _newest_before(db, table, _us(where.until))
        last = upper if last is None else min(last, upper)
    if where.since is not None:
        first = _newest_before(db, table, _us(where.since)) + 1
    conditions, values = ["id >= :first"], {"first": first, "last": last, "app": app, "user": where.user}
    if last is not None:
        conditions.append("id <= :last")
    if where.user:
        conditions.append("app = :app AND user = :user")
    found: list[Entry] = []
    rows = db.execute(f"SELECT * FROM {table} WHERE {' AND '.join(conditions)} ORDER BY id DESC", values)
    for seen, row in enumerate(rows, 1):
        entry = _entry(row, lane)
        if row["app"] == app and where.matches(entry):
            found.append(entry)
        if len(found) > limit or seen == SCANNED:
            return Lane(found, entry.id)
    return Lane(found, "")


def _ends(db: sqlite3.Connection, table: str) -> tuple[int, int]:
    """The ids of the oldest and of the newest row; 1 and 0 where there is none."""
    oldest, newest = (f"(SELECT {each}(id) FROM {table})" for each in ("min", "max"))
    first, last = db.execute(f"SELECT coalesce({oldest}, 1), coalesce({newest}, 0)").fetchone()
    return first, last


def _newest_before(db: sqlite3.Connection, table: str, written: int) -> int:
    """The id of the newest row written before that, in microseconds; one below the oldest where there is none."""
    first, last = _ends(db, table)
    # Rows are in the order of their times, and none is missing between two: an index would cost each entry more.
    row = f"SELECT written FROM {table} WHERE id = ?"
    older = bisect_left(range(first, last + 1), written, key=lambda id: db.execute(row, (id,)).fetchone()[0])
    return first - 1 + older


def _below(db: sqlite3.Connection, lane: int, written: int, number: int) -> int:
    """The id of the newest row that is older than the entry with this id; one below the oldest where there is none."""
    table = TABLES[lane]
    same = min(_newest_before(db, table, written + 1), (number - lane - 1) // len(TABLES))
    return max(same, _newest_before(db, table, written))


def _entry(row: sqlite3.Row, lane: int) -> Entry:
    return Entry(f"{row['written']}-{row['id'] * len(TABLES) + lane}", *row[3:])


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
