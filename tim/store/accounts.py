"""The accounts in SQLite: which there are, what they have been shown, which of their UserSigs are void, and what
their app allows them.

What is here runs inside a transaction of `tim.store.sqlite`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple

from tim.rules import Limits


def create(db: sqlite3.Connection, app: int, user: str) -> None:
    """The account exists from now on; one that did stays as it is."""
    db.execute("INSERT OR IGNORE INTO accounts (app, user) VALUES (?, ?)", (app, user))


def exists(db: sqlite3.Connection, app: int, user: str) -> bool:
    return db.execute("SELECT 1 FROM accounts WHERE app = ? AND user = ?", (app, user)).fetchone() is not None


def forget(db: sqlite3.Connection, app: int, user: str) -> None:
    """Delete the account and its log. That a UserSig of its is void stays true."""
    db.execute("DELETE FROM messages WHERE app = ? AND user = ?", (app, user))
    db.execute("DELETE FROM accounts WHERE app = ? AND user = ?", (app, user))


def shown(db: sqlite3.Connection, app: int, user: str) -> int:
    """The number of the newest message it has been shown."""
    row = db.execute("SELECT shown FROM accounts WHERE app = ? AND user = ?", (app, user)).fetchone()
    return 0 if row is None else int(row["shown"])


def show(db: sqlite3.Connection, app: int, user: str, seq: int) -> None:
    """It has been shown its messages up to `seq`."""
    db.execute("UPDATE accounts SET shown = max(shown, min(seq, ?)) WHERE app = ? AND user = ?", (seq, app, user))


def voided_before(db: sqlite3.Connection, app: int, user: str) -> int:
    """Unix seconds: its UserSigs that were made earlier are void."""
    row = db.execute("SELECT before FROM voided WHERE app = ? AND user = ?", (app, user)).fetchone()
    return 0 if row is None else int(row["before"])


def void(db: sqlite3.Connection, app: int, user: str, before: int) -> None:
    """Make its UserSigs void that were made earlier than `before`, in unix seconds."""
    db.execute(
        "INSERT INTO voided VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET before = max(before, excluded.before)",
        (app, user, before),
    )


def limits(db: sqlite3.Connection, app: int) -> Limits | None:
    """What was saved as the limits of the app."""
    row = db.execute("SELECT instances, per_account, per_address FROM limits WHERE app = ?", (app,)).fetchone()
    return None if row is None else Limits(*row)


def save_limits(db: sqlite3.Connection, app: int, limits: Limits) -> None:
    db.execute("INSERT OR REPLACE INTO limits VALUES (?, ?, ?, ?)", (app, *astuple(limits)))
