"""Searches among the live instances of an app.

Each filter has an index. A search by a filter that few instances pass reads these few and sorts them; any other search
walks along the index in the order of the list, where the next match is never far.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from tim.ends import TYPES, Gone
from tim.job import Crowded
from tim.model import Instance
from tim.rules import leaving
from tim.search import DETACHED, ONLINE, Page, Search, page_of
from tim.store.sqlite import instances
from tim.store.sqlite.database import Database

FEW: Final = 1000
"""Rows that are read and sorted for one page."""
AT_A_TIME: Final = 5000
"""Rows among which one call looks for accounts with too many instances."""
IN_ORDER: Final = "instances_live"
"""The index in the order of the list."""
LIVE: Final = "reason IS NULL AND ends_at > ? AND (detached_at IS NULL OR detached_at + ? > ?)"
"""`rules.ended` as a condition; the values are the time, the grace time, and the time."""


@dataclass(frozen=True, slots=True)
class _Filter:
    """One condition of a search, and the index for it; "" where there is none."""

    index: str
    condition: str
    values: tuple[object, ...] = ()


class Listing:
    """The verbs on the list of live instances of an embedded store.

    Args:
        grace: seconds that a detached instance keeps its seat.
    """

    def __init__(self, database: Database, grace: float) -> None:
        self._db = database.connection
        self._transaction, self._reading = database.transaction, database.reading
        self._grace = grace

    def search(self, app: int, where: Search, after: str = "", limit: int = 50) -> Page:
        filters = _filters(where)
        user, _, id = after.partition(" ")
        with self._reading() as now:
            index = _smallest(self._db, app, filters)
            condition, values = _all_of(app, filters, now, self._grace)
            further = f"{condition} AND (user, id) > (?, ?) ORDER BY user, id LIMIT ?"
            found = instances.select(self._db, further, *values, user, id, limit + 1, index=index)
        return page_of(found, limit)

    def number(self, app: int, where: Search) -> int:
        filters = _filters(where)
        with self._reading() as now:
            if len(filters) <= 1 and all(each.index and where.state == "" for each in filters):
                return self._number_by_index(app, filters, now)
            index = _smallest(self._db, app, filters)
            condition, values = _all_of(app, filters, now, self._grace)
            return self._count(index, condition, values)

    def _number_by_index(self, app: int, filters: list[_Filter], now: float) -> int:
        """How many match where at most one index is asked: without a look at their rows."""
        index = filters[0].index if filters else IN_ORDER
        conditions = " AND ".join(("app = ? AND reason IS NULL", *(each.condition for each in filters)))
        values = (app, *(value for each in filters for value in each.values))
        written = self._count(index, conditions, values)
        # Those whose end no sweep has written down yet.
        ended = f"NOT (ends_at > ? AND (detached_at IS NULL OR detached_at + ? > ?)) AND {conditions}"
        return written - self._count("instances_due", ended, (now, self._grace, now, *values))

    def _count(self, index: str, condition: str, values: tuple[object, ...]) -> int:
        counted = f"SELECT count(*) FROM instances INDEXED BY {index} WHERE {condition}"
        number: int = self._db.execute(counted, values).fetchone()[0]
        return number

    def live_accounts(self, app: int) -> int:
        with self._reading() as now:
            condition, values = _all_of(app, [], now, self._grace)
            users = f"SELECT DISTINCT user FROM instances INDEXED BY {IN_ORDER} WHERE {condition}"
            total: int = self._db.execute(f"SELECT count(*) FROM ({users})", values).fetchone()[0]
        return total

    def crowded(self, app: int, limit: int, after: str = "", many: int = 100) -> Crowded:
        with self._reading() as now:
            # As many rows as one call looks at; the accounts that lie among these, whole.
            last = self._db.execute(
                f"SELECT user FROM instances INDEXED BY {IN_ORDER} WHERE app = ? AND reason IS NULL AND user > ?"
                " ORDER BY user, id LIMIT 1 OFFSET ?",
                (app, after, AT_A_TIME),
            ).fetchone()
            up_to = "\x7f" if last is None else last["user"]
            found = self._db.execute(
                f"SELECT user, count(*) AS number FROM instances INDEXED BY {IN_ORDER}"
                f" WHERE app = ? AND {LIVE} AND user > ? AND user <= ?"
                " GROUP BY user HAVING number > ? ORDER BY user LIMIT ?",
                (app, now, self._grace, now, after, up_to, limit, many),
            ).fetchall()
        accounts = [(row["user"], row["number"]) for row in found]
        if len(accounts) == many:
            return Crowded(accounts, accounts[-1][0])
        return Crowded(accounts, "" if last is None else up_to)

    def enforce(self, app: int, user: str, limit: int, actor: str) -> list[Instance]:
        with self._transaction() as now:
            gone = Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, now)
            live = instances.settle(self._db, app, user, now, self._grace)
            return [instances.end(self._db, instance, gone, now, actor=actor) for instance in leaving(live, limit + 1)]


def _filters(where: Search) -> list[_Filter]:
    filters: list[_Filter] = []
    if where.user:  # no UserID has a character above ~
        filters.append(_Filter(IN_ORDER, "user >= ? AND user < ?", (where.user, where.user + "\x7f")))
    if where.address:
        filters.append(_Filter("instances_by_address", "address = ?", (where.address,)))
    if where.browser:
        last = where.browser + "\U0010ffff"
        between = "browser >= ? COLLATE NOCASE AND browser < ? COLLATE NOCASE"
        filters.append(_Filter("instances_by_browser", between, (where.browser, last)))
    if where.since is not None:
        filters.append(_Filter("instances_by_since", "since >= ?", (where.since,)))
    if where.state == DETACHED:
        filters.append(_Filter("instances_due", "detached_at IS NOT NULL"))
    elif where.state == ONLINE:
        filters.append(_Filter("", "detached_at IS NULL"))
    if where.node:
        filters.append(_Filter("", "node = ?", (where.node,)))
    return filters


def _all_of(app: int, filters: list[_Filter], now: float, grace: float) -> tuple[str, tuple[object, ...]]:
    """The condition that all filters hold for a live instance of the app, and its values."""
    condition = " AND ".join(("app = ?", LIVE, *(each.condition for each in filters)))
    return condition, (app, now, grace, now, *(value for each in filters for value in each.values))


def _smallest(db: sqlite3.Connection, app: int, filters: list[_Filter]) -> str:
    """The index of the filter that the fewest rows pass, if fewer than FEW do; otherwise the one in order."""
    smallest, index = FEW, IN_ORDER
    for each in filters:
        if each.index:
            counted = f"SELECT 1 FROM instances INDEXED BY {each.index} WHERE app = ? AND reason IS NULL"
            counted = f"SELECT count(*) FROM ({counted} AND {each.condition} LIMIT {FEW})"
            (passed,) = db.execute(counted, (app, *each.values)).fetchone()
            if passed < smallest:
                smallest, index = passed, each.index
    return index
