"""The metrics of the whole service, in the terms of Prometheus. Any node answers for all."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tim.audit import LOGIN, NOT_ME, REFUSED, RETURNED, UNSEATED
from tim.backend import Backend
from tim.ends import KICKS
from tim.errors import StoreUnavailable
from tim.measures import (
    KICK,
    OVERFLOWED,
    RECONCILED,
    STORE,
    STORE_FAILED,
    UNDELIVERED,
    WEBHOOK,
    Histogram,
    histograms,
)
from tim.status import Status

FRESH: Final = 1.0
"""Seconds for which what the store has counted is shown again: scrapes, however many, read it once in that time."""
RESULTS: Final = {LOGIN: "admitted", RETURNED: "returned", REFUSED: "refused"}
"""The label of a login by the kind of its entry in the audit."""


class Metrics:
    """Renders the metrics of `backend`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()  # owns the two below
        self._status: Status | None = None
        self._read_at = -math.inf  # by the monotonic clock

    def render(self) -> bytes:
        """Prometheus text. While the store is away, only what this node knows by itself."""
        registry = CollectorRegistry()
        registry.register(_Families(list(_of_node(self._backend.streams))))
        with suppress(StoreUnavailable):
            registry.register(_Families(list(_of_store(self._newest()))))
        return generate_latest(registry)

    def _newest(self) -> Status:
        with self._lock:
            if self._status is None or time.monotonic() >= self._read_at + FRESH:
                self._status = self._backend.status()
                self._read_at = time.monotonic()
            return self._status


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _of_node(streams: int) -> Iterator[Metric]:
    yield GaugeMetricFamily("tim_streams", "Open streams of the node that answers.", streams)


def _of_store(status: Status) -> Iterator[Metric]:
    online = GaugeMetricFamily("tim_online_instances", "Instances with an open stream, by node.", labels=["node"])
    for node, number in status.online.items():
        online.add_metric([node], number)
    yield online
    yield GaugeMetricFamily("tim_detached_instances", "Live instances without an open stream.", status.detached)
    yield GaugeMetricFamily("tim_webhook_queued_events", "Events that are not delivered yet.", status.events.waiting)
    yield CounterMetricFamily(
        "tim_webhook_dropped_events", "Events that never will be delivered.", status.events.dropped
    )
    counts = status.counts
    logins = {RESULTS[kind]: sum(_by_code(counts, kind).values()) for kind in RESULTS}
    yield _counter("tim_logins", "Logins by result.", "result", logins)
    yield _counter("tim_refused_logins", "Refused logins by error code.", "code", _by_code(counts, REFUSED))
    yield _ends(counts)
    yield CounterMetricFamily(
        "tim_not_me", "Accounts that have disowned a login after an eviction.", sum(_by_code(counts, NOT_ME).values())
    )
    yield _histogram("tim_kick_latency_seconds", "From a kick to the browser's close frame.", "type",
                     dict.fromkeys(sorted(KICKS), _NOTHING) | histograms(counts, KICK))  # fmt: skip
    undelivered = dict.fromkeys(sorted(KICKS), 0) | _by_code(counts, UNDELIVERED)
    yield _counter("tim_undelivered_kicks", "Kicks that no browser has acknowledged.", "type", undelivered)
    yield CounterMetricFamily(
        "tim_reconciled_streams", "Streams that a node and the store disagreed about.",
        sum(_by_code(counts, RECONCILED).values()),
    )  # fmt: skip
    yield CounterMetricFamily(
        "tim_mailbox_overflows", "Streams closed because of a slow reader.", sum(_by_code(counts, OVERFLOWED).values())
    )
    yield _histogram("tim_store_latency_seconds", "Calls of the store.", "verb", histograms(counts, STORE))
    yield _counter("tim_store_failures", "Calls of the store without a reply.", "verb", _by_code(counts, STORE_FAILED))
    attempts = {"delivered": 0, "failed": 0} | _by_code(counts, WEBHOOK)
    yield _counter("tim_webhook_attempts", "Attempts to deliver an event.", "result", attempts)


_NOTHING: Final = Histogram({math.inf: 0}, 0.0)


def _ends(counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily("tim_ended_instances", "Ended instances, by event and type.", labels=["event", "type"])
    for kind in sorted(UNSEATED):
        for code, number in sorted(_by_code(counts, kind).items()):
            family.add_metric([kind, code], number)
    return family


def _by_code(counts: Mapping[str, int], kind: str) -> dict[str, int]:
    """The counters of this kind, by code."""
    return {name.partition(":")[2]: number for name, number in counts.items() if name.partition(":")[0] == kind}


def _counter(name: str, words: str, label: str, numbers: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, words, labels=[label])
    for value, number in sorted(numbers.items()):
        family.add_metric([value], number)
    return family


def _histogram(name: str, words: str, label: str, found: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, words, labels=[label])
    for value, one in found.items():
        buckets = [("+Inf" if bound == math.inf else f"{bound:g}", number) for bound, number in one.buckets.items()]
        family.add_metric([value], buckets, one.total)
    return family
