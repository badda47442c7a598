"""Searches among the live instances of an app.

A search walks along the list in its order. A process has at most some 10,000 live instances, which takes 10 ms; an
index for each filter would cost every login two more pages to write.
"""

from __future__ import annotations

from typing import Final

from tim.ends import TYPES, Gone
from tim.job import Crowded
from tim.model import Instance
from tim.rules import leaving
from tim.search import DETACHED, ONLINE, Page, Search, page_of
from tim.store.sqlite import instances
from tim.store.sqlite.database import Database

AT_A_TIME: Final = 5000
"""Rows among which one call looks for accounts with too many instances."""
IN_ORDER: Final = "instances_live"
"""The index in the order of the list."""
LIVE: Final = "reason IS NULL AND ends_at > ? AND (detached_at IS NULL OR detached_at + ? > ?)"
"""`rules.ended` as a condition; the values are the time, the grace time, and the time."""


Condition = tuple[str, tuple[object, ...]]
"""A condition in SQL, and its values."""


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
        user, _, id = after.partition(" ")
        with self._reading() as now:
            condition, values = _live(app, _filters(where), now, self._grace)
            further = f"{condition} AND (user, id) > (?, ?) ORDER BY user, id LIMIT ?"
            found = instances.select(self._db, further, *values, user, id, limit + 1, index=IN_ORDER)
        return page_of(found, limit)

    def number(self, app: int, where: Search) -> int:
        filters = _filters(where)
        with self._reading() as now:
            if filters:
                return self._count(IN_ORDER, *_live(app, filters, now, self._grace))
            # Without a filter, no row is looked at but of those whose end no sweep has written down yet.
            written = self._count(IN_ORDER, *_all_of(app, [("reason IS NULL", ())]))
            ended = ("reason IS NULL AND ends_at <= ?", (now,))
            away = ("reason IS NULL AND ends_at > ? AND detached_at + ? <= ?", (now, self._grace, now))
            over = self._count("instances_ending", *_all_of(app, [ended]))
            return written - over - self._count("instances_due", *_all_of(app, [away]))

    def _count(self, index: str, condition: str, values: tuple[object, ...]) -> int:
        counted = f"SELECT count(*) FROM instances INDEXED BY {index} WHERE {condition}"
        number: int = self._db.execute(counted, values).fetchone()[0]
        return number

    def live_accounts(self, app: int) -> int:
        with self._reading() as now:
            condition, values = _live(app, [], now, self._grace)
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


def _filters(where: Search) -> list[Condition]:
    filters: list[Condition] = []
    if where.user:  # no UserID has a character above ~
        filters.append(("user >= ? AND user < ?", (where.user, where.user + "\x7f")))
    if where.address:
        filters.append(("address = ?", (where.address,)))
    if where.browser:
        last = where.browser + "\U0010ffff"
        between = "browser >= ? COLLATE NOCASE AND browser < ? COLLATE NOCASE"
        filters.append((between, (where.browser, last)))
    if where.since is not None:
        filters.append(("since >= ?", (where.since,)))
    if where.state == DETACHED:
        filters.append(("detached_at IS NOT NULL", ()))
    elif where.state == ONLINE:
        filters.append(("detached_at IS NULL", ()))
    if where.node:
        filters.append(("node = ?", (where.node,)))
    return filters


def _live(app: int, filters: list[Condition], now: float, grace: float) -> Condition:
    """That all filters hold for a live instance of the app."""
    return _all_of(app, [(LIVE, (now, grace, now)), *filters])


def _all_of(app: int, conditions: list[Condition]) -> Condition:
    """That all of these hold for an instance of the app."""
    together = " AND ".join(("app = ?", *(condition for condition, _ in conditions)))
    return together, (app, *(value for _, values in conditions for value in values))
