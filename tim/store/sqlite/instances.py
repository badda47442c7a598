"""The rows of instances in SQLite; with a reason, one is a tombstone.

What is here runs inside a transaction of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from tim.ends import AWAY, Client, Gone
from tim.model import Instance
from tim.rules import ENDS_KEPT, ended


def select(db: sqlite3.Connection, where: str, *values: object) -> list[Instance]:
    """Those for which `where` holds, as they are written down."""
    return [_instance(row) for row in db.execute(f"SELECT * FROM instances WHERE {where}", values)]


def find(db: sqlite3.Connection, id: str) -> Instance | None:
    return next(iter(select(db, "id = ?", id)), None)


def insert(db: sqlite3.Connection, instance: Instance, *, node: str) -> Instance:
    """Add it, as the newest generation; `node` has its stream open, '' where nobody has."""
    generation = db.execute(
        "INSERT INTO instances (id, app, user, browser, address, since, expires, stream, node, detached_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (instance.id, instance.app, instance.user, instance.client.browser, instance.client.address,
         instance.since, instance.expires, instance.stream, node, instance.detached_at),
    ).lastrowid  # fmt: skip
    return replace(instance, generation=generation or 0)


def end(db: sqlite3.Connection, instance: Instance, gone: Gone) -> Instance:
    """Write down what has become of it."""
    by = (None, None) if gone.by is None else (gone.by.browser, gone.by.address)
    db.execute(
        "UPDATE instances SET reason = ?, gone_at = ?, by_browser = ?, by_address = ? WHERE id = ?",
        (gone.reason, gone.at, *by, instance.id),
    )
    # One whose stream has not been told yet stays until it was. Those that are away may come back: what has ended for
    # good does not push them out.
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
    )


def live(db: sqlite3.Connection, app: int, user: str, now: float, grace: float) -> list[Instance]:
    """The live instances of an account, oldest first."""
    return [instance for instance, gone in _fates(db, app, user, now, grace) if gone is None]


def settle(db: sqlite3.Connection, app: int, user: str, now: float, grace: float) -> list[Instance]:
    """The live instances, where those that have ended unnoticed are written down: somebody is about to take a seat."""
    fates = _fates(db, app, user, now, grace)
    for instance, gone in fates:
        if gone is not None:
            end(db, instance, gone)
    return [instance for instance, gone in fates if gone is None]


def _fates(db: sqlite3.Connection, app: int, user: str, now: float, grace: float) -> list[tuple[Instance, Gone | None]]:
    """The instances of an account that nobody has written down as ended, oldest first, and what became of them."""
    rows = select(db, "app = ? AND user = ? AND reason IS NULL ORDER BY generation", app, user)
    return [(instance, ended(instance, now=now, grace=grace)) for instance in rows]
