"""Connections of the vendor's SDK without a login: limits their number."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from tim.address import counted_as
from tim.ends import CLOSE_LATER
from tim.hub import MAX_STREAMS
from tim.mailbox import End, Stream

MOST: Final = MAX_STREAMS // 4
"""Connections without a login in one process; the other places are kept for those with one."""
MOST_OF_ADDRESS: Final = 500
"""Connections without a login from one address."""


class Lobby:
    """The connections that wait for a login.

    A connection over the limit closes the oldest one, never the newest: a page that reconnects logs in at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # owns the two below
        self._waiting: dict[Stream, str] = {}  # by stream: the source that its address counts as; the oldest first
        self._of_address: Counter[str] = Counter()

    def enter(self, stream: Stream, address: str) -> None:
        """Adds the connection with this stream."""
        source = counted_as(address)
        with self._lock:
            self._waiting[stream] = source
            self._of_address[source] += 1
            leaves = self._one_too_many(source)
        if leaves is not None:
            self.leave(leaves)
            leaves.put(End(CLOSE_LATER))

    def leave(self, stream: Stream) -> None:
        """Removes the connection with this stream; idempotent."""
        with self._lock:
            source = self._waiting.pop(stream, None)
            if source is not None:
                self._of_address[source] -= 1
                if not self._of_address[source]:
                    del self._of_address[source]

    def __len__(self) -> int:
        with self._lock:
            return len(self._waiting)

    def _one_too_many(self, source: str) -> Stream | None:
        if self._of_address[source] > MOST_OF_ADDRESS:
            return next(stream for stream, from_ in self._waiting.items() if from_ == source)
        return next(iter(self._waiting)) if len(self._waiting) > MOST else None
