"""The accounts in SQLite: which there are, what they have been shown, which of their UserSigs are void, and what
their app allows them.

What is here runs inside a transaction of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple

from tim.model import Limits
from tim.rules import EARLY_KEPT


def create(db: sqlite3.Connection, app: int, user: str) -> None:
    """The account exists from now on; one that did stays as it is."""
    db.execute("INSERT OR IGNORE INTO accounts (app, user) VALUES (?, ?)", (app, user))


def exists(db: sqlite3.Connection, app: int, user: str) -> bool:
    return db.execute("SELECT 1 FROM accounts WHERE app = ? AND user = ?", (app, user)).fetchone() is not None


def forget(db: sqlite3.Connection, app: int, user: str) -> None:
    """Delete the account and its log. That a UserSig of its is void stays true."""
    db.execute("DELETE FROM messages WHERE app = ? AND user = ?", (app, user))
    db.execute("DELETE FROM accounts WHERE app = ? AND user = ?", (app, user))
    db.execute("DELETE FROM early WHERE app = ? AND user = ? AND NOT revoked", (app, user))


def shown(db: sqlite3.Connection, app: int, user: str) -> int:
    """The number of the newest message it has been shown."""
    row = db.execute("SELECT shown FROM accounts WHERE app = ? AND user = ?", (app, user)).fetchone()
    return 0 if row is None else int(row["shown"])


def show(db: sqlite3.Connection, app: int, user: str, seq: int) -> None:
    """It has been shown its messages up to `seq`."""
    db.execute("UPDATE accounts SET shown = max(shown, min(seq, ?)) WHERE app = ? AND user = ?", (seq, app, user))


def revoked_before(db: sqlite3.Connection, app: int, user: str) -> int:
    """Unix seconds: its UserSigs that were made earlier are void."""
    row = db.execute("SELECT before FROM voided WHERE app = ? AND user = ?", (app, user)).fetchone()
    return 0 if row is None else int(row["before"])


def void(db: sqlite3.Connection, app: int, user: str, before: int) -> None:
    """Make its UserSigs void that were made earlier than `before`, in unix seconds."""
    db.execute(
        "INSERT INTO voided VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET before = max(before, excluded.before)",
        (app, user, before),
    )


def is_revoked(db: sqlite3.Connection, app: int, user: str, made: float, expires: float) -> bool:
    """Whether the UserSig that says so was revoked, though it says that it was made later than the kick."""
    found = "SELECT 1 FROM early WHERE app = ? AND user = ? AND made = ? AND expires = ? AND revoked"
    return db.execute(found, (app, user, made, expires)).fetchone() is not None


def note_early(db: sqlite3.Connection, app: int, user: str, made: float, expires: float, *, now: float) -> None:
    """A UserSig was used that says it was made later than `now`; a kick has to know it."""
    db.execute("DELETE FROM early WHERE app = ? AND user = ? AND made < ? AND NOT revoked", (app, user, now))
    db.execute("INSERT OR IGNORE INTO early (app, user, made, expires) VALUES (?, ?, ?, ?)", (app, user, made, expires))
    _keep_early(db, app, user)


def revoke_early(db: sqlite3.Connection, app: int, user: str) -> None:
    """Revoke what was used and says that it was made later than the kick; what it does not say is void anyway."""
    void = revoked_before(db, app, user)
    db.execute("DELETE FROM early WHERE app = ? AND user = ? AND made < ?", (app, user, void))
    db.execute("UPDATE early SET revoked = 1 WHERE app = ? AND user = ?", (app, user))
    _keep_early(db, app, user)


def _keep_early(db: sqlite3.Connection, app: int, user: str) -> None:
    for revoked in (0, 1):
        db.execute(
            "DELETE FROM early WHERE (app, user, made, expires) IN (SELECT app, user, made, expires FROM early"
            " WHERE app = ? AND user = ? AND revoked = ? ORDER BY made DESC, expires DESC LIMIT -1 OFFSET ?)",
            (app, user, revoked, EARLY_KEPT),
        )


def limits(db: sqlite3.Connection, app: int) -> Limits | None:
    """What was saved as the limits of the app."""
    row = db.execute("SELECT instances, per_account, per_address FROM limits WHERE app = ?", (app,)).fetchone()
    return None if row is None else Limits(*row)


def save_limits(db: sqlite3.Connection, app: int, limits: Limits) -> None:
    db.execute("INSERT OR REPLACE INTO limits VALUES (?, ?, ?, ?)", (app, *astuple(limits)))
