"""The promise of a store about its audit and its counters; `tim.store.base` has the other verbs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tim.audit import AuditFilter, AuditPage, Entry


class Audit(Protocol):
    """What has happened, newest first. Each change of an instance or account writes its entry in its own step.

    `actor` of a verb goes into that entry; see `Entry`. Each entry also counts under the name `audit.counter(entry)`.
    Sweeps delete what is more, or older, than the `Retention` that the store was opened with.
    """

    def note(self, app: int, entry: Entry) -> None:
        """Write an entry about something that is no change in this store. Its `id` and `at` are the store's."""

    def audit(self, app: int, where: AuditFilter, before: str = "", limit: int = 50) -> AuditPage:
        """At most `limit` entries that match, newest first, written before the entry with the id `before`."""


class Counters(Protocol):
    """How often each thing has happened, all nodes together: by entries of the audit, and by the nodes' own counts."""

    def count(self, app: int, counts: Mapping[str, int]) -> None:
        """Add to the counter of each name, in total and in the current minute."""

    def counters(self, app: int) -> dict[str, int]:
        """All counters, in total, by name."""

    def minutes(self, app: int, since: float) -> dict[int, dict[str, int]]:
        """What was counted in each minute, by the unix seconds of its begin; minutes without any are left out.

        Args:
            since: unix seconds; the minute of that time is the first one. At most MINUTES_KEPT back.
        """
