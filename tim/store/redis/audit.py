"""The verbs on the audit and on counters: each shard has those of its accounts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from tim.audit import AuditFilter, AuditPage, Entry, Lane, first_page, merge
from tim.rules import shard_of
from tim.store.redis.decode import entry_of, fields_of, us
from tim.store.redis.scripts import Reply, Scripts, call_id

ROUNDS: Final = 8
"""Searches that one call makes, at most: of all shards, or of the one of an account."""
IN_TIME: Final = 0.25
"""Seconds after which a call begins no further search."""
SCANNED: Final = 250
"""Entries of each stream that one search of all shards looks at, at most: under a millisecond for each shard."""
SCANNED_ALONE: Final = 1000
"""The same for a search of one shard."""


class Audit:
    """The verbs of `tim.store.audit.Audit` and `Counters`, over `scripts`."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def note(self, app: int, entry: Entry) -> None:
        fields = (word for name, value in asdict(entry).items() if name not in ("id", "at") for word in (name, value))
        self._scripts.call(shard_of(app, entry.user), "note", app, call_id(), *fields)

    def page(self, app: int, where: AuditFilter, before: str = "", limit: int = 50) -> AuditPage:
        upto = before
        if where.until is not None and (not before or int(us(where.until)) <= int(before.partition("-")[0])):
            upto = f"{us(where.until)}-0"
        found: list[Entry] = []
        late = time.monotonic() + IN_TIME
        for _ in range(ROUNDS):
            more = merge(self._search(app, where, upto, limit))
            found += more.entries
            upto = more.reached
            if len(found) > limit or not upto or time.monotonic() > late:
                break
        return first_page(Lane(found, upto), limit)

    def count(self, app: int, counts: Mapping[str, int]) -> None:
        self._scripts.call(0, "count", app, call_id(), *(word for pair in counts.items() for word in pair))

    def counters(self, app: int) -> dict[str, int]:
        total: Counter[str] = Counter()
        for [counts] in self._scripts.everywhere_or_fail("counters", app):
            total.update(_numbers(counts))
        return dict(total)

    def minutes(self, app: int, since: float) -> dict[int, dict[str, int]]:
        found: dict[int, Counter[str]] = {}
        for [minutes] in self._scripts.everywhere_or_fail("minutes", app, us(since)):
            for minute, counts in minutes:
                found.setdefault(int(minute), Counter()).update(_numbers(counts))
        return {minute: dict(found[minute]) for minute in sorted(found)}

    def _search(self, app: int, where: AuditFilter, upto: str, limit: int) -> list[Lane]:
        """The streams that may have such entries, each searched below the id `upto`."""
        since = "" if where.since is None else us(where.since)
        which = (app, where.user, " ".join(sorted(where.kinds)), where.address, upto, since)
        if where.user:
            return _lanes(self._scripts.call(shard_of(app, where.user), "audit", *which, limit + 1, SCANNED_ALONE))
        # Each shard has a few of the newest; rounds get the rest where one has most of them.
        few = max(8, limit // 32)
        replies = self._scripts.everywhere_or_fail("audit", *which, few, SCANNED)
        return [lane for reply in replies for lane in _lanes(reply)]


def _lanes(reply: Reply) -> list[Lane]:
    found, reached, refusals, reached_refusals = reply
    lanes = ((found, reached), (refusals, reached_refusals))
    return [Lane([entry_of(id, flat) for id, flat in entries], end) for entries, end in lanes]


def _numbers(counts: list[str]) -> dict[str, int]:
    return {name: int(number) for name, number in fields_of(counts).items()}
