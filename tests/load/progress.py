"""What the load is doing now, for whoever waits for it."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TextIO


class Progress:
    """Writes to stderr, and not more often than anybody reads."""

    EVERY = 1.0
    """Seconds between two lines."""

    def __init__(self, to: TextIO = sys.stderr) -> None:
        self._to = to
        self._due = 0.0

    def says(self, words: str) -> None:
        """Write the line, unless another has been written just before."""
        if monotonic() >= self._due:
            self._due = monotonic() + self.EVERY
            self._to.write(f"{words}\n")
            self._to.flush()
