"""What the whole service does now and did in the last hour, from any node."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from tim.activity import MINUTE, SHOWN, Activity, last_hour
from tim.audit import NOT_ME, AuditFilter, Entry
from tim.search import Search
from tim.store.base import Store

FRESH: Final = 1.0
"""Seconds for which a snapshot is shown again, whoever looks."""
NEWEST_SHOWN: Final = 5
"""Number of entries of the audit that a snapshot has, the newest."""
PAGES: Final = 20
"""Pages of the audit that are read for one minute, at most. Where much more happened in it, an entry may be missing."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The service at one moment.

    Attributes:
        at: unix seconds.
        nodes: number of online instances by node; nodes without any are left out.
        accounts: number of accounts that have one.
        instances: number of live instances, online or detached.
        activity: the last hour.
        disownings: the newest entries NOT_ME of that hour, NEWEST_SHOWN at most.
    """

    at: float
    nodes: dict[str, int]
    accounts: int
    instances: int
    activity: Activity
    disownings: list[Entry]

    def in_minute(self, nth: int) -> dict[str, int]:
        """All counters of one minute of the activity, 0 for the oldest."""
        return {name: numbers[nth] for name, numbers in self.activity.counts.items() if numbers[nth]}

    def in_hour(self) -> dict[str, int]:
        """All counters of the whole hour."""
        return {name: sum(numbers) for name, numbers in self.activity.counts.items()}

    @property
    def online(self) -> int:
        return sum(self.nodes.values())

    @property
    def detached(self) -> int:
        # The two numbers are read one after the other, and an instance may come in between.
        return max(0, self.instances - self.online)


class Overview:
    """Takes snapshots of `app`.

    Minutes that are over do not change. Only the last two are read again, as reading an hour takes a command for each
    minute and shard. Entries of the audit are read for a minute that has counted one more.
    """

    def __init__(self, app: int, store: Store) -> None:
        self._app = app
        self._store = store
        self._lock = threading.Lock()  # owns all below
        self._minutes: dict[int, dict[str, int]] = {}  # by the unix seconds of their begin
        self._disownings: dict[int, tuple[int, list[Entry]]] = {}  # by the same; how many there were, and the newest
        self._newest: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """Return the service as it is, at most FRESH seconds old. Raises StoreUnavailable."""
        with self._lock:
            now = self._store.now()
            if self._newest is None or not 0 <= now - self._newest.at < FRESH:
                self._newest = self._read(now)
            return self._newest

    def _read(self, now: float) -> Snapshot:
        oldest = now - MINUTE * SHOWN
        newest, since = self._newest, oldest
        kept: dict[int, dict[str, int]] = {}
        if newest is not None and oldest < newest.at <= now:
            since = newest.at - MINUTE
            kept = {begin: counts for begin, counts in self._minutes.items() if oldest - MINUTE < begin < since}
        self._minutes = kept | self._store.minutes(self._app, since)
        nodes = self._store.online()
        accounts, instances = self._store.live_accounts(self._app), self._store.number(self._app, Search())
        disownings = self._newest_disownings()
        return Snapshot(now, nodes, accounts, instances, last_hour(self._minutes, now), disownings)

    def _newest_disownings(self) -> list[Entry]:
        """The newest entries NOT_ME, the newest first."""
        counted = {begin: counts.get(f"{NOT_ME}:", 0) for begin, counts in self._minutes.items()}
        known, self._disownings = self._disownings, {}
        found: list[Entry] = []
        for begin in sorted((begin for begin, number in counted.items() if number), reverse=True):
            if len(found) >= NEWEST_SHOWN:
                break
            before = known.get(begin)
            if before is None or before[0] != counted[begin]:
                before = counted[begin], self._read_disownings(begin)
            self._disownings[begin] = before
            found += before[1]
        return found[:NEWEST_SHOWN]

    def _read_disownings(self, begin: int) -> list[Entry]:
        """Those of one minute."""
        where, found, before = AuditFilter(kinds=frozenset({NOT_ME}), since=begin, until=begin + MINUTE), [], ""
        for _ in range(PAGES):
            page = self._store.audit(self._app, where, before, NEWEST_SHOWN)
            found += page.entries
            before = page.next
            if not before or len(found) >= NEWEST_SHOWN:
                break
        return found
