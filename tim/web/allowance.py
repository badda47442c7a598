"""Token buckets: a rate in the long run, and a burst at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from typing import Final

KNOWN: Final = 10_000
"""Buckets that `Allowances` keeps. It drops the least recently used one, which is full again by then."""


class Allowance:
    """A bucket of `burst` tokens, refilled with `rate` tokens a second. Not thread-safe."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = self._left = burst
        self._at = time.monotonic()

    def take(self, tokens: int = 1) -> float:
        """Takes tokens. Returns the seconds to wait before they may be used; 0 if so many were left."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate) - tokens
        self._at = now
        return max(0.0, -self._left / self._rate)


class Allowances:
    """A bucket for each name; thread-safe."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._lock = threading.Lock()  # owns the buckets
        self._buckets: dict[Hashable, Allowance] = {}  # the one used last at the end

    def take(self, name: Hashable) -> float:
        """Takes a token from the bucket of `name`. Returns the seconds to wait."""
        with self._lock:
            bucket = self._buckets.pop(name, None) or Allowance(self._rate, self._burst)
            self._buckets[name] = bucket
            if len(self._buckets) > KNOWN:
                del self._buckets[next(iter(self._buckets))]
            return bucket.take()
