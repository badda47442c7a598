"""One POST over a connection of its own, within a time that also bounds a slow name server and a slow answer."""

from __future__ import annotations

import http.client
import io
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from tim.receiver import REFUSED, Receiver, Request, is_local

MAX_ANSWER: Final = 64 * 1024
"""Largest size of an answer in bytes."""

SocketAddress = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


class PostFailed(Exception):
    """There is no answer; the text says why."""


class Poster:
    """Posts requests to one receiver. Follows no redirect, and verifies the certificate of https.

    Args:
        seconds: the time for one request, from the name of the host to the last byte of the answer.
    """

    def __init__(self, receiver: Receiver, seconds: float) -> None:
        self._receiver = receiver
        self._seconds = seconds
        self._tls = ssl.create_default_context() if receiver.secure else None

    def post(self, request: Request) -> tuple[int, bytes]:
        """Return the status of the answer and, for 200, its body.

        Raises:
            PostFailed.
        """
        deadline = _Deadline(self._seconds)
        try:
            with (
                self._connect(deadline) as plain,
                deadline.cutting(plain),
                self._secured(plain, deadline) as connection,
            ):
                deadline.bound(connection)
                connection.sendall(self._written(request))
                return _answer(connection, deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = isinstance(error, TimeoutError) or deadline.is_over()
            raise PostFailed(f"no answer within {self._seconds:g} s" if late else self._words(error)) from None

    def _words(self, error: Exception) -> str:
        """What an operator reads about this error."""
        match error:
            case ssl.SSLCertVerificationError():
                return f"its certificate is not valid: {error.verify_message}"
            case ssl.SSLError():
                return "no TLS connection"
            case socket.gaierror():
                return f"there is no host {self._receiver.host}"
            case http.client.RemoteDisconnected():
                return "it closed the connection without an answer"
            case OSError():
                return error.strerror or "the connection broke"
        return "the answer is not HTTP"

    def _connect(self, deadline: _Deadline) -> socket.socket:
        """Connect to one of the addresses that were checked: a name could lead elsewhere a moment later."""
        found = _resolve(self._receiver.host, self._receiver.port, deadline)
        allowed = [each for each in found if self._receiver.local or not is_local(each[1][0])]
        if not allowed:
            raise PostFailed(f"{self._receiver.host} {REFUSED}")
        failure = OSError()
        for family, address in allowed:
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                deadline.bound(connection)
                connection.connect(address)
                return connection
            except OSError as error:
                connection.close()
                failure = error
        raise failure

    def _secured(self, raw: socket.socket, deadline: _Deadline) -> socket.socket:
        if self._tls is None:
            return raw
        deadline.bound(raw)
        return self._tls.wrap_socket(raw, server_hostname=self._receiver.host)

    def _written(self, request: Request) -> bytes:
        usual = 443 if self._receiver.secure else 80
        host = f"[{self._receiver.host}]" if ":" in self._receiver.host else self._receiver.host
        headers = {
            "Host": host if self._receiver.port == usual else f"{host}:{self._receiver.port}",
            "User-Agent": "tim",
            "Accept": "application/json",
            "Content-Length": str(len(request.body)),
            "Connection": "close",
        }
        lines = [f"POST {request.target} HTTP/1.1", *(f"{k}: {v}" for k, v in (headers | request.headers).items())]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + request.body


class _Deadline:
    """The end of one request."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left. Raises TimeoutError where none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def is_over(self) -> bool:
        return time.monotonic() >= self._end

    @contextmanager
    def cutting(self, connection: socket.socket) -> Iterator[None]:
        """End the connection at the deadline.

        A timeout of a socket bounds one wait. With greenlets, one TLS record that arrives byte by byte takes many.
        """
        twin = connection.dup()  # TLS takes over the other one

        def cut() -> None:
            with suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self.left(), cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            twin.close()

    def bound(self, connection: socket.socket) -> None:
        """Let the next call on the connection wait no longer. Raises TimeoutError."""
        connection.settimeout(self.left())


class _Bytes(io.RawIOBase):
    """What a peer sends before the deadline, however slowly."""

    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._deadline.bound(self._connection)
        return self._connection.recv_into(buffer)


class _Source:
    """What `http.client` reads an answer from."""

    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        self._file: io.BufferedIOBase = io.BufferedReader(_Bytes(connection, deadline))

    def makefile(self, mode: str) -> io.BufferedIOBase:
        return self._file


def _answer(connection: socket.socket, deadline: _Deadline) -> tuple[int, bytes]:
    with http.client.HTTPResponse(_Source(connection, deadline), method="POST") as response:  # type: ignore[arg-type]
        response.begin()
        if response.status != 200:
            return response.status, b""
        body = response.read(MAX_ANSWER + 1)
    if len(body) > MAX_ANSWER:
        raise PostFailed(f"the answer is longer than {MAX_ANSWER // 1024} KiB")
    return response.status, body


def _resolve(host: str, port: int, deadline: _Deadline) -> list[SocketAddress]:
    """The addresses of the host. A name server that does not answer keeps a thread of its own, and nothing else."""
    found: queue.SimpleQueue[list[SocketAddress] | OSError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put([(info[0], info[4]) for info in infos])  # type: ignore[misc]
        except (OSError, UnicodeError) as error:
            found.put(error if isinstance(error, OSError) else socket.gaierror())

    threading.Thread(target=resolve, name="tim-webhook-name", daemon=True).start()
    try:
        answer = found.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer
