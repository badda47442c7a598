"""The tables of accounts: which exist, what they have read, which of their UserSigs are revoked.

Runs inside a transaction of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

import math
import sqlite3

from tim.errors import NoSuchAccount
from tim.rules import EARLY_KEPT


def create(db: sqlite3.Connection, app: int, user: str) -> None:
    """Make the account exist; one that does stays as it is."""
    db.execute("INSERT OR IGNORE INTO accounts (app, user) VALUES (?, ?)", (app, user))


def exists(db: sqlite3.Connection, app: int, user: str) -> bool:
    return db.execute("SELECT 1 FROM accounts WHERE app = ? AND user = ?", (app, user)).fetchone() is not None


def require(db: sqlite3.Connection, app: int, user: str) -> None:
    """Raise NoSuchAccount unless the account exists."""
    if not exists(db, app, user):
        raise NoSuchAccount(user)


def delete(db: sqlite3.Connection, app: int, user: str) -> None:
    """Delete the account and its log. Its revoked UserSigs stay revoked."""
    db.execute("DELETE FROM messages WHERE app = ? AND user = ?", (app, user))
    db.execute("DELETE FROM accounts WHERE app = ? AND user = ?", (app, user))
    db.execute("DELETE FROM early_usersigs WHERE app = ? AND user = ? AND NOT revoked", (app, user))


def cursors(db: sqlite3.Connection, app: int, user: str) -> tuple[int, int]:
    """The numbers of the newest message of the account, and of the newest one that it has read."""
    row = db.execute("SELECT seq, read_seq FROM accounts WHERE app = ? AND user = ?", (app, user)).fetchone()
    return (0, 0) if row is None else (row["seq"], row["read_seq"])


def mark_read(db: sqlite3.Connection, app: int, user: str, seq: int) -> None:
    """Note that the account has read its messages up to `seq`, or up to its newest one where that is less."""
    db.execute("UPDATE accounts SET read_seq = max(read_seq, min(seq, ?)) WHERE app = ? AND user = ?", (seq, app, user))


def revoked_before(db: sqlite3.Connection, app: int, user: str) -> int:
    """Unix seconds: UserSigs of the account that were made earlier are revoked. 0 where none is."""
    row = db.execute("SELECT before FROM revocations WHERE app = ? AND user = ?", (app, user)).fetchone()
    return 0 if row is None else int(row["before"])


def is_revoked(db: sqlite3.Connection, app: int, user: str, made: float, expires: float) -> bool:
    """Whether the account's UserSig with these dates, in unix seconds, is revoked."""
    (found,) = db.execute(
        "SELECT EXISTS (SELECT 1 FROM revocations WHERE app = ? AND user = ? AND before > ?)"
        " OR EXISTS (SELECT 1 FROM early_usersigs WHERE app = ? AND user = ? AND made = ? AND expires = ? AND revoked)",
        (app, user, made, app, user, made, expires),
    ).fetchone()
    return bool(found)


def revoke(db: sqlite3.Connection, app: int, user: str, now: float) -> float:
    """Revoke the account's UserSigs that were made or used until now.

    Returns the seconds until the next whole second, as a UserSig is dated in whole seconds.
    """
    next_second = math.floor(now) + 1
    db.execute(
        "INSERT INTO revocations VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET before = max(before, excluded.before)",
        (app, user, next_second),
    )
    before = revoked_before(db, app, user)
    db.execute("DELETE FROM early_usersigs WHERE app = ? AND user = ? AND made < ?", (app, user, before))
    db.execute("UPDATE early_usersigs SET revoked = 1 WHERE app = ? AND user = ?", (app, user))
    _keep_newest_early(db, app, user)
    return next_second - now


def note_early(db: sqlite3.Connection, app: int, user: str, made: float, expires: float, *, now: float) -> None:
    """Note the use of a UserSig that claims to be made after `now`, so that a kick can revoke it."""
    db.execute("DELETE FROM early_usersigs WHERE app = ? AND user = ? AND made < ? AND NOT revoked", (app, user, now))
    db.execute(
        "INSERT OR IGNORE INTO early_usersigs (app, user, made, expires) VALUES (?, ?, ?, ?)",
        (app, user, made, expires),
    )
    _keep_newest_early(db, app, user)


def _keep_newest_early(db: sqlite3.Connection, app: int, user: str) -> None:
    for revoked in (0, 1):
        db.execute(
            "DELETE FROM early_usersigs WHERE (app, user, made, expires) IN"
            " (SELECT app, user, made, expires FROM early_usersigs WHERE app = ? AND user = ? AND revoked = ?"
            " ORDER BY made DESC, expires DESC LIMIT -1 OFFSET ?)",
            (app, user, revoked, EARLY_KEPT),
        )
