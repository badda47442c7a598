"""The table of blocks: accounts that an operator has locked out."""

from __future__ import annotations

import sqlite3

from tim.audit import BLOCKED, REVOKED, UNBLOCKED, Entry
from tim.errors import AccountBlocked, BlockChanged
from tim.model import Account, Block, Instance
from tim.store.sqlite import accounts, audit, instances
from tim.store.sqlite.database import Database


def check(db: sqlite3.Connection, app: int, user: str, now: float) -> None:
    """Raise AccountBlocked if the account is blocked; runs inside a transaction."""
    block = _find(db, app, user, now)
    if block is not None:
        raise AccountBlocked(block)


def _find(db: sqlite3.Connection, app: int, user: str, now: float) -> Block | None:
    """The block of the account that holds at `now`."""
    holds = "SELECT * FROM blocks WHERE app = ? AND user = ? AND (until IS NULL OR until > ?)"
    row = db.execute(holds, (app, user, now)).fetchone()
    return None if row is None else Block(row["until"], row["words"], row["at"], row["by"])


class Blocks:
    """The verbs on blocks of an embedded store.

    Args:
        grace: seconds that a detached instance keeps its seat.
    """

    def __init__(self, database: Database, grace: float) -> None:
        self._db = database.connection
        self._transaction, self._reading = database.transaction, database.reading
        self._grace = grace

    def block(
        self, app: int, user: str, until: float | None, words: str, actor: str, *, shown: float | None = None
    ) -> list[Instance]:
        with self._transaction() as now:
            block = _find(self._db, app, user, now)
            if shown not in (None, 0 if block is None else block.at):
                raise BlockChanged
            self._db.execute(
                "INSERT OR REPLACE INTO blocks (app, user, until, words, at, by) VALUES (?, ?, ?, ?, ?, ?)",
                (app, user, until, words, now, actor),
            )
            audit.write(self._db, app, Entry("", now, BLOCKED, user, words=words, actor=actor), now)
            return instances.end_all(self._db, app, user, now, self._grace, actor=actor, words=words)

    def unblock(self, app: int, user: str, actor: str, *, shown: float | None = None) -> bool:
        with self._transaction() as now:
            block = _find(self._db, app, user, now)
            if block is not None and shown not in (None, block.at):
                raise BlockChanged
            self._db.execute("DELETE FROM blocks WHERE app = ? AND user = ?", (app, user))
            if block is not None:
                audit.write(self._db, app, Entry("", now, UNBLOCKED, user, actor=actor), now)
            return block is not None

    def revoke(self, app: int, user: str, actor: str) -> float:
        with self._transaction() as now:
            audit.write(self._db, app, Entry("", now, REVOKED, user, actor=actor), now)
            return accounts.revoke(self._db, app, user, now)

    def account(self, app: int, user: str) -> Account:
        with self._reading() as now:
            block = _find(self._db, app, user, now)
            revoked_before = accounts.revoked_before(self._db, app, user)
            return Account(user, accounts.exists(self._db, app, user), block, revoked_before)
