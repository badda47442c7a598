"""A file of SQLite as a store has it open: one process, one transaction at a time, and watched."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tim.errors import SettingError, StoreUnavailable
from tim.store.sqlite import schema
from tim.store.sqlite.filelock import take
from tim.store.sqlite.watch import Watch

WAY_OUT: Final = (
    "stop this server, put the file back, or a backup in its place without the old -wal beside it, and start again"
)
"""What to do where a file is not what it was. An old log would be applied to the backup."""


class Database:
    """The database in the file at `path`; an empty path is one in memory.

    Attributes:
        connection: to be used inside a `transaction` only.
        lock: whoever holds it is inside a verb.

    Raises:
        SettingError: another process has the file, or it is no store of ours.
    """

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._owner = os.getpid()
        self.lock = threading.Lock()
        path = os.path.realpath(path) if path else ""  # one file is one store, under whatever name
        self._file_lock = take(path) if path else None
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
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                if self._watch.is_cut_short():
                    raise sqlite3.DatabaseError("it was cut short")
                (found,) = self.connection.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise sqlite3.DatabaseError(f"it is damaged: {' '.join(found.split())}")
                self._watch.begin()
        except (OSError, sqlite3.Error) as error:
            if self._watch is not None:
                self._watch.close()
            if self._file_lock is not None:
                with suppress(OSError):
                    if not Path(path).stat().st_size:  # as on a full disk: the next start is a first one again
                        os.unlink(path)
                        os.unlink(f"{path}.lock")
                self._file_lock.close()
            way_out = ""
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                way_out = "; restore it from a backup, or delete it to begin anew"
            raise SettingError("TIM_STORE", f"{path} cannot be used as a store: {error}{way_out}") from None

    @contextmanager
    def transaction(self) -> Iterator[float]:
        """One atomic verb; yields the time it happens at, in unix seconds.

        Raises:
            StoreUnavailable: nothing was changed.
        """
        if os.getpid() != self._owner:
            raise StoreUnavailable("it was opened by the process that this one was forked from")
        with self.lock:
            # What is written to a file that has no name any more would be gone at the next start.
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
        """Let go of the file and of its lock."""
        with self.lock:
            self.connection.close()
            if self._watch is not None:
                self._watch.close()
            if self._file_lock is not None:
                self._file_lock.close()
