"""The rows of the table `sessions`: the operators that are signed in. Each function runs inside a transaction."""

from __future__ import annotations

import sqlite3

from tim.rules import SESSION_LIFE


def insert(db: sqlite3.Connection, app: int, handle: str, role: str, now: float) -> None:
    db.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?)", (app, handle, role, now + SESSION_LIFE))


def role(db: sqlite3.Connection, app: int, handle: str, now: float) -> str | None:
    """The role of the session; None where it is over. More than SESSION_LIFE is left where the clock was set back."""
    open_now = "SELECT role FROM sessions WHERE app = ? AND handle = ? AND until > ? AND until <= ?"
    row = db.execute(open_now, (app, handle, now, now + SESSION_LIFE)).fetchone()
    return None if row is None else str(row["role"])


def delete(db: sqlite3.Connection, app: int, handle: str) -> None:
    db.execute("DELETE FROM sessions WHERE app = ? AND handle = ?", (app, handle))


def delete_older(db: sqlite3.Connection, now: float) -> None:
    """Delete the sessions that are over."""
    db.execute("DELETE FROM sessions WHERE until <= ?", (now,))
