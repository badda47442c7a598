"""One connection to the server: requests and answers, and after an upgrade the frames of a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from tests.load.frames import CLOSE, PING, PONG, Frames, frame
from tests.load.target import Target

BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36"
UPGRADE: Final = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; each header that came by its name in lower case, in the order of the answer."""

    status: int
    headers: list[tuple[str, str]]
    text: str

    def header(self, name: str) -> str:
        """Return the header's first value, "" where it did not come."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def cookies(self) -> list[str]:
        """`name=value` of each cookie that it sets."""
        return [value.partition(";")[0] for key, value in self.headers if key == "set-cookie"]


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1, one request at a time, with answers that have a Content-Length; then perhaps WebSocket.

    Pings are answered, and so is a close frame.

    Attributes:
        closed: whether it is not open: not yet, or no more.
        code: of the server's close frame; None without one.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.closed = True
        self.code: int | None = None
        self._received = b""
        self._answer: asyncio.Future[Answer] | None = None
        self._frames: Frames | None = None
        self._receive: Callable[[bytes, float], None] = _ignore
        self._ended: Callable[[float], None] = _ended

    async def open(self) -> Connection:
        """Connect, and return itself. Raises OSError."""
        loop, target = asyncio.get_running_loop(), self._target
        await loop.create_connection(lambda: self, target.host, target.port, ssl=target.tls)
        return self

    async def request(self, method: str, path: str, *, cookie: str = "", body: str | None = None) -> Answer:
        """Send a request and return its answer. Raises ConnectionError where the connection ends before."""
        headers = {"Accept": "text/html"}
        if cookie:
            headers["Cookie"] = cookie
        if body is not None:
            headers |= {
                "Origin": self._target.origin,
                "Content-Type": "application/x-www-form-urlencoded",
                "Content-Length": str(len(body)),
            }
        return await self._ask(method, path, headers, body or "")

    async def upgrade(
        self,
        path: str,
        receive: Callable[[bytes, float], None],
        ended: Callable[[float], None],
        *,
        cookie: str = "",
    ) -> None:
        """Make it a WebSocket.

        Args:
            receive: called with the payload of each message, and the time at which it came.
            ended: called once with the time at which the server has sent its close frame, or the connection has ended.

        Raises:
            ConnectionError: it was refused, or the connection ends before.
        """
        self._receive, self._ended = receive, ended
        headers = {**UPGRADE, "Origin": self._target.origin}
        if cookie:
            headers["Cookie"] = cookie
        answer = await self._ask("GET", path, headers, "")
        if answer.status != 101:
            raise ConnectionError(f"the upgrade is answered with {answer.status}: {answer.text[:200]}")

    def send(self, opcode: int, payload: bytes) -> None:
        """Send a message; after the end of the connection nothing."""
        if not self.closed:
            self._transport.write(frame(opcode, payload))

    def close(self, code: int | None = None) -> None:
        """End it, with a close frame of this code where there is one. `ended` is not called."""
        self._ended = _ended
        if not self.closed:
            if code is not None:
                self.send(CLOSE, code.to_bytes(2))
            self._transport.close()

    async def _ask(self, method: str, path: str, headers: dict[str, str], body: str) -> Answer:
        if self.closed:
            raise ConnectionResetError("the server has closed the connection")
        head = {"Host": self._target.netloc, "User-Agent": BROWSER, **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(f"{method} {self._target.prefix}{path} HTTP/1.1\r\n{lines}\r\n{body}".encode("latin-1"))
        return await self._answer

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.closed = False

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        if self._frames is None:
            self._received += data
            data = self._take_answer()
        if self._frames is not None and data:
            self._take_frames(self._frames, data, now)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the connection has ended"))
        self._end(perf_counter())

    # What came

    def _take_answer(self) -> bytes:
        """Take the answer, once it is complete. Returns what follows an upgrade."""
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end or self._answer is None or self._answer.done():
            return b""
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ", 2)[1])
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        answer = Answer(status, headers, "")
        if status == 101:
            self._frames = Frames()
            self._received = b""
            self._answer.set_result(answer)
            return rest
        size = int(answer.header("content-length") or 0)
        if len(rest) >= size:
            self._received = rest[size:]
            self._answer.set_result(Answer(status, headers, rest[:size].decode(errors="replace")))
            if answer.header("connection").lower() == "close":
                self.close()
                self.closed = True
        return b""

    def _take_frames(self, frames: Frames, data: bytes, now: float) -> None:
        for opcode, payload in frames.take(data):
            if opcode == PING:
                self.send(PONG, payload)
            elif opcode == CLOSE:
                self.code = int.from_bytes(payload[:2]) if len(payload) >= 2 else None
                self.send(CLOSE, payload[:2])
                self._end(now)
                self._transport.close()
            elif opcode != PONG:
                self._receive(payload, now)

    def _end(self, now: float) -> None:
        ended, self._ended = self._ended, _ended
        ended(now)


def _ignore(payload: bytes, now: float) -> None:
    """Before an upgrade nobody receives messages."""


def _ended(now: float) -> None:
    """Nobody waits for the end, or it was noticed before."""
