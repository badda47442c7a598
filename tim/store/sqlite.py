"""The embedded store: one SQLite file, one process.

Every verb is one transaction under one lock, so verbs happen one after the other. A row in `instances` is an
instance; with a `reason` it is a tombstone, kept so that a tab that comes back late hears what became of it.
What each verb promises stands in `tim.store.Store`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from typing import Final

from tim.errors import InstanceGone, NoSuchAccount, NotReady, SettingError, StoreUnavailable
from tim.events import AWAY, TYPES, UNKNOWN
from tim.rules import REMEMBERED, Client, Gone, Instance, Message, displaced_by, ended, leaving
from tim.store.filelock import take

SCHEMA_VERSION: Final = 1


class SQLiteStore:
    """The verbs of `tim.store.Store` on the file at `path`; an empty path is a store in memory.

    Raises:
        SettingError: another process has the file, or it is no store of ours.
    """

    def __init__(self, path: str, *, grace: float, clock: Callable[[], float]) -> None:
        self._grace = grace
        self._clock = clock
        self._lock = threading.Lock()  # owns self._db: whoever holds it is inside a verb
        self._file_lock = take(path) if path else None
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        try:
            self._open(path)
        except (sqlite3.Error, StoreUnavailable) as error:
            self.close()
            raise SettingError("TIM_STORE", f"{path} cannot be used as a store: {error}") from None

    def _open(self, path: str) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")  # a message that was acknowledged survives a power cut
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            schema = resources.files("tim.store").joinpath("schema.sql").read_text()
            self._db.executescript(f"BEGIN; {schema} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
        elif version != SCHEMA_VERSION:
            self.close()
            raise SettingError("TIM_STORE", f"{path} was made by another version of this server (schema {version})")
        # No stream outlives its process. Whoever was logged in gets a whole grace time to come back.
        with self._transaction() as now:
            self._db.execute("UPDATE instances SET node = '', detached_at = ? WHERE reason IS NULL", (now,))
            self._db.execute("UPDATE instances SET node = '' WHERE reason IS NOT NULL AND node <> ''")

    @contextmanager
    def _transaction(self) -> Iterator[float]:
        """One atomic verb; yields the time it happens at."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._clock()
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreUnavailable(str(error)) from error

    def admit(self, newcomer: Instance, limit: int) -> tuple[Instance, list[Instance]]:
        with self._transaction() as now:
            known = self._find(newcomer.id)
            if known is not None:
                return known, []
            instance = replace(newcomer, since=now, detached_at=now)
            evicted = [
                self._end(old, Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, now, newcomer.client))
                for old in leaving(self._live(newcomer.app, newcomer.user, now), limit)
            ]
            self._db.execute("INSERT OR IGNORE INTO accounts (app, user) VALUES (?, ?)", (instance.app, instance.user))
            return self._insert(instance, node=""), evicted

    def attach(self, id: str, node: str, limit: int) -> Instance:
        lost: Gone | None = None
        with self._transaction() as now:
            instance = self._find(id)
            if instance is None:
                raise InstanceGone(Gone(UNKNOWN, now))
            gone = ended(instance, now=now, grace=self._grace)
            if gone is None:
                self._db.execute(
                    "UPDATE instances SET stream = stream + 1, node = ?, detached_at = NULL WHERE id = ?", (node, id)
                )
                return replace(instance, stream=instance.stream + 1, detached_at=None)
            lost = gone
            if gone.reason == AWAY:
                live = self._live(instance.app, instance.user, now)
                if len(live) < limit and instance.expires > now:
                    self._db.execute("DELETE FROM instances WHERE id = ?", (id,))
                    back = replace(instance, stream=instance.stream + 1, detached_at=None, gone=None)
                    return self._insert(back, node)
                if live:
                    lost = displaced_by(live)
            self._end(instance, lost)
        raise InstanceGone(lost)

    def detach(self, id: str, stream: int) -> bool:
        with self._transaction() as now:
            fence = "WHERE id = ? AND stream = ? AND node <> ''"
            self._db.execute(f"UPDATE instances SET node = '' {fence} AND reason IS NOT NULL", (id, stream))
            return bool(
                self._db.execute(
                    f"UPDATE instances SET node = '', detached_at = ? {fence} AND reason IS NULL", (now, id, stream)
                ).rowcount
            )

    def renew(self, node: str) -> list[Instance]:
        with self._transaction():
            return self._select("WHERE node = ? AND node <> '' AND reason IS NOT NULL", (node,))

    def remove(self, id: str, gone: Gone) -> Instance | None:
        with self._transaction() as now:
            instance = self._find(id)
            before = None if instance is None else ended(instance, now=now, grace=self._grace)
            # One that is away could come back, so it can still be ended for good.
            if instance is None or (before is not None and before.reason != AWAY):
                return None
            return self._end(instance, replace(gone, at=now))

    def sweep(self) -> list[Instance]:
        with self._transaction() as now:
            self._db.execute(
                "DELETE FROM instances WHERE reason IS NOT NULL AND gone_at < ? AND node = ''", (now - REMEMBERED,)
            )
            self._db.execute("DELETE FROM messages WHERE time < ?", (now - REMEMBERED,))
            due = self._select("WHERE reason IS NULL AND (expires <= ? OR detached_at <= ?)", (now, now - self._grace))
            fates = [(instance, ended(instance, now=now, grace=self._grace)) for instance in due]
            return [self._end(instance, gone) for instance, gone in fates if gone is not None]

    def get(self, id: str) -> Instance:
        with self._transaction() as now:
            instance = self._find(id)
            if instance is None:
                return Instance(id, 0, "", Client("", ""), 0, 0, gone=Gone(UNKNOWN, now))
            return replace(instance, gone=ended(instance, now=now, grace=self._grace))

    def instances(self, app: int, user: str) -> list[Instance]:
        with self._transaction() as now:
            return self._live(app, user, now)

    def append(self, id: str, to: str, text: str, message_id: str) -> tuple[Message, Message | None]:
        with self._transaction() as now:
            sender = self._find(id)
            if sender is None:
                raise InstanceGone(Gone(UNKNOWN, now))
            gone = ended(sender, now=now, grace=self._grace)
            if gone is not None and gone.reason != AWAY:
                raise InstanceGone(gone)
            if gone is not None or not sender.online:
                raise NotReady
            app, user = sender.app, sender.user
            if self._account(app, to) is None:
                raise NoSuchAccount(to)
            sent = self._by_id(app, user, message_id)
            if sent is not None:
                return sent, None if to == user else self._by_id(app, to, message_id)
            message = Message(0, message_id, user, to, text, now, id)
            return self._log(app, user, message, True), None if to == user else self._log(
                app, to, message, any(instance.online for instance in self._live(app, to, now))
            )

    def history(self, app: int, user: str, after: int, limit: int) -> list[Message]:
        with self._transaction():
            rows = self._db.execute(
                "SELECT * FROM messages WHERE app = ? AND user = ? AND seq > ? ORDER BY seq DESC LIMIT ?",
                (app, user, after, limit),
            )
            return [_message(row) for row in rows][::-1]

    def read_up_to(self, app: int, user: str) -> int:
        with self._transaction():
            account = self._account(app, user)
            return 0 if account is None else int(account["shown"])

    def mark_read(self, app: int, user: str, seq: int) -> None:
        with self._transaction():
            self._db.execute(
                "UPDATE accounts SET shown = max(shown, min(seq, ?)) WHERE app = ? AND user = ?", (seq, app, user)
            )

    def close(self) -> None:
        with self._lock:
            self._db.close()
            if self._file_lock is not None:
                self._file_lock.close()

    # What follows runs inside a verb's transaction.

    def _select(self, where: str, values: tuple[object, ...]) -> list[Instance]:
        return [_instance(row) for row in self._db.execute(f"SELECT * FROM instances {where}", values)]

    def _find(self, id: str) -> Instance | None:
        return next(iter(self._select("WHERE id = ?", (id,))), None)

    def _live(self, app: int, user: str, now: float) -> list[Instance]:
        rows = self._select("WHERE app = ? AND user = ? AND reason IS NULL ORDER BY generation", (app, user))
        return [instance for instance in rows if ended(instance, now=now, grace=self._grace) is None]

    def _insert(self, instance: Instance, node: str) -> Instance:
        generation = self._db.execute(
            "INSERT INTO instances (id, app, user, browser, address, since, expires, stream, node, detached_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (instance.id, instance.app, instance.user, instance.client.browser, instance.client.address,
             instance.since, instance.expires, instance.stream, node, instance.detached_at),
        ).lastrowid  # fmt: skip
        return replace(instance, generation=generation or 0)

    def _end(self, instance: Instance, gone: Gone) -> Instance:
        by = gone.by or Client("", "")
        self._db.execute(
            "UPDATE instances SET reason = ?, gone_at = ?, by_browser = ?, by_address = ? WHERE id = ?",
            (gone.reason, gone.at, by.browser, by.address, instance.id),
        )
        return replace(instance, gone=gone)

    def _account(self, app: int, user: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute(
            "SELECT * FROM accounts WHERE app = ? AND user = ?", (app, user)
        ).fetchone()
        return row

    def _by_id(self, app: int, user: str, message_id: str) -> Message | None:
        row = self._db.execute(
            "SELECT * FROM messages WHERE app = ? AND user = ? AND id = ?", (app, user, message_id)
        ).fetchone()
        return None if row is None else _message(row)

    def _log(self, app: int, user: str, message: Message, shown: bool) -> Message:
        seq = self._db.execute(
            "UPDATE accounts SET seq = seq + 1, shown = iif(?, seq + 1, shown) WHERE app = ? AND user = ?"
            " RETURNING seq",
            (shown, app, user),
        ).fetchone()[0]
        self._db.execute(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (app, user, seq, message.id, message.sender, message.to, message.text, message.time, message.instance),
        )
        return replace(message, seq=seq)


def _instance(row: sqlite3.Row) -> Instance:
    by = Client(row["by_browser"], row["by_address"]) if row["by_browser"] else None
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


def _message(row: sqlite3.Row) -> Message:
    return Message(row["seq"], row["id"], row["sender"], row["receiver"], row["text"], row["time"], row["instance"])
