"""Failed attempts, counted in the memory of one process."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from tim.rules import PAUSE, WINDOW


class Failures:
    """How often each name has failed within a WINDOW, and until when it is paused. Not safe for threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}  # unix seconds of each, oldest first
        self._paused: dict[str, float] = {}  # until when, in unix seconds

    def count(self, name: str, most: int) -> int:
        """Count a failure of `name`. Returns the seconds left of its pause, 0 without one.

        See `tim.store.operating.Settings`.
        """
        now = self._clock()
        self._forget(now)
        if name in self._paused:
            return math.ceil(self._paused[name] - now)
        failures = self._failures.pop(name, deque())
        failures = deque(
            at for at in failures if now - WINDOW < at <= now
        )  # later ones date from before the clock was set back
        self._failures[name] = failures  # newest failure last
        if len(failures) >= most:
            self._paused[name] = now + PAUSE
            return PAUSE
        failures.append(now)
        return 0

    def _forget(self, now: float) -> None:
        """Drop what is too old. Names are in the order of their newest failure, so each call looks at few."""
        for name in [name for name, until in self._paused.items() if not now < until <= now + PAUSE]:
            del self._paused[name]  # it is over, or the clock was set back
        for name in list(self._failures):
            failures = self._failures[name]
            if failures and failures[-1] > now - WINDOW:
                break
            del self._failures[name]
