"""The table of instances. A row with a reason is an instance that has ended.

Runs inside a transaction of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from tim.audit import end_of
from tim.ends import AWAY, TYPES, Client, Gone
from tim.errors import InstanceGone, NotReady
from tim.model import Instance, unknown_instance
from tim.rules import ENDS_KEPT, NOT_ME_LIFE, ended
from tim.state_change import NO_EVENT, action_of
from tim.store.sqlite import audit, events

COLUMNS: Final = (
    "id, app, user, browser, address, since, expires, generation, stream, detached_at, reason, gone_at, by_browser,"
    " by_address, words, node, ordinal, kind, name, vouched, disowned, lasts_until, idle_life, active_at"
)
"""In the order in which `_instance` takes them."""
ENDED: Final = "app = ? AND user = ? AND reason IS NOT NULL"
"""The instances of an account that have ended."""


def select(db: sqlite3.Connection, where: str, *values: object, index: str = "") -> list[Instance]:
    """The rows that match `where`. An end that is due but not yet written down does not show in them.

    With `index`, they are found by this index, whatever SQLite thinks of it.
    """
    by = f" INDEXED BY {index}" if index else ""
    return [_instance(row) for row in db.execute(f"SELECT {COLUMNS} FROM instances{by} WHERE {where}", values)]


def find(db: sqlite3.Connection, id: str) -> Instance | None:
    return next(iter(select(db, "id = ?", id)), None)


def written(db: sqlite3.Connection, id: str, now: float) -> Instance:
    """The instance as its row is; UNKNOWN where there is none."""
    return find(db, id) or unknown_instance(id, now)


def at(db: sqlite3.Connection, id: str, now: float, grace: float) -> Instance:
    """The instance as it is at `now`, also where its end is not yet written down; UNKNOWN where there is none."""
    found = written(db, id, now)
    gone = ended(found, now=now, grace=grace)
    return found if gone is found.gone else replace(found, gone=gone)


def seated(db: sqlite3.Connection, id: str, now: float, grace: float) -> Instance:
    """The instance, which must be live. Raises InstanceGone."""
    instance = at(db, id, now, grace)
    if instance.gone is not None:
        raise InstanceGone(instance)
    return instance


def online(db: sqlite3.Connection, app: int, id: str, now: float, grace: float) -> Instance:
    """The instance, which must be online.

    Raises:
        InstanceGone: it has ended for good.
        NotReady: its stream is not open; it may come back.
    """
    try:
        instance = seated(db, id, now, grace)
    except InstanceGone as error:
        if error.gone.reason == AWAY and error.instance.app == app:
            raise NotReady from None
        raise
    if instance.app != app:
        raise InstanceGone(unknown_instance(id, now))
    if not instance.online:
        raise NotReady
    return instance


def insert(db: sqlite3.Connection, instance: Instance) -> Instance:
    """Add a row with a new generation, the highest so far; it is also the ordinal of an instance that has none."""
    generation = db.execute(
        "INSERT INTO instances (id, app, user, browser, address, since, expires, stream, node, detached_at, ordinal,"
        " kind, name, vouched, lasts_until, idle_life, active_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (instance.id, instance.app, instance.user, instance.client.browser, instance.client.address,
         instance.since, instance.expires, instance.stream, instance.node, instance.detached_at,
         instance.ordinal or None, instance.kind, instance.name, instance.vouched, instance.lasts_until,
         instance.idle_life, instance.active_at),
    ).lastrowid or 0  # fmt: skip
    return replace(instance, generation=generation, ordinal=instance.ordinal or generation)


def end(
    db: sqlite3.Connection,
    instance: Instance,
    gone: Gone,
    now: float,
    action: str | None = None,
    *,
    by: str = "",
    actor: str = "",
) -> Instance:
    """Mark the instance as ended, and write it into the audit. While its row has a node, that has a pending notice.

    Args:
        action: of the event for the webhook, where it is not that of the reason. One that was away had its event then.
        by, actor: as in `audit.end_of`.
    """
    if action != NO_EVENT and instance.gone is None:
        events.queue(db, instance, action or action_of(gone.reason), at=gone.at, now=now)
    client = (None, None) if gone.by is None else (gone.by.browser, gone.by.address)
    db.execute(
        "UPDATE instances SET reason = ?, gone_at = ?, by_browser = ?, by_address = ?, words = ? WHERE id = ?",
        (gone.reason, gone.at, *client, gone.words, instance.id),
    )
    if not instance.node:
        _forget_ends(db, instance.app, instance.user, now, 2, away=gone.reason == AWAY)
    gone_now = replace(instance, gone=gone)
    audit.write(db, instance.app, end_of(gone_now, by=by, actor=actor), now)
    return gone_now


def deliver(db: sqlite3.Connection, which: str, values: Iterable[tuple[str | int, ...]], now: float) -> None:
    """Note that the notices of the ended instances `which`, with each of `values`, were delivered, and make room."""
    deliver_one = f"UPDATE instances SET node = '' WHERE {which} RETURNING app, user"
    delivered: Counter[tuple[int, str]] = Counter()
    for its in values:
        rows = db.execute(deliver_one, its).fetchall()
        delivered.update((row["app"], row["user"]) for row in rows)
    for (app, user), number in delivered.items():
        _forget_ends(db, app, user, now, 2 * number, away=False)


def _forget_ends(db: sqlite3.Connection, app: int, user: str, now: float, most: int, *, away: bool) -> None:
    """Delete the ends of the account that are more than ENDS_KEPT; `away` is whether those of instances that are AWAY.

    A row with a pending notice stays; its account is looked at when that is delivered. Instances that are AWAY may come
    back, so they are counted apart from ends for good, which would push them out. Those that can still say "that
    wasn't me" are not pushed out by later ends, of which a thief can make many: of these, the first ENDS_KEPT stay.

    Args:
        most: how many are deleted at most; two for each end, so that the others make room before long as well.
    """
    of_away = f"FROM instances INDEXED BY instances_away WHERE app = ? AND user = ? AND reason = '{AWAY}'"
    of_both = f"FROM instances INDEXED BY instances_ended WHERE {ENDED}"
    # To skip rows of an index takes no look at the rows themselves, as counting those that have ended would.
    if away:
        more = db.execute(f"SELECT 1 {of_away} LIMIT ? OFFSET ?", (app, user, most, ENDS_KEPT))
    else:
        skipped = f"? + (SELECT count(*) {of_away})"
        more = db.execute(f"SELECT 1 {of_both} LIMIT ? OFFSET {skipped}", (app, user, most, ENDS_KEPT, app, user))
    surplus = len(more.fetchall())
    if not surplus:
        return
    over = now if away else now - NOT_ME_LIFE
    found = f"SELECT generation {of_both} AND (reason = '{AWAY}') = ?"
    oldest = f"{found} AND gone_at <= ? AND disowned <= ? ORDER BY gone_at LIMIT ?"
    rows = db.execute(oldest, (app, user, away, over, over, surplus)).fetchall()
    if not rows:
        later = f"{found} ORDER BY gone_at LIMIT -1 OFFSET ?"
        told = f"SELECT generation FROM instances WHERE generation IN ({later}) AND node = '' LIMIT ?"
        rows = db.execute(told, (app, user, away, ENDS_KEPT, surplus)).fetchall()
    db.executemany("DELETE FROM instances WHERE generation = ? AND node = ''", rows)


def end_for_good(
    db: sqlite3.Connection,
    instance: Instance,
    gone: Gone,
    grace: float,
    action: str | None = None,
    *,
    by: str = "",
    actor: str = "",
) -> Instance | None:
    """`end` at the time `gone.at`, which is now; None where it had ended for good before.

    An instance that is AWAY could come back, so it can still be ended. That it was away is written down first.
    """
    before = ended(instance, now=gone.at, grace=grace)
    if before is not None and before.reason != AWAY:
        return None
    if before is not None and instance.gone is None:
        instance = end(db, instance, before, gone.at)
    return end(db, instance, gone, gone.at, action, by=by, actor=actor)


def _instance(row: Iterable[Any]) -> Instance:
    (
        id, app, user, browser, address, since, expires, generation, stream, detached_at, reason, gone_at, by_browser,
        by_address, words, node, ordinal, kind, name, vouched, disowned, lasts_until, idle_life, active_at
    ) = row  # fmt: skip
    by = None if by_browser is None else Client(by_browser, by_address)
    return Instance(
        id, app, user, Client(browser, address), since, expires, generation, stream, detached_at,
        Gone(reason, gone_at, by, words) if reason else None,
        node, ordinal or generation, kind, name, vouched, bool(disowned), lasts_until, idle_life, active_at,
    )  # fmt: skip


def live(db: sqlite3.Connection, app: int, user: str, now: float, grace: float) -> list[Instance]:
    """The live instances of an account, oldest generation first."""
    return [each for each in _not_ended(db, app, user) if ended(each, now=now, grace=grace) is None]


def is_online(db: sqlite3.Connection, app: int, user: str, now: float) -> bool:
    """Whether an instance of the account is online, as `rules.ended` and `Instance.online` say."""
    # Without INDEXED BY, SQLite would look among all instances that are online.
    online_now = "app = ? AND user = ? AND reason IS NULL AND detached_at IS NULL AND ends_at > ?"
    found = f"SELECT 1 FROM instances INDEXED BY instances_live WHERE {online_now} LIMIT 1"
    return db.execute(found, (app, user, now)).fetchone() is not None


def settle(db: sqlite3.Connection, app: int, user: str, now: float, grace: float) -> list[Instance]:
    """The live instances of an account, oldest generation first, after writing down the ends that are due."""
    return end_if_due(db, _not_ended(db, app, user), now, grace)[1]


def due(db: sqlite3.Connection, now: float, grace: float, most: int) -> list[Instance]:
    """The instances whose end is due and not written down; at most so many."""
    live = "SELECT generation FROM instances INDEXED BY instances_due WHERE reason IS NULL AND detached_at"
    online, detached = f"{live} IS NULL AND ends_at <= ?", f"{live} IS NOT NULL AND (ends_at <= ? OR detached_at <= ?)"
    return select(db, f"generation IN ({online} UNION {detached}) LIMIT ?", now, now, now - grace, most)


def note_action(db: sqlite3.Connection, instance: Instance, now: float) -> Instance:
    """Note that the instance, which is live, has just acted; nothing is written where it has no `idle_life`."""
    if not instance.idle_life:
        return instance
    db.execute("UPDATE instances SET active_at = ? WHERE id = ?", (now, instance.id))
    return replace(instance, active_at=now)


def end_if_due(
    db: sqlite3.Connection, found: list[Instance], now: float, grace: float
) -> tuple[list[Instance], list[Instance]]:
    """Mark the instances as ended that have ended by `now`, as `rules.ended` decides. Returns these, and the others."""
    over: list[Instance] = []
    rest: list[Instance] = []
    for instance in found:
        gone = ended(instance, now=now, grace=grace)
        if gone is None:
            rest.append(instance)
        else:
            over.append(end(db, instance, gone, now))
    return over, rest


def end_all(
    db: sqlite3.Connection, app: int, user: str, now: float, grace: float, *, actor: str, words: str = ""
) -> list[Instance]:
    """End the live instances of an account for `actor`, and those that are AWAY and could come back.

    Args:
        words: the reason, for the account to read.
    """
    gone = Gone(TYPES.KICKED_OUT_REST_API, now, words=words)
    return [end(db, instance, gone, now, actor=actor) for instance in remaining(db, app, user, now, grace)]


def remaining(db: sqlite3.Connection, app: int, user: str, now: float, grace: float) -> list[Instance]:
    """The live instances of an account, and those that are AWAY and could come back, after `settle`."""
    away = f"app = ? AND user = ? AND reason = '{AWAY}'"
    return settle(db, app, user, now, grace) + select(db, away, app, user)


def disowned_at(db: sqlite3.Connection, app: int, user: str) -> float:
    """When an instance of the account has said "that wasn't me" last, in unix seconds; 0 for never."""
    return float(db.execute(f"SELECT max(disowned) FROM instances WHERE {ENDED}", (app, user)).fetchone()[0] or 0)


def _not_ended(db: sqlite3.Connection, app: int, user: str) -> list[Instance]:
    found = select(db, "app = ? AND user = ? AND reason IS NULL", app, user, index="instances_live")
    return sorted(found, key=lambda instance: instance.generation)
