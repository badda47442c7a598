"""The listening socket of a worker of gunicorn: what is under way goes first, and several workers share what comes.

A pass of the event loop serves every connection that has something to do. Each new one that a pass serves delays all
others by its handshake, and with them the kicks that logins under way cause. So a new connection is held until the
loop has nothing else to do, or for LONGEST. One that begins with a form is not held: it may be a login, whose kick is
urgent.

The kernel wakes any worker for a connection, and of two workers one may get three times as many. Each of its
connections is served at a third of the speed then. So a worker leaves a new connection to one that has clearly fewer.
"""

from __future__ import annotations

import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, MutableSequence
from contextlib import closing
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

from gevent import Timeout, spawn
from gevent.server import StreamServer

from tim.timing import DEFAULT
from tim.web.transport import TCP_INFO
from tim.web.websocket import WebSocket

SOON: Final = 0.0002
"""Seconds for which a new connection is left to other workers, of which an idle one takes it at once. Then a busy one
accepts it, and looks at how it begins."""
LEFT: Final = 0.01
"""The same for a worker that has clearly more connections than another one. If all are busy or stuck, a connection
waits for one pass of the loop where that takes longer."""
LONGEST: Final = 0.25
"""Seconds for which a worker holds a connection while it is busy. Then it serves some of these each LEFT."""
SHARE: Final = 5
"""It serves one of so many then."""
AT_ONCE: Final = 2
"""It serves so many at least, and a worker that has clearly more accepts so many, for each LEFT."""
HELD: Final = 128
"""Connections that it holds, at most."""
FORM: Final = b"POST"
"""What a connection begins with that is not held."""
ALONE: Final = 6
"""Connections that a single worker accepts when it is idle; of several workers, each accepts 1. A single one may have a
SQLite file, in which logins that come together share one commit."""
MORE: Final = 4
"""So many more than another worker has, and a sixteenth, are clearly more."""
NOT_LISTENING: Final = 2**30
"""What a worker counts that has stopped listening, as in gunicorn.conf.py: the others leave nothing to it."""


FastPath = Callable[[Any, Any], bool]
"""Serves a connection (socket, peer's address) without gunicorn; returns False to leave it to gunicorn."""


