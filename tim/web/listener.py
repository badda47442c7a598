"""The listening socket of each of several workers of gunicorn: they share what comes, also while they are busy.

The kernel wakes any worker for a connection, and of two workers one may get three times as many. Each of its
connections is served at a third of the speed then. So a worker leaves a new connection to one that has clearly fewer.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import Any, Final

from gevent.server import StreamServer

from tim.web.websocket import WebSocket

ACCEPTS_A_PASS: Final = 4
"""Connections that a worker accepts in one pass of its event loop.

gunicorn sets 1: a pass of a busy worker serves every open connection that has something to do, so that a new one waited
up to 5 s for its turn. With more than a few, each login waits for the beginnings of many others, and so does the kick
that it causes.
"""
TIME_FOR_OTHERS: Final = 0.005
"""Seconds for which a connection is left to others. An idle worker takes it at once; if all are busy or stuck, it has
waited this long."""
NOT_LISTENING: Final = 2**30
"""What a worker counts that has stopped listening, as in gunicorn.conf.py: the others leave nothing to it."""


class Listener(StreamServer):  # type: ignore[misc]  # gevent has no types
    """Accepts connections, unless another worker has clearly fewer.

    Attributes:
        counter: its first number is 1 and how many connections this worker has open.
        workers: these numbers of all workers; 0 where there is no worker.
    """

    counter: MutableSequence[int]
    workers: memoryview[int]
    _waits = False  # whether others have time to accept what has come

    def start_accepting(self) -> None:
        self.max_accept = ACCEPTS_A_PASS  # gunicorn has no option for it
        if not self._waits:  # gevent calls this at each end of a request
            super().start_accepting()

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

    def _do_read(self) -> None:
        fewest = min(filter(None, self.workers))
        if self.counter[0] > fewest + max(ACCEPTS_A_PASS, fewest // 8):
            self._waits = True
            self.stop_accepting()
            self._timer = self.loop.timer(TIME_FOR_OTHERS)
            self._timer.start(self._accept_the_rest)
        else:
            super()._do_read()

    def _accept_the_rest(self) -> None:
        self._waits = False
        self.start_accepting()
        self.max_accept = 2 * ACCEPTS_A_PASS  # a busy worker has waited for a whole pass
        super()._do_read()
        self.max_accept = ACCEPTS_A_PASS


def make(counter: MutableSequence[int], workers: memoryview[int]) -> type[Listener]:
    """What a worker listens with whose connections `counter[0]` counts, beside those of all `workers`."""
    counter[0] = 1
    count_by(counter)
    Listener.workers = workers
    return Listener


def count_by(counter: MutableSequence[int]) -> None:
    """Counts with `counter[0]` all connections from now on, also those that have left their requests."""
    Listener.counter = WebSocket.counter = counter
