"""The open database of a store: one process, one connection, its file checked before each verb."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Final

from tim.errors import SettingError, StoreUnavailable
from tim.store.sqlite import filelock, schema
from tim.store.sqlite.disk import Disk
from tim.store.sqlite.groups import Groups
from tim.store.sqlite.watch import Watch
from tim.timing import DEFAULT, Timing

WAY_OUT: Final = (
    "stop this server, put the file back, or a backup in its place without the old -wal beside it, and start again"
)
"""What to do about a changed file. SQLite would apply an old -wal to the backup."""
PAGE_BYTES: Final = 1024
"""Size of a page of a new file. A row with its places in the indexes is about as large."""
STATEMENTS: Final = 512
"""How many statements SQLite keeps prepared; more than all verbs have, whatever is searched for."""


class Database:
    """The database in the file at `path`; an empty path means in memory.

    Attributes:
        connection: for use inside `transaction` and `reading` only.
        transaction, reading, lock: of its `Groups`.

    Raises:
        SettingError: another process has the file open, or it is not a store of this service.
    """

    def __init__(self, path: str, clock: Callable[[], float], timing: Timing = DEFAULT) -> None:
        self._owner = os.getpid()
        path = os.path.realpath(path) if path else ""  # one file is one store, under whatever name
        self._file_lock = filelock.take(path) if path else None
        self._watch: Watch | None = None
        self._disk: Disk | None = None
        try:
            if path:
                self._watch = Watch(path)
            self.connection = sqlite3.connect(
                path or ":memory:", isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
            )
            self.connection.row_factory = sqlite3.Row
            # A changed row is written with the whole page that it is on. A file that exists keeps its size of a page.
            self.connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = NORMAL")  # a COMMIT does not wait for the disk: a group does
            self.connection.execute("PRAGMA wal_autocheckpoint = 0")  # nor does it move the -wal into the file
            self.connection.execute("PRAGMA temp_store = MEMORY")  # what a savepoint may have to take back
            schema.prepare(self.connection)
            if self._watch is not None:
                self._check_pages(self._watch)
                self._watch.begin()
                self._disk = Disk(f"{path}-wal")
            groups = Groups(self.connection, self._disk, clock, self._check, timing)
        except (OSError, sqlite3.Error) as error:
            if self._file_lock is not None:
                filelock.delete_if_empty(self._file_lock)
            self._release()
            damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
            way_out = "; restore it from a backup, or delete it to begin anew" if damaged else ""
            raise SettingError("TIM_STORE", f"{path} cannot be used as a store: {error}{way_out}") from None
        self._groups, self.lock = groups, groups.lock
        self.transaction, self.reading = groups.transaction, groups.reading

    def _check_pages(self, watch: Watch) -> None:
        """Raise sqlite3.DatabaseError where the file lacks pages or has damaged ones."""
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if watch.is_cut_short():
            raise sqlite3.DatabaseError("it was cut short")
        (found,) = self.connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(f"it is damaged: {' '.join(found.split())}")

    def _check(self) -> None:
        """Raise StoreUnavailable where the database cannot be used."""
        if os.getpid() != self._owner:
            raise StoreUnavailable("it was opened by the process that this one was forked from")
        # What is written to a deleted file would be gone at the next start.
        if self._watch is not None and (fault := self._watch.fault()):
            raise StoreUnavailable(f"{fault}; {WAY_OUT}")

    def close(self) -> None:
        """Close the file and release its lock. Verbs that are under way are finished."""
        self._groups.finish()
        with self.lock:
            self.connection.close()
            self._release()

    def _release(self) -> None:
        if self._watch is not None:
            self._watch.close()
        if self._disk is not None:
            self._disk.close()
        if self._file_lock is not None:
            self._file_lock.close()
