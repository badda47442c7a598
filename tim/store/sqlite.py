"""The embedded store: one SQLite file, one process.

Every verb is one transaction under one lock, so verbs happen one after the other. A row in `instances` is an
instance; with a `reason` it is a tombstone, kept so that a tab that comes back late hears what became of it.
What each verb promises stands in `tim.store.Store`.
"""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from typing import Final

from tim.errors import InstanceGone, NoSuchAccount, NotReady, SettingError, StoreUnavailable, UserSigVoid
from tim.events import AWAY, TYPES, UNKNOWN
from tim.rules import REMEMBERED, Client, Gone, Instance, Message, displaced_by, ended, leaving
from tim.store import accounts, messages
from tim.store.filelock import take

SCHEMA_VERSION: Final = 2


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

    def admit(self, newcomer: Instance, limit: int, made: float = math.inf) -> tuple[Instance, list[Instance]]:
        with self._transaction() as now:
            known = self._find(newcomer.id)
            if known is not None:
                return known, []
            if made < accounts.voided_before(self._db, newcomer.app, newcomer.user):
                raise UserSigVoid
            instance = replace(newcomer, since=now, detached_at=now)
            evicted = [
                self._end(old, Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, now, newcomer.client))
                for old in leaving(self._live(newcomer.app, newcomer.user, now), limit)
            ]
            accounts.create(self._db, instance.app, instance.user)
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
            messages.forget(self._db, now - REMEMBERED)
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
            self._require(app, to)
            message = Message(0, message_id, user, to, text, now, id)
            return self._log(app, user, message), None if to == user else self._log(app, to, message)

    def deliver(
        self, app: int, sender: str, to: str, text: str, message_id: str, *, copy: bool
    ) -> tuple[Message | None, Message | None]:
        with self._transaction() as now:
            self._require(app, to)
            message = Message(0, message_id, sender, to, text, now, "")
            own = to == sender or (copy and accounts.exists(self._db, app, sender))
            sent = self._log(app, sender, message) if own else None
            return sent, None if to == sender else self._log(app, to, message)

    def history(self, app: int, user: str, after: int, limit: int) -> list[Message]:
        with self._transaction():
            return messages.newest(self._db, app, user, after, limit)

    def read_up_to(self, app: int, user: str) -> int:
        with self._transaction():
            return accounts.shown(self._db, app, user)

    def mark_read(self, app: int, user: str, seq: int) -> None:
        with self._transaction():
            accounts.show(self._db, app, user, seq)

    def import_account(self, app: int, user: str) -> None:
        with self._transaction():
            accounts.create(self._db, app, user)

    def accounts(self, app: int, users: Collection[str]) -> set[str]:
        with self._transaction():
            return {user for user in users if accounts.exists(self._db, app, user)}

    def kick_account(self, app: int, user: str) -> tuple[int, list[Instance]]:
        with self._transaction() as now:
            before = math.floor(now) + 1
            accounts.void(self._db, app, user, before)
            return before, self._end_all(app, user, now)

    def delete_account(self, app: int, user: str) -> list[Instance]:
        with self._transaction() as now:
            kicked = self._end_all(app, user, now)
            accounts.forget(self._db, app, user)
            return kicked

    def voided_before(self, app: int, user: str) -> int:
        with self._transaction():
            return accounts.voided_before(self._db, app, user)

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

    def _end_all(self, app: int, user: str, now: float) -> list[Instance]:
        """End what lives of an account by an administrator's hand, and what is away and could come back."""
        self._require(app, user)
        gone = Gone(TYPES.KICKED_OUT_REST_API, now)
        mine = self._select("WHERE app = ? AND user = ? AND (reason IS NULL OR reason = ?)", (app, user, AWAY))
        fates = [(instance, ended(instance, now=now, grace=self._grace)) for instance in mine]
        return [self._end(instance, gone) for instance, fate in fates if fate is None or fate.reason == AWAY]

    def _log(self, app: int, user: str, message: Message) -> Message:
        """The copy of `message` in the account's log, written there once."""
        known = messages.find(self._db, app, user, message.id)
        if known is not None:
            return known
        shown = user == message.sender or any(one.online for one in self._live(app, user, message.time))
        return messages.write(self._db, app, user, message, shown=shown)

    def _require(self, app: int, user: str) -> None:
        if not accounts.exists(self._db, app, user):
            raise NoSuchAccount(user)


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
