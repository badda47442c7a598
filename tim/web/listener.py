"""The listening socket of a worker of gunicorn: what is under way goes first, and several workers share what comes.

A pass of the event loop serves every connection that has something to do. Each new one that a pass accepts delays all
others by its handshake, and with them the kicks that logins under way cause. So a new connection waits in the kernel
until the loop has nothing else to do, or for LONGEST.

The kernel wakes any worker for a connection, and of two workers one may get three times as many. Each of its
connections is served at a third of the speed then. So a worker leaves a new connection to one that has clearly fewer.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import MutableSequence
from typing import Any, Final

from gevent.server import StreamServer

from tim.web.transport import TCP_INFO
from tim.web.websocket import WebSocket

LONGEST: Final = 0.01
"""Seconds for which a new connection waits for this worker to be idle, or is left to others, of which an idle one takes
it at once. If all are busy or stuck, it has waited this long, or for one pass of the loop where that takes longer."""
SHARE: Final = 10
"""A busy worker accepts one of so many connections that wait, for each LONGEST that the first of them has waited."""
AT_ONCE: Final = 2
"""Connections that it accepts together at least."""
ALONE: Final = 6
"""Connections that a single worker accepts when it is idle; of several workers, each accepts 1. A single one may have a
SQLite file, in which logins that come together share one commit."""
MORE: Final = 4
"""So many more than another worker has, and a sixteenth, are clearly more."""
STUCK: Final = 32
"""Of what belongs to other workers it accepts one of so many, in case they are stuck."""
NOT_LISTENING: Final = 2**30
"""What a worker counts that has stopped listening, as in gunicorn.conf.py: the others leave nothing to it."""


class Listener(StreamServer):  # type: ignore[misc]  # gevent has no types
    """Accepts connections when it is idle, unless another worker has clearly fewer.

    Attributes:
        counter: its first number is 1 and how many connections this worker has open.
        workers: these numbers of all workers; 0 where there is no worker.
        when_idle: connections that are accepted together by an idle worker.
    """

    counter: MutableSequence[int]
    workers: memoryview[int]
    when_idle = 1

    def start(self) -> None:
        self._idle = self.loop.idle()
        self._late = self.loop.timer(LONGEST, LONGEST)
        super().start()

    def do_read(self) -> tuple[Any, Any] | None:
        accepted: tuple[Any, Any] | None = super().do_read()
        if accepted is not None:
            self.counter[0] += 1
        return accepted

    def do_close(self, *args: Any) -> None:
        self.counter[0] -= 1
        super().do_close(*args)

    def close(self) -> None:
        self.counter[0] = NOT_LISTENING
        count_by([0])
        super().close()

    def stop_accepting(self) -> None:
        self._idle.stop()
        self._late.stop()
        super().stop_accepting()

    def _do_read(self) -> None:
        """Called by the loop when a connection has come."""
        self._watcher.stop()
        fewest = min(filter(None, self.workers))
        if self.counter[0] <= fewest + max(MORE, fewest // 16):
            self._idle.start(self._accept, self.when_idle)
        self._late.again(self._accept_late, time.monotonic())

    def _accept_late(self, came: float) -> None:
        """Accepts its share of those that wait, of which the first `came` at this monotonic time."""
        waiting = self._waiting()
        share = int(waiting / SHARE * (time.monotonic() - came) / LONGEST)
        listening = [number for number in self.workers if 0 < number < NOT_LISTENING]
        own = (sum(listening) + waiting) // len(listening) - self.counter[0]  # then all have the same number
        self._accept(max(AT_ONCE, min(share, own), share // STUCK))

    def _waiting(self) -> int:
        """How many connections the kernel holds that no worker has accepted. A guess where it does not say."""
        if sys.platform != "linux" or self.socket.family == socket.AF_UNIX:
            return AT_ONCE * SHARE
        # Linux tells it of a listening socket in place of the segments that are not acknowledged.
        return int.from_bytes(self.socket.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 28)[24:], sys.byteorder)

    def _accept(self, most: int) -> None:
        """Accepts up to so many of those that have come."""
        self._idle.stop()
        self._late.stop()
        self._watcher.start(self._do_read)
        self.max_accept = most
        super()._do_read()


def make(counter: MutableSequence[int], workers: memoryview[int], *, alone: bool) -> type[Listener]:
    """What a worker listens with whose connections `counter[0]` counts, beside those of all `workers`."""
    Listener.when_idle = ALONE if alone else 1
    counter[0] = 1
    count_by(counter)
    Listener.workers = workers
    return Listener


def count_by(counter: MutableSequence[int]) -> None:
    """Counts with `counter[0]` all connections from now on, also those that have left their requests."""
    Listener.counter = WebSocket.counter = counter
