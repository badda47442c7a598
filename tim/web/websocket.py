"""A socket under gunicorn's gevent worker: one greenlet reads it, writes it, and waits.

It takes the place of simple-websocket and wsproto there, which cost a quarter of a login and most of the memory of an
idle tab: they parse the handshake a second time as HTTP, keep a state machine for both ends of any HTTP version, and
read each socket in a second thread. Here the event loop tells the one greenlet that there is something to read or to
send, and the same wait ends when a ping is due. `tim.web.framing` has the protocol.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, MutableSequence
from contextlib import suppress
from typing import ClassVar, Final, NoReturn

from gevent import socket, spawn_raw
from gevent.hub import Waiter, get_hub
from simple_websocket import ConnectionClosed

from tim.ends import CLOSE_CUT, CLOSE_TOO_MANY
from tim.timing import Timing
from tim.web import framing
from tim.web.framing import Beginning, BrokenFrame, Frame, Parser
from tim.web.inbound import Intake, Sizes, TooManyFrames, has_room
from tim.web.transport import DRAINED_BYTES, WholeSocket

READ: Final = 1
"""What a watcher of gevent's loop waits for: something to read."""
AT_ONCE: Final = 16 * 1024
"""Bytes that are read at a time."""

SILENT: Final = 1008
"""Close code for a peer that has not answered a ping."""

log = logging.getLogger("tim")


def can_serve(sock: object) -> bool:
    """Whether this is a plain connection of gevent. One with TLS may hold data that the event loop does not see."""
    return type(sock) is socket.socket


class LeftRequest(BaseException):
    """The connection has left its request, which ends without an answer. Like SystemExit, no handler catches it."""


