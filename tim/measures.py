"""What this node counts and times. With each renewal its counts are added to those of all nodes, in the store."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from tim.ends import Gone
from tim.errors import StoreUnavailable
from tim.rules import MINUTE
from tim.store.base import Store

KICK: Final = "kick-latency"
"""From the decision of a kick to the browser's close frame; by the type of the kick."""
UNDELIVERED: Final = "kick-undelivered"
"""A kick whose connection ended without the browser's close frame; by its type."""
STORE: Final = "store-latency"
"""Of one call of the store; by its verb."""
STORE_FAILED: Final = "store-failed"
"""A call that StoreUnavailable has ended; by its verb."""
RECONCILED: Final = "reconciled"
"""A stream that this node and the store did not agree about."""
OVERFLOWED: Final = "mailbox-overflow"
"""A stream whose reader was too slow."""
WEBHOOK: Final = "webhook"
"""An attempt to deliver an event; by `delivered` or `failed`."""
ONLINE: Final = "online"
"""How many instances were online: a sample in each minute."""

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, math.inf)
"""Upper bounds of the buckets of a histogram, in seconds."""
_BOUND_NAMES: Final = tuple(f"{bound:g}" for bound in BOUNDS)
SUM: Final = "us"
"""Stands for the bound in the counter with the sum of a histogram, in microseconds."""
UNTIMED: Final = frozenset({"now", "listen", "close"})
"""Methods of a store that are no calls of it."""


class Measures:
    """The counts of this node, for `app`, that are not in the store yet; thread-safe."""

    def __init__(self, app: int) -> None:
        self._app = app
        self._lock = threading.Lock()  # owns the two below
        self._pending: Counter[str] = Counter()  # by the name of the counter, `kind:code`
        self._sampled = 0  # the minute of the last sample, counted from 1970

    def count(self, kind: str, code: str = "") -> None:
        """Count one more."""
        with self._lock:
            self._pending[f"{kind}:{code}"] += 1

    def observe(self, kind: str, code: str, seconds: float) -> None:
        """Add a duration to a histogram."""
        seconds = max(0.0, seconds)  # a clock may have been set back
        name = f"{kind}:{code}/"
        bucket, total = name + _BOUND_NAMES[bisect_left(BOUNDS, seconds)], name + SUM
        with self._lock:
            self._pending[bucket] += 1
            self._pending[total] += round(seconds * 1e6)

    def kick(self, gone: Gone, now: float, *, acknowledged: bool) -> None:
        """Count a kick whose connection has ended.

        Args:
            now: unix seconds of the store.
            acknowledged: whether the browser has answered with its close frame.
        """
        if acknowledged:
            self.observe(KICK, gone.reason, now - gone.at)
        else:
            self.count(UNDELIVERED, gone.reason)

    def sample(self, kind: str, value: Callable[[], int], now: float) -> None:
        """Count a value once in each minute. So the counter of that minute has the sum over all nodes.

        Args:
            now: unix seconds of the store.
        """
        minute = int(now // MINUTE)
        with self._lock:
            if minute != self._sampled:
                self._sampled = minute
                self._pending[f"{kind}:"] += value()

    def flush(self, store: Store) -> None:
        """Add the counts to those of all nodes. Where the store is away or full, they wait for the next flush."""
        with self._lock:
            counts, self._pending = self._pending, Counter()
        counts = +counts
        try:
            if counts:
                store.count(self._app, counts)
        except StoreUnavailable:
            with self._lock:
                self._pending.update(counts)


class Timed:
    """A store, each of whose calls is timed."""

    def __init__(self, store: Store, measures: Measures) -> None:
        self._store = store
        self._measures = measures

    def __getattr__(self, verb: str) -> Any:
        untimed = verb in UNTIMED
        call = getattr(self._store, verb) if untimed else _timed_call(self._store, verb, self._measures)
        setattr(self, verb, call)  # the next call finds it there
        return call


def _timed_call(store: Store, verb: str, measures: Measures) -> Callable[..., Any]:
    """Return a function that calls this verb of the store, and times it."""

    def call(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return getattr(store, verb)(*arguments, **named)
        except StoreUnavailable:
            measures.count(STORE_FAILED, verb)
            raise
        finally:
            measures.observe(STORE, verb, time.perf_counter() - began)

    return call


def timed(store: Store, measures: Measures) -> Store:
    """Return the store with each of its calls timed."""
    return cast("Store", Timed(store, measures))


@dataclass(frozen=True, slots=True)
class Histogram:
    """What was observed under one code.

    Attributes:
        buckets: how many were at most as long, by each of BOUNDS.
        total: seconds, of all together.
    """

    buckets: dict[float, int]
    total: float

    def quantile(self, share: float) -> float | None:
        """The upper bound of the bucket that the share, 0 to 1, of all ends in; None where nothing was observed."""
        number = self.buckets[math.inf]
        return next((bound for bound, below in self.buckets.items() if number and below >= share * number), None)


def histogram(counts: Mapping[str, int], kind: str) -> Histogram:
    """The histogram of this kind among the counters, whatever the code."""
    whole: Counter[str] = Counter()
    for name, number in counts.items():
        if name.partition(":")[0] == kind:
            whole[name.rpartition("/")[2]] += number
    return _histogram(whole)


def histograms(counts: Mapping[str, int], kind: str) -> dict[str, Histogram]:
    """The histograms of this kind among the counters, by code."""
    found: dict[str, dict[str, int]] = {}
    for name, number in counts.items():
        its_kind, _, rest = name.partition(":")
        code, _, bound = rest.rpartition("/")
        if its_kind == kind:
            found.setdefault(code, {})[bound] = number
    return {code: _histogram(numbers) for code, numbers in sorted(found.items())}


def _histogram(numbers: Mapping[str, int]) -> Histogram:
    buckets: dict[float, int] = {}
    below = 0
    for bound in BOUNDS:
        below += numbers.get(f"{bound:g}", 0)
        buckets[bound] = below
    return Histogram(buckets, numbers.get(SUM, 0) / 1e6)
