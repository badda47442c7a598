"""The latest time that a clock has shown, so that setting it back does not invalidate earlier dates."""

from __future__ import annotations

import time
from collections.abc import Callable


class Latest:
    """The time that `clock` would show if it had never been set back since this object was made.

    No date that this node or another node has made can be later. Calling the object returns unix seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ahead = clock() - time.monotonic()

    def __call__(self) -> float:
        running = time.monotonic()
        self._ahead = max(self._ahead, self._clock() - running)
        return running + self._ahead
