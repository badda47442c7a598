"""Verbs that run at about the same time are committed as a group: they share one COMMIT, and one wait for the disk.

Under gevent these are the verbs of one pass of the event loop. While the disk is busy with one group, the verbs that
come then make up the next one. A verb that comes alone is a group too. Each verb is a savepoint, so one that is refused
takes back only its own changes.

A durable verb is answered when what it has written is on disk, and with it all that was committed before. The others
are answered once they are committed: that survives the end of the process, and a moment later a power failure as well.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from tim.errors import StoreUnavailable
from tim.store.sqlite.disk import Disk
from tim.timing import Timing

RESTART: Final = "stop this server, see to the disk, and start again"
LOG_CHANGES: Final = 2000
"""How many changed rows the -wal holds before it is moved into the file: about 8 MiB of it, 20 with pages of 4 KiB."""


@dataclass(slots=True)
class Group:
    """Verbs that are committed together.

    Attributes:
        changes: how many rows the connection had changed before the group.
        durable: whether one of its verbs is.
        written: whether something was committed that has to be on disk.
        done: whether its verbs may be answered.
        over: set when that is so, or when the verb that commits it was interrupted.
        error: why nothing of it was kept, or may not have been; "" where all was.
    """

    changes: int
    durable: bool = False
    written: bool = False
    done: bool = False
    over: threading.Event = field(default_factory=threading.Event)
    error: str = ""


class Groups:
    """The verbs on a connection, which nothing else uses.

    Args:
        disk: that the -wal is on; None for a database in memory.
        clock: unix seconds; the time inside the verbs.
        check: raises StoreUnavailable where the database must not be used; called before verbs.

    Attributes:
        lock: held by the verb that runs.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        disk: Disk | None,
        clock: Callable[[], float],
        check: Callable[[], None],
        timing: Timing,
    ) -> None:
        self.lock = threading.Lock()
        self._connection = connection
        self._disk = disk
        self._clock = clock
        self._check_database = check
        self._lag = timing.sqlite_sync
        self._committing = threading.Lock()  # taken before `lock`; held until the group is done; owns the one below
        self._collector: threading.Timer | None = None  # while something was committed that only it writes to the disk
        self._open: Group | None = None  # the group that verbs join, with a transaction open; guarded by `lock`
        self._newest = Group(0, done=True)  # the same, or the one before where none is open; guarded by `lock`
        self._moved = 0  # rows changed when the -wal was moved last; guarded by `lock`
        self._fault = ""  # why nothing more is written to the disk; set under `_committing`

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[float]:
        """One atomic verb. Yields its time, in unix seconds.

        Args:
            durable: whether it is answered when what it has written is on disk; at most `Timing.sqlite_sync` before
                that, otherwise.

        Raises:
            StoreUnavailable: nothing was changed; or the disk has failed, which may have lost it.
        """
        group: Group | None = None
        try:
            with self.lock:
                first = self._open is None
                group = self._join()
                group.durable = group.durable or durable
                try:
                    yield self._clock()
                    if not first:
                        self._connection.execute("RELEASE verb")
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

    def finish(self) -> None:
        """Return when the verbs that have run are answered, and on disk."""
        with self.lock:
            newest = self._newest
        with suppress(StoreUnavailable):
            self._finish(newest)
        self._collect()

    def _check(self) -> None:
        self._check_database()
        if self._fault:
            raise StoreUnavailable(self._fault)

    def _join(self) -> Group:
        """Begin a verb that writes, in the open group or in a new one."""
        if self._open is None:
            self._check()
            self._connection.execute("BEGIN IMMEDIATE")
            self._open = self._newest = Group(self._connection.total_changes)
        else:
            self._connection.execute("SAVEPOINT verb")
        return self._open

    def _take_back(self, group: Group, error: BaseException, *, first: bool) -> None:
        """Take back what the verb that has ended with `error` has changed."""
        if not first:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK TO verb")
                self._connection.execute("RELEASE verb")
                return
            # SQLite has taken back the whole group, as it may where the disk is full.
            group.error = str(error) or repr(error)
        self._open = None
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _finish(self, group: Group, *, first: bool = False) -> None:
        """Return when the group is on disk, and all before it.

        The `first` of its verbs commits it for all. Where that one was interrupted, another one does.

        Raises:
            StoreUnavailable.
        """
        if not first and not group.done:
            group.over.wait()
        try:
            if first:
                time.sleep(0)  # with gevent, verbs of all greenlets that can run join the group
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
                group.written = not group.error and self._connection.total_changes != group.changes
            log_is_long = self._connection.total_changes - self._moved > LOG_CHANGES
            if log_is_long:
                group.durable = True  # what is moved into the file is on disk
                self._sync(group)
                self._move_log()
        if not log_is_long:
            self._sync(group)
        group.done = True

    def _sync(self, group: Group) -> None:
        """Wait until what the group has written is on disk, or let it be written there soon."""
        if not group.written or self._disk is None:
            return
        if group.durable:
            group.error = self._pay(self._disk)
        elif self._collector is None:
            self._collector = threading.Timer(self._lag, self._collect)
            self._collector.daemon = True
            self._collector.start()

    def _pay(self, disk: Disk) -> str:
        """Wait until all that was committed is on disk. Returns why that may not be so; "" where it is."""
        if self._collector is not None:
            self._collector.cancel()
            self._collector = None
        try:
            disk.sync()
        except OSError as error:
            # A second attempt may succeed though the first one's pages were dropped; so there is none.
            self._fault = f"the disk may have lost what was written last: {error.strerror}; {RESTART}"
        return self._fault

    def _collect(self) -> None:
        """Write to the disk what nobody has waited for."""
        with self._committing:
            if self._collector is not None and self._disk is not None:
                self._pay(self._disk)

    def _move_log(self) -> None:
        """Move what is in the -wal into the file, so that the -wal is written from its beginning again.

        Runs under `lock`, between two groups: a transaction that is open would keep the -wal from being used again.
        Where it fails, as on a full disk, all is still in the -wal; the next attempt is as many changes later.
        """
        self._moved = self._connection.total_changes
        if self._disk is not None:
            with suppress(sqlite3.Error):
                self._disk.run(lambda: self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())

    def _end_transaction(self) -> str:
        """Commit, or take back all where that is not possible. Returns why nothing was kept; "" where it was."""
        error = self._fault
        try:
            if not error:
                self._connection.execute("COMMIT")
        except sqlite3.Error as failed:
            error = str(failed)
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        return error
