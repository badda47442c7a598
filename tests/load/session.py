"""One login of an account, from connecting to its end, on whichever face."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from time import perf_counter
from typing import Final

from tests.load.target import Target

MARK: Final = re.compile(rb"load #(\d+)#")
"""What the text of a message has in it, in a frame of either face."""


def text_of(number: int) -> str:
    """The text of the message with this number, as long as a short sentence."""
    return f"load #{number}#".ljust(32, ".")


class Session(ABC):
    """A login.

    Attributes:
        began: when it began to connect, by `perf_counter`, as the other times.
        asked: when its login request was written.
        ready: when it could be used; 0 until then.
        kicked: when it received its kick; still waits where there was none.
        arrived: when the message of each number arrived here for the first time.
    """

    def __init__(self, target: Target, app: int, user: str, user_sig: str) -> None:
        self._target = target
        self._app = app
        self.user = user
        self._user_sig = user_sig
        self.began = self.asked = self.ready = 0.0
        self.kicked: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.arrived: dict[int, asyncio.Future[float]] = {}

    async def enter(self) -> None:
        """Log in, and return once the session can be used.

        Raises:
            OSError, ConnectionError: it was refused, or the connection ended before.
        """
        self.began = perf_counter()
        await self._enter()
        self.ready = perf_counter()

    def expect(self, number: int) -> asyncio.Future[float]:
        """Return what has the time at which the message arrives here, once it has."""
        self.arrived[number] = asyncio.get_running_loop().create_future()
        return self.arrived[number]

    @abstractmethod
    def beat(self, now: float) -> None:
        """Send what this face sends while nothing happens, if it is due."""

    @property
    @abstractmethod
    def online(self) -> bool:
        """Whether its stream is open and it was not kicked."""

    @abstractmethod
    async def send(self, to: str, number: int) -> None:
        """Send the message of this number, and return once it is acknowledged.

        Raises:
            ConnectionError: it was refused, or the connection ended before.
        """

    @abstractmethod
    async def leave(self) -> None:
        """Log out and disconnect. Raises ConnectionError."""

    @abstractmethod
    def cut(self) -> None:
        """Disconnect, and leave the rest to the server."""

    @abstractmethod
    async def _enter(self) -> None: ...

    def _hear(self, payload: bytes, now: float) -> None:
        """Note the messages that a frame has in it."""
        for mark in MARK.findall(payload):
            waiting = self.arrived.pop(int(mark), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(now)

    def _kick(self, now: float) -> None:
        if not self.kicked.done():
            self.kicked.set_result(now)
