"""A login as a browser tab makes it: the form, the page, its stream of fragments, and messages by POST."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from time import perf_counter
from typing import Final
from urllib.parse import urlencode

from tests.load.connection import Answer, Connection
from tests.load.session import Session, text_of
from tests.load.target import Target
from tim.ends import CLOSE_CODES, KICKS

READY: Final = b'data-state="ready"'
KICK: Final = b'data-event="kickedOut"'
KICK_CODES: Final = frozenset(CLOSE_CODES[type] for type in KICKS)
"""Codes of the close frame of a stream whose instance was kicked out."""
CONNECTIONS: Final = 6
"""How many a browser opens to one server."""


class Tab(Session):
    """Logs in with three requests: POST of the form, GET of the page, and the upgrade of its stream."""

    browser = ""
    """The cookie of the one browser that has all tabs; from the first login page."""

    def __init__(self, target: Target, app: int, user: str, user_sig: str) -> None:
        super().__init__(target, app, user, user_sig)
        self._open = asyncio.get_running_loop().create_future()
        self._cookie = ""
        self._stream = Connection(target)
        self._free: list[Connection] = []
        self._turn = asyncio.Semaphore(CONNECTIONS)

    async def _enter(self) -> None:
        if not Tab.browser:
            [Tab.browser] = (await self._ask("GET", "/login")).cookies
        self._cookie = Tab.browser
        form = {"userID": self.user, "userSig": self._user_sig, "form": secrets.token_hex(16)}
        self.asked = perf_counter()
        answer = await self._ask("POST", "/login", form)
        if answer.status != 303:
            raise ConnectionError(f"the login is refused: it is answered with {answer.status}")
        self._path = answer.header("location").removeprefix(self._target.origin).removeprefix(self._target.prefix)
        self._cookie = "; ".join([*answer.cookies, Tab.browser])
        page = await self._ask("GET", self._path)
        if page.status != 200:
            raise ConnectionError(f"the page is answered with {page.status}")
        await self._stream.open()
        await self._stream.upgrade(f"{self._path}events", self._receive, self._end, cookie=self._cookie)
        await self._open

    def beat(self, now: float) -> None:
        """Nothing: a tab only answers the pings of its stream."""

    @property
    def online(self) -> bool:
        return not (self._stream.closed or self.kicked.done())

    async def send(self, to: str, number: int) -> None:
        answer = await self._ask("POST", f"{self._path}messages", {"to": to, "text": text_of(number)})
        if answer.status >= 400:
            raise ConnectionError(f"a message is refused: it is answered with {answer.status}")

    async def leave(self) -> None:
        if self.online:
            await self._ask("POST", f"{self._path}logout", {})
        self.cut()

    def cut(self) -> None:
        for connection in (*self._free, self._stream):
            connection.close()

    async def _ask(self, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
        """Send a request over a connection that is free, or a new one. Raises OSError."""
        body = None if form is None else urlencode(form)
        async with self._turn:
            while self._free:
                kept = self._free.pop()
                if not kept.closed:
                    # The server may end it at this very moment. A browser asks once more then.
                    with suppress(ConnectionResetError):
                        return await self._ask_on(kept, method, path, body)
            return await self._ask_on(await Connection(self._target).open(), method, path, body)

    async def _ask_on(self, connection: Connection, method: str, path: str, body: str | None) -> Answer:
        answer = await connection.request(method, path, cookie=self._cookie, body=body)
        self._free.append(connection)
        return answer

    def _receive(self, payload: bytes, now: float) -> None:
        self._hear(payload, now)
        if READY in payload and not self._open.done():
            self._open.set_result(None)
        if KICK in payload:
            self._kick(now)

    def _end(self, now: float) -> None:
        if self._stream.code in KICK_CODES:
            self._kick(now)
        if not self._open.done():
            self._open.set_exception(ConnectionResetError(f"the stream ended with {self._stream.code}"))
