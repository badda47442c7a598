"""The logs of messages in SQLite: each account has its own, numbered 1, 2, 3, … without gaps.

What is here runs inside a transaction of `tim.store.sqlite`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from tim.rules import Message


def find(db: sqlite3.Connection, app: int, user: str, instance: str, message_id: str) -> Message | None:
    """The message in the account's log that this instance has sent under this id."""
    row = db.execute(
        "SELECT * FROM messages WHERE app = ? AND user = ? AND instance = ? AND id = ?",
        (app, user, instance, message_id),
    ).fetchone()
    return None if row is None else _message(row)


def write(db: sqlite3.Connection, app: int, user: str, message: Message, *, shown: bool) -> Message:
    """Add `message` to the log of an account that exists; the copy with its number.

    Args:
        shown: whether the account sees it at once.
    """
    seq = db.execute(
        "UPDATE accounts SET seq = seq + 1, shown = iif(?, seq + 1, shown) WHERE app = ? AND user = ? RETURNING seq",
        (shown, app, user),
    ).fetchone()[0]
    db.execute(
        "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (app, user, seq, message.id, message.sender, message.to, message.text, message.time, message.instance),
    )
    return replace(message, seq=seq)


def newest(db: sqlite3.Connection, app: int, user: str, after: int, limit: int, *, since: float) -> list[Message]:
    """The newest `limit` messages that are numbered above `after` and of the time `since` or later, oldest first."""
    rows = db.execute(
        "SELECT * FROM messages WHERE app = ? AND user = ? AND seq > ? AND time >= ? ORDER BY seq DESC LIMIT ?",
        (app, user, after, since, limit),
    )
    return [_message(row) for row in rows][::-1]


def forget(db: sqlite3.Connection, before: float) -> None:
    """Delete what is older than `before`, in unix seconds."""
    db.execute("DELETE FROM messages WHERE time < ?", (before,))


def _message(row: sqlite3.Row) -> Message:
    return Message(row["seq"], row["id"], row["sender"], row["receiver"], row["text"], row["time"], row["instance"])
