"""How late it can be: a clock that is set back must not make a stranger of who was here before."""

from __future__ import annotations

import time
from collections.abc import Callable


class Latest:
    """The time that `clock` would show, had it never been set back since this was made.

    Nothing that this process or its peers have dated can be later. Calling it gives unix seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ahead = clock() - time.monotonic()

    def __call__(self) -> float:
        running = time.monotonic()
        self._ahead = max(self._ahead, self._clock() - running)
        return running + self._ahead
