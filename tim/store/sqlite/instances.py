"""The table of instances. A row with a reason is an instance that has ended.

Runs inside a transaction of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from tim.ends import AWAY, TYPES, Client, Gone
from tim.errors import InstanceGone, NotReady
from tim.model import Instance, unknown_instance
from tim.rules import ENDS_KEPT, ended
from tim.state_change import NO_EVENT, action_of
from tim.store.sqlite import events


def select(db: sqlite3.Connection, where: str, *values: object, index: str = "") -> list[Instance]:
    """The rows that match `where`. An end that is due but not yet written down does not show in them.

    With `index`, they are found by this index, whatever SQLite thinks of it.
    """
    by = f" INDEXED BY {index}" if index else ""
    return [_instance(row) for row in db.execute(f"SELECT * FROM instances{by} WHERE {where}", values)]


def find(db: sqlite3.Connection, id: str) -> Instance | None:
    return next(iter(select(db, "id = ?", id)), None)


def seated(db: sqlite3.Connection, id: str, now: float, grace: float) -> Instance:
    """The instance, which must be live. Raises InstanceGone."""
    instance = find(db, id)
    if instance is None:
        raise InstanceGone(unknown_instance(id, now))
    gone = ended(instance, now=now, grace=grace)
    if gone is not None:
        raise InstanceGone(replace(instance, gone=gone))
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
    """Add a row with a new generation, the highest so far."""
    generation = db.execute(
        "INSERT INTO instances (id, app, user, browser, address, since, expires, stream, node, detached_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (instance.id, instance.app, instance.user, instance.client.browser, instance.client.address,
         instance.since, instance.expires, instance.stream, instance.node, instance.detached_at),
    ).lastrowid  # fmt: skip
    return replace(instance, generation=generation or 0)


def end(db: sqlite3.Connection, instance: Instance, gone: Gone, now: float, action: str | None = None) -> Instance:
    """Mark the instance as ended. While its row has a node, that node has a pending notice of it.

    Args:
        action: of the event for the webhook, where it is not that of the reason. One that was away had its event then.
    """
    if action != NO_EVENT and instance.gone is None:
        events.queue(db, instance, action or action_of(gone.reason), at=gone.at, now=now)
    by = (None, None) if gone.by is None else (gone.by.browser, gone.by.address)
    db.execute(
        "UPDATE instances SET reason = ?, gone_at = ?, by_browser = ?, by_address = ? WHERE id = ?",
        (gone.reason, gone.at, *by, instance.id),
    )
    # A row with a pending notice stays. Instances that are AWAY may come back, so they are counted apart from ends for
    # good, which would push them out.
    db.execute(
        "DELETE FROM instances WHERE node = '' AND generation IN (SELECT generation FROM instances WHERE app = ?"
        " AND user = ? AND reason IS NOT NULL AND (reason = ?) = ?"
        " ORDER BY gone_at DESC, generation DESC LIMIT -1 OFFSET ?)",
        (instance.app, instance.user, AWAY, gone.reason == AWAY, ENDS_KEPT),
    )
    return replace(instance, gone=gone)


def _instance(row: sqlite3.Row) -> Instance:
    by = Client(row["by_browser"], row["by_address"]) if row["by_browser"] is not None else None
    return Instance(
        id=row["id"],
        app=row["app"],
        user=row["user"],
        client=Client(row["browser"], row["address"]),
        since=row["since"],
        expires=row["expires"],
        generation=row["generation"],
        stream=row["stream"],
        detached_at=row["detached_at"],
        gone=Gone(row["reason"], row["gone_at"], by) if row["reason"] else None,
        node=row["node"],
    )


def live(db: sqlite3.Connection, app: int, user: str, now: float, grace: float) -> list[Instance]:
    """The live instances of an account, oldest generation first."""
    return [each for each in _not_ended(db, app, user) if ended(each, now=now, grace=grace) is None]


def settle(db: sqlite3.Connection, app: int, user: str, now: float, grace: float) -> list[Instance]:
    """The live instances of an account, oldest generation first, after writing down the ends that are due."""
    return end_if_due(db, _not_ended(db, app, user), now, grace)[1]


def end_if_due(
    db: sqlite3.Connection, found: list[Instance], now: float, grace: float
) -> tuple[list[Instance], list[Instance]]:
    """Mark the instances as ended that have ended by `now`, as `rules.ended` decides. Returns these, and the others."""
    due: list[Instance] = []
    rest: list[Instance] = []
    for instance in found:
        gone = ended(instance, now=now, grace=grace)
        if gone is None:
            rest.append(instance)
        else:
            due.append(end(db, instance, gone, now))
    return due, rest


def end_all(db: sqlite3.Connection, app: int, user: str, now: float, grace: float) -> list[Instance]:
    """End the live instances of an account for an administrator, and those that are AWAY and could come back."""
    gone = Gone(TYPES.KICKED_OUT_REST_API, now)
    away = f"app = ? AND user = ? AND reason = '{AWAY}'"
    found = settle(db, app, user, now, grace) + select(db, away, app, user)
    return [end(db, instance, gone, now) for instance in found]


def _not_ended(db: sqlite3.Connection, app: int, user: str) -> list[Instance]:
    return select(db, "app = ? AND user = ? AND reason IS NULL ORDER BY generation", app, user)