class Listener(StreamServer):  # type: ignore[misc]  # gevent has no types
    """Serves connections when it is idle, unless another worker has clearly fewer; first those that it holds.

    Attributes:
        counter: its first number is 1 and how many connections this worker has open.
        workers: these numbers of all workers; 0 where there is no worker.
        when_idle: connections that are accepted together by an idle worker.
        fast_path: called first with each connection; None if there is none.
        timing: how long it waits for a client.
    """

    counter: MutableSequence[int]
    workers: memoryview[int]
    when_idle = 1
    fast_path: Any = None  # a FastPath, as a static method
    timing = DEFAULT

    def set_handle(self, handle: Callable[[Any, Any], object]) -> None:
        """Puts the fast path in front of gunicorn's function.

        That asks the listening socket for its name on each connection, also on one that was accepted before that socket
        was closed. It gets a stand-in, which still answers.
        """
        if isinstance(handle, partial):
            name = handle.args[0].getsockname()
            handle = partial(handle.func, SimpleNamespace(getsockname=lambda: name))
        fast_path = self.fast_path

        def serve(sock: Any, address: Any) -> None:
            if fast_path is None or not fast_path(sock, address):
                handle(sock, address)

        super().set_handle(serve)

    def start(self) -> None:
        self._held: deque[tuple[float, Any, Any]] = deque()  # since when, and what `do_read` has returned
        self._holds = False  # while it accepts what it may hold
        self._came = 0.0  # when it was told of a connection last
        self._idle, self._soon = self.loop.idle(), self.loop.timer(SOON, SOON)
        self._left, self._late = self.loop.timer(LEFT, LEFT), self.loop.timer(LEFT, LEFT)
        super().start()

    def do_read(self) -> tuple[Any, Any] | None:
        accepted: tuple[Any, Any] | None = super().do_read()
        if accepted is not None:
            self.counter[0] += 1
        return accepted

    def do_handle(self, sock: Any, address: Any) -> None:
        if not self._holds:
            super().do_handle(sock, address)
        elif _begins_with_a_form(sock):
            serve = (_serve_and_close, self._handle, self.do_close, (sock, address))
            self.pool.spawn(*serve).switch()  # now; a greenlet begins after this pass
        else:
            self._held.append((time.monotonic(), sock, address))

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> None:
        """Serves a connection with TLS. gunicorn would wait for a mute client for ever."""
        try:
            with Timeout(self.timing.tls, TimeoutError()):
                secured = self.wrap_socket(client_socket, **self.ssl_args)
        except OSError:  # of the client, as ssl's errors are: gevent would write a traceback
            return
        with closing(secured):
            self.handle(secured, address)

    def do_close(self, *args: Any) -> None:
        self.counter[0] -= 1
        super().do_close(*args)

    def close(self) -> None:
        """Accepts no more, and serves those that it has accepted."""
        handle = vars(self).get("handle")
        for _, *accepted in self._held:
            # At once: gunicorn ends the worker when its pool is empty. A full pool blocks, so a greenlet waits.
            begin = partial(spawn, self.pool.spawn) if self.full() else self.pool.spawn
            begin(_serve_and_close, self._handle, self.do_close, accepted)
        self._held.clear()
        super().close()
        if handle is not None:
            self.handle = handle  # a connection with TLS looks for it after its handshake
        self.counter[0] = NOT_LISTENING
        count_by([0])

    def start_accepting(self) -> None:
        super().start_accepting()
        self._wait()

    def stop_accepting(self) -> None:
        for watcher in (self._idle, self._soon, self._left, self._late):
            watcher.stop()
        super().stop_accepting()

    def _do_read(self) -> None:
        """Called by the loop when a connection has come."""
        self._watcher.stop()
        self._came = time.monotonic()
        fewest = min(filter(None, self.workers))
        if self.counter[0] > fewest + max(MORE, fewest // 16):
            self._left.again(self._take_left)
        else:
            self._idle.start(self._when_idle)
            self._soon.again(self._let_in, 1)

    def _when_idle(self) -> None:
        if self._held and not self.full():
            self._serve(self.when_idle)
        else:
            self._accept(self.when_idle)

    def _when_late(self) -> None:
        """Serves some of those that it holds, where the first of them has waited for long."""
        if self._held[0][0] + LONGEST < time.monotonic():
            self._serve(max(AT_ONCE, len(self._held) // SHARE))

    def _take_left(self) -> None:
        """Accepts some of those that no other worker has accepted."""
        self._let_in(int(AT_ONCE * (time.monotonic() - self._came) / LEFT))

    def _let_in(self, least: int) -> None:
        """Accepts its part of those that have come, and holds all but the urgent."""
        self._holds = True
        self._accept(min(max(least, self._part()), HELD - len(self._held)))
        self._holds = False

    def _part(self) -> int:
        """How many of those that wait in the kernel make all workers have the same number."""
        listening = [number for number in self.workers if 0 < number < NOT_LISTENING]
        return (sum(listening) + self._waiting()) // len(listening) - self.counter[0]

    def _waiting(self) -> int:
        """How many connections the kernel holds that no worker has accepted. A guess where it does not say."""
        if sys.platform != "linux" or self.socket.family == socket.AF_UNIX:
            return AT_ONCE
        # Linux tells it of a listening socket in place of the segments that are not acknowledged.
        return int.from_bytes(self.socket.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 28)[24:], sys.byteorder)

    def _accept(self, most: int) -> None:
        """Accepts up to so many of those that have come, and waits for the next; where it is full, for an end."""
        for watcher in (self._idle, self._soon, self._left):
            watcher.stop()
        self._watcher.start(self._do_read)
        self.max_accept = most
        super()._do_read()
        if self._watcher is not None:
            self._wait()

    def _wait(self) -> None:
        """Waits until it can serve those that it holds."""
        if not self._held:
            self._late.stop()
        else:
            self._idle.start(self._when_idle)
            if not self._late.active:
                self._late.again(self._when_late)

    def _serve(self, most: int) -> None:
        """Serves up to so many of those that it holds. When it looks at what comes stays as it is: a form is urgent."""
        for _ in range(min(most, len(self._held))):
            if not self.full():
                _, *accepted = self._held.popleft()
                super().do_handle(*accepted)
        if not self._held:
            self._late.stop()
            if not self._soon.active:  # no connection has come that is its to take
                self._idle.stop()


def _serve_and_close(handle: Callable[..., object], close: Callable[..., object], accepted: Iterable[Any]) -> None:
    """Not a method: gevent's `close` removes `_handle` from the server before such a greenlet runs."""
    try:
        handle(*accepted)
    finally:
        close(*accepted)


def _begins_with_a_form(sock: Any) -> bool:
    try:
        return bool(sock._sock.recv(len(FORM), socket.MSG_PEEK) == FORM)
    except OSError:  # nothing has come, or it is broken, as whoever serves it finds out
        return False


def make(
    counter: MutableSequence[int], workers: memoryview[int], *, alone: bool, fast_path: FastPath | None = None
) -> type[Listener]:
    """What a worker listens with whose connections `counter[0]` counts, beside those of all `workers`."""
    Listener.fast_path = fast_path and staticmethod(fast_path)
    Listener.when_idle = ALONE if alone else 1
    counter[0] = 1
    count_by(counter)
    Listener.workers = workers
    return Listener


def count_by(counter: MutableSequence[int]) -> None:
    """Counts with `counter[0]` all connections from now on, also those that have left their requests."""
    Listener.counter = WebSocket.counter = counter
