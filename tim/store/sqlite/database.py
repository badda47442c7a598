"""The open database of a store: one process, one verb at a time, its file checked before each.

Verbs that run at about the same time are committed as a group: they share one COMMIT, and one wait for the disk. While
the disk is busy with one group, the verbs that come then make up the next one. A verb that comes alone is a group too.

Each verb is a savepoint, so one that is refused takes back only its own changes. A verb is answered when all is on disk
that it has written, and that it has seen.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from tim.errors import SettingError, StoreUnavailable
from tim.store.sqlite import filelock, schema
from tim.store.sqlite.disk import Disk
from tim.store.sqlite.watch import Watch

WAY_OUT: Final = (
    "stop this server, put the file back, or a backup in its place without the old -wal beside it, and start again"
)
"""What to do about a changed file. SQLite would apply an old -wal to the backup."""
RESTART: Final = "stop this server, see to the disk, and start again"
STATEMENTS: Final = 512
"""How many statements SQLite keeps prepared; more than all verbs have, whatever is searched for."""


@dataclass(slots=True)
class Group:
    """Verbs that are committed together.

    Attributes:
        changes: how many rows the connection had changed before the group.
        written: whether something was committed that has to be on disk.
        done: whether its verbs may be answered.
        over: set when that is so, or when the verb that commits it was interrupted.
        error: why nothing of it was kept, or may not have been; "" where all was.
    """

    changes: int
    written: bool = False
    done: bool = False
    over: threading.Event = field(default_factory=threading.Event)
    error: str = ""


class Database:
    """The database in the file at `path`; an empty path means in memory.

    Attributes:
        connection: for use inside `transaction` and `reading` only.
        lock: held by the verb that runs.

    Raises:
        SettingError: another process has the file open, or it is not a store of this service.
    """

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._owner = os.getpid()
        self.lock = threading.Lock()
        self._committing = threading.Lock()  # taken before `lock`; held until the group is done
        self._open: Group | None = None  # the group that verbs join, with a transaction open; guarded by `lock`
        self._newest = Group(0, done=True)  # the same, or the one before where none is open; guarded by `lock`
        self._fault = ""  # why nothing more is written to the disk; set under `_committing`
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
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = NORMAL")  # a COMMIT does not wait for the disk: a group does
            self.connection.execute("PRAGMA temp_store = MEMORY")  # what a savepoint may have to take back
            schema.prepare(self.connection)
            if self._watch is not None:
                self._check_pages(self._watch)
                self._watch.begin()
                self._disk = Disk(f"{path}-wal")
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
            StoreUnavailable: nothing was changed; or the disk has failed, which may have lost it.
        """
        group: Group | None = None
        try:
            with self.lock:
                first = self._open is None
                group = self._join()
                try:
                    yield self._clock()
                    if not first:
                        self.connection.execute("RELEASE verb")
                except BaseException as error:
                    self._take_back(group, error, first=first)
                    raise
        except sqlite3.Error as error:
            raise StoreUnavailable(str(error)) from error
        finally:
            if group is not None:
                self._finish(group, first=first)

    @contextmanager
    def reading(self) -> Iterator[float]:
        """One verb that only reads. Yields its time, in unix seconds.

        No other program writes to the file, so what is read under `lock` is of one moment, without a transaction.

        Raises:
            StoreUnavailable.
        """
        seen: Group | None = None
        try:
            with self.lock:
                self._check()
                seen = None if self._newest.done else self._newest
                yield self._clock()
        except sqlite3.Error as error:
            raise StoreUnavailable(str(error)) from error
        finally:
            if seen is not None:
                self._finish(seen)

    def _check(self) -> None:
        """Raise StoreUnavailable where the database cannot be used."""
        if os.getpid() != self._owner:
            raise StoreUnavailable("it was opened by the process that this one was forked from")
        # What is written to a deleted file would be gone at the next start.
        if self._watch is not None and (fault := self._watch.fault()):
            raise StoreUnavailable(f"{fault}; {WAY_OUT}")
        if self._fault:
            raise StoreUnavailable(self._fault)

    def _join(self) -> Group:
        """Begin a verb that writes, in the open group or in a new one."""
        if self._open is None:
            self._check()
            self.connection.execute("BEGIN IMMEDIATE")
            self._open = self._newest = Group(self.connection.total_changes)
        else:
            self.connection.execute("SAVEPOINT verb")
        return self._open

    def _take_back(self, group: Group, error: BaseException, *, first: bool) -> None:
        """Take back what the verb that has ended with `error` has changed."""
        if not first:
            with suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK TO verb")
                self.connection.execute("RELEASE verb")
                return
            group.error = str(error)  # SQLite has taken back the whole group, as it does where the disk is full
        self._open = None
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def _finish(self, group: Group, *, first: bool = False) -> None:
        """Return when the group is on disk, and all before it.

        The `first` of its verbs commits it for all. Where that one was interrupted, another one does.

        Raises:
            StoreUnavailable.
        """
        if not first and not group.done:
            group.over.wait()
        try:
            if not group.done:
                with self._committing:
                    if not group.done:
                        self._commit(group)
        finally:
            group.over.set()
        if group.error:
            raise StoreUnavailable(group.error)

    def _commit(self, group: Group) -> None:
        with self.lock:
            if self._open is group:
                self._open = None
                group.error = self._end_transaction()
                group.written = not group.error and self.connection.total_changes != group.changes
        if group.written and self._disk is not None:
            try:
                self._disk.sync()
            except OSError as error:
                # A second attempt may succeed though the first one's pages were dropped; so there is none.
                self._fault = group.error = f"the disk may have lost what was written last: {error.strerror}; {RESTART}"
        group.done = True

    def _end_transaction(self) -> str:
        """Commit, or take back all where that is not possible. Returns why nothing was kept; "" where it was."""
        error = self._fault
        try:
            if not error:
                self.connection.execute("COMMIT")
        except sqlite3.Error as failed:
            error = str(failed)
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        return error

    def close(self) -> None:
        """Close the file and release its lock. Verbs that are under way are finished."""
        with self.lock:
            newest = self._newest
        with suppress(StoreUnavailable):
            self._finish(newest)
        with self._committing, self.lock:
            self.connection.close()
            self._release()

    def _release(self) -> None:
        if self._watch is not None:
            self._watch.close()
        if self._disk is not None:
            self._disk.close()
        if self._file_lock is not None:
            self._file_lock.close()