class WebSocket:
    """One socket, after its handshake. Only the greenlet that serves it may call more than `wake`.

    The handshake is answered when the socket is served: what its peer sends then waits for nothing else.

    Args:
        key: Sec-WebSocket-Key of the handshake.
        sizes: of the messages that are accepted.

    Attributes:
        input_buffer: messages that have arrived and are not handled yet, oldest first. The handler removes them.
        connected: whether either side may still send messages.
        close_reason: the code of the peer's close frame, or of ours where the peer broke the protocol.
        peer_closed: whether the peer has sent a close frame.
        counter: its first number counts the sockets of this process that have left their requests.
    """

    counter: ClassVar[MutableSequence[int]] = [0]

    __slots__ = (
        "_greeting",
        "_intake",
        "_parser",
        "_ping_at",
        "_pinged",
        "_timing",
        "_waiter",
        "_watcher",
        "_woken",
        "close_reason",
        "connected",
        "input_buffer",
        "peer_closed",
        "sock",
    )

    def __init__(self, connection: WholeSocket, key: str, sizes: Sizes, timing: Timing) -> None:
        self.sock = connection
        self.input_buffer: list[bytes | str] = []
        self.connected = True
        self.close_reason = framing.NO_CODE
        self.peer_closed = False
        self._timing = timing
        self._parser = Parser(*sizes)
        self._intake = Intake(sizes.largest)
        self._ping_at = time.monotonic() + timing.ping_period
        self._pinged = False  # whether nothing has arrived since the last ping
        self._woken = False
        self._waiter: Waiter | None = None  # while it waits
        self._watcher = get_hub().loop.io(connection.fileno(), READ)
        self._greeting = (  # the answer to the handshake, until it is written
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n" % framing.accept_key(key).encode()
        )

    def wake(self) -> None:
        """Ends the wait of the handler, now or when it waits next. Any greenlet may call this."""
        if not self._woken:
            self._woken = True
            if self._waiter is not None:
                get_hub().loop.run_callback(self._waiter.switch, False)

    def wait(self, seconds: float) -> bool:
        """Waits until a message has arrived, `wake` was called, or the connection is dead. False after `seconds`.

        Other greenlets run meanwhile, whatever is there to read. Pings are answered, and a peer that sends nothing for
        a ping period is pinged; after another one the connection counts as dead.
        """
        until = time.monotonic() + seconds
        if self._woken and has_room(self.input_buffer):
            self._receive()
        while not (self._take_in() or self._woken):
            if time.monotonic() >= until:
                return False
            pause = self._intake.pause()
            if pause or not has_room(self.input_buffer):
                self._sleep(min(until, time.monotonic() + pause) if pause else until, reads=False)
            elif self._sleep(min(until, self._ping_at), reads=True):
                self._receive()
        self._woken = False
        return True

    def has_more(self) -> bool:
        """Reads what has arrived meanwhile. Whether a message is there to be handled."""
        if self.connected and has_room(self.input_buffer):
            self._receive()
            self._take_in()
        return bool(self.input_buffer)

    def send(self, message: bytes | str) -> None:
        """Writes a message: `bytes` as a binary one. Raises ConnectionClosed, OSError."""
        self.send_all((message,))

    def send_all(self, messages: Iterable[bytes | str]) -> None:
        """Writes messages with one call of the system. Raises ConnectionClosed, OSError."""
        if not self.connected:
            raise ConnectionClosed(self.close_reason)
        self._write(b"".join(map(framing.message, messages)))

    def go_on(self, serve: Callable[[], object]) -> NoReturn:
        """Ends the request, and serves the socket on with `serve`, in a greenlet of its own.

        All that belongs to the request is freed then: its headers, what gunicorn and Flask hold, and their stack.

        Raises:
            LeftRequest: always.
        """
        self._watcher.close()
        self.sock.leave_server()
        self._watcher = get_hub().loop.io(self.sock.fileno(), READ)
        self.counter[0] += 1
        spawn_raw(self._run, serve)
        raise LeftRequest

    def _run(self, serve: Callable[[], object]) -> None:
        try:
            with suppress(SystemExit):  # in a greenlet it would end the process
                self._write()
                serve()
        except Exception:
            log.exception("a socket failed")
        finally:
            self.sock.give_up()
            self.counter[0] -= 1

    def hang_up(self, code: int, why: str) -> None:
        """Closes the socket with `code`, and waits a moment until its peer, if that is not mute, has closed it as well.

        With CLOSE_CUT there is no close frame.
        """
        if code != CLOSE_CUT:
            with suppress(OSError):
                self._close(code, why)
                self.sock.shutdown(socket.SHUT_WR)
                patience = self._timing.socket_silence if self._pinged else self._timing.socket_close
                self._drain(time.monotonic() + patience)
        self.connected = False
        self._watcher.close()
        self.sock.end()

    def _sleep(self, until: float, *, reads: bool) -> bool:
        """Waits until `wake` is called or, with `reads`, there is something to read.

        Returns whether to look for that; also at `until`, in case both come at once.
        """
        hub = get_hub()
        self._waiter = waiter = Waiter(hub)
        timer = hub.loop.timer(max(0.0, until - time.monotonic()))
        timer.start(waiter.switch, reads)
        if reads:
            self._watcher.start(waiter.switch, True)
        try:
            return bool(waiter.get())
        finally:
            self._waiter = None
            self._watcher.stop()
            timer.close()

    def _receive(self) -> None:
        """Takes over the bytes that have arrived. If there are none and a ping is due, pings the peer."""
        try:
            data = self.sock.received(AT_ONCE)
            if data:
                self._parser.feed(data)
                self._ping_at, self._pinged = time.monotonic() + self._timing.ping_period, False
            elif data is not None:
                self.connected = False
            elif time.monotonic() >= self._ping_at:
                self._ping()
        except OSError:
            self.connected = False

    def _ping(self) -> None:
        if self._pinged:
            self._close(SILENT, "the peer has not answered a ping")
            return
        self.sock.send(framing.ping())
        self._ping_at, self._pinged = time.monotonic() + self._timing.ping_period, True

    def _take_in(self) -> bool:
        """Handles the frames that have arrived, while there is room. Whether there was a message, or the end."""
        count = len(self.input_buffer)
        try:
            while self.connected and has_room(self.input_buffer) and not self._intake.pause():
                frame = self._parser.next()
                if frame is None:
                    break
                self._handle(frame)
        except BrokenFrame as error:
            self._fail(error.code, str(error))
        except TooManyFrames as error:
            self._fail(CLOSE_TOO_MANY, str(error))
        except OSError:
            self.connected = False
        return len(self.input_buffer) > count or not self.connected

    def _handle(self, frame: Frame) -> None:
        if frame.kind in (framing.TEXT, framing.BINARY):
            data = frame.data
            self.input_buffer.append(data)
            self._intake.count_message(data.size if isinstance(data, Beginning) else len(data))
        elif frame.kind == framing.CLOSE:
            self.peer_closed = True
            self._close(frame.code)
        else:
            self._intake.count_other()
            if frame.kind == framing.PING:
                self.sock.send(framing.pong(frame))

    def _fail(self, code: int, why: str) -> None:
        """Closes a socket whose peer breaks the protocol, or a limit."""
        log.info("a socket is closed: %s", why)
        with suppress(OSError):
            self._close(code, why)

    def _close(self, code: int, why: str = "") -> None:
        if self.connected:
            self.connected = False
            self.close_reason = code
            self._write(framing.close(code, why))

    def _write(self, data: bytes = b"") -> None:
        """Writes `data`, behind the answer to the handshake where that is not written yet."""
        greeting, self._greeting = self._greeting, b""
        self.sock.send(greeting + data)

    def _drain(self, until: float) -> None:
        """Reads and discards what arrives until the peer has closed as well, or sends too much.

        A connection that is closed with something unread in it is reset, and the close frame is lost with it.
        """
        left = DRAINED_BYTES
        while not self.peer_closed and left > 0 and time.monotonic() < until:
            data = self.sock.received(AT_ONCE)
            if data is None:
                self._sleep(until, reads=True)
            elif not data:
                return
            else:
                left -= len(data)
                self._parser.feed(data)
                with suppress(BrokenFrame):
                    while (frame := self._parser.next()) is not None and not self.peer_closed:
                        self.peer_closed = frame.kind == framing.CLOSE
