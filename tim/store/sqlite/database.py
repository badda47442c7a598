"""The open database of a store: one process, one transaction at a time, its file checked before each."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tim.errors import SettingError, StoreUnavailable
from tim.store.sqlite import filelock, schema
from tim.store.sqlite.watch import Watch

WAY_OUT: Final = (
    "stop this server, put the file back, or a backup in its place without the old -wal beside it, and start again"
)
"""What to do about a changed file. SQLite would apply an old -wal to the backup."""


class Database:
    """The database in the file at `path`; an empty path means in memory.

    Attributes:
        connection: for use inside a `transaction` only.
        lock: held by the verb that runs.

    Raises:
        SettingError: another process has the file open, or it is not a store of this service.
    """

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._owner = os.getpid()
        self.lock = threading.Lock()
        path = os.path.realpath(path) if path else ""  # one file is one store, under whatever name
        self._file_lock = filelock.take(path) if path else None
        self._watch: Watch | None = None
        try:
            if path:
                self._watch = Watch(path)
            self.connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
            self.connection.row_factory = sqlite3.Row
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut
            schema.prepare(self.connection)
            if self._watch is not None:
                self._check_pages(self._watch)
                self._watch.begin()
        except (OSError, sqlite3.Error) as error:
            if self._file_lock is not None:
                filelock.delete_if_empty(self._file_lock)
            self._release()
            damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
            way_out = "; restore it from a backup, or delete it to begin anew" if damaged else ""
            raise SettingError("TIM_STORE", f"{path} cannot be used as a store: {error}{way_out}") from None

    def _check_pages(self, watch: Watch) -> None:
        """Raise sqlite3.DatabaseError where the file lacks pages or has damaged ones."""
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if watch.is_cut_short():
            raise sqlite3.DatabaseError("it was cut short")
        (found,) = self.connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(f"it is damaged: {' '.join(found.split())}")

    @contextmanager
    def transaction(self) -> Iterator[float]:
        """One atomic verb. Yields its time, in unix seconds.

        Raises:
            StoreUnavailable: nothing was changed.
        """
        if os.getpid() != self._owner:
            raise StoreUnavailable("it was opened by the process that this one was forked from")
        with self.lock:
            # What is written to a deleted file would be gone at the next start.
            if self._watch is not None and (fault := self._watch.fault()):
                raise StoreUnavailable(f"{fault}; {WAY_OUT}")
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._clock()
                    self.connection.execute("COMMIT")
                except BaseException:
                    if self.connection.in_transaction:
                        self.connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreUnavailable(str(error)) from error

    def close(self) -> None:
        """Close the file and release its lock."""
        with self.lock:
            self.connection.close()
            self._release()

    def _release(self) -> None:
        if self._watch is not None:
            self._watch.close()
        if self._file_lock is not None:
            self._file_lock.close()
