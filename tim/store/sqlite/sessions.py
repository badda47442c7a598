"""The table of sessions: the operators that are signed in to the console."""

from __future__ import annotations

import sqlite3

from tim.audit import CONSOLE_SIGN_IN, CONSOLE_SIGN_OUT, Entry
from tim.rules import SIGN_IN_LIFE
from tim.store.sqlite import audit
from tim.store.sqlite.database import Database


class Sessions:
    """The verbs on sessions of an embedded store."""

    def __init__(self, database: Database) -> None:
        self._db = database.connection
        self._transaction, self._reading = database.transaction, database.reading

    def open(self, app: int, handle: str, role: str, address: str = "") -> None:
        with self._transaction() as now:
            until = now + SIGN_IN_LIFE
            self._db.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?)", (app, handle, role, until))
            entry = Entry("", now, CONSOLE_SIGN_IN, address=address, actor=f"console {role}")
            audit.write(self._db, app, entry, now)

    def role(self, app: int, handle: str) -> str | None:
        with self._reading() as now:
            return self._role(app, handle, now)

    def close(self, app: int, handle: str) -> None:
        with self._transaction() as now:
            role = self._role(app, handle, now)
            self._db.execute("DELETE FROM sessions WHERE app = ? AND handle = ?", (app, handle))
            if role is not None:
                audit.write(self._db, app, Entry("", now, CONSOLE_SIGN_OUT, actor=f"console {role}"), now)

    def _role(self, app: int, handle: str, now: float) -> str | None:
        """The role of a session that is open. More than SIGN_IN_LIFE is left where the clock was set back."""
        open_now = "SELECT role FROM sessions WHERE app = ? AND handle = ? AND until > ? AND until <= ?"
        row = self._db.execute(open_now, (app, handle, now, now + SIGN_IN_LIFE)).fetchone()
        return None if row is None else str(row["role"])


def delete_older(db: sqlite3.Connection, now: float) -> None:
    """Delete the sessions that are over; runs inside a transaction."""
    db.execute("DELETE FROM sessions WHERE until <= ?", (now,))
