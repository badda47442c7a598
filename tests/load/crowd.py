"""The accounts that make the load, and their sessions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from time import perf_counter
from typing import Final, TypeVar

from tests.load.progress import Progress
from tests.load.result import Result
from tests.load.sdk_page import SDKPage
from tests.load.session import Session
from tests.load.tab import Tab
from tests.load.target import Target
from tests.load.usersigs import UserSigs

T = TypeVar("T")
FACES: Final[dict[str, type[Session]]] = {"sdk": SDKPage, "tab": Tab}
AT_ONCE: Final = 32
"""How many sessions begin or end at the same time, where that is not what is measured."""
PATIENCE: Final = 20.0
"""Seconds to wait for what must come, such as a kick."""
NO_KICK: Final = "a kick did not come; does the app allow more instances than --seats?"


class Crowd:
    """Makes sessions of the accounts `load-0`, `load-1`, …, which are the same each time, on one face.

    Args:
        seats: how many instances of one account the app allows.
    """

    def __init__(self, target: Target, face: str, sigs: UserSigs, seats: int, progress: Progress) -> None:
        self._target = target
        self._sigs = sigs
        self.face = face
        self.seats = seats
        self.progress = progress

    async def prepare(self, accounts: int) -> None:
        """Make the UserSigs of so many accounts. Raises NoUserSigs."""
        await self._sigs.prepare([self.user(n) for n in range(accounts)])

    def user(self, number: int) -> str:
        """Return the UserID of an account."""
        return f"load-{number}"

    def session(self, number: int) -> Session:
        """Return a session of an account, which has not begun."""
        user = self.user(number)
        return FACES[self.face](self._target, self._sigs.app, user, self._sigs.of(user))

    async def enter(self, session: Session, result: Result) -> bool:
        """Log in, and count it; whether it is in."""
        try:
            async with asyncio.timeout(PATIENCE):
                await session.enter()
        except (OSError, TimeoutError) as error:
            result.fail(error)
            session.cut()
            return False
        result.count("logins")
        return True

    @asynccontextmanager
    async def online(self, accounts: Iterable[int], result: Result) -> AsyncIterator[dict[int, deque[Session]]]:
        """The sessions of these accounts, each with all of its seats taken, by account; at the end all that are in it
        are logged out.

        Raises:
            ConnectionError: one of them cannot log in.
        """
        rows: dict[int, deque[Session]] = {number: deque() for number in accounts}

        async def fill(number: int) -> None:
            for _ in range(self.seats):
                session = self.session(number)
                if await self.enter(session, result):
                    rows[number].append(session)
            self.progress.says(f"{result.name}: {result.counts.get('logins', 0)} sessions are online")

        await self.prepare(max(rows, default=0) + 1)
        try:
            await each(rows, fill)
            if result.failures:
                raise ConnectionError(f"the crowd cannot log in: {next(iter(result.failures))}")
            result.counts = {"sessions before it": result.counts.get("logins", 0)}
            yield rows
        finally:
            await each([session for row in rows.values() for session in row], leave)


async def leave(session: Session) -> None:
    """Log out and disconnect; a session whose connection has ended is let go of."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await session.leave()
    session.cut()


async def each(these: Iterable[T], act: Callable[[T], Awaitable[None]]) -> None:
    """Do it for each, a few at the same time."""
    left = iter(list(these))

    async def work() -> None:
        for one in left:
            await act(one)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def kicks(pairs: list[tuple[Session, Session]], result: Result) -> None:
    """Wait for the kicks of those that were evicted, each with its newcomer, and time them from the newcomer's
    request on."""
    deadline = perf_counter() + PATIENCE
    for newcomer, evicted in pairs:
        try:
            async with asyncio.timeout(max(0.0, deadline - perf_counter())):
                kicked = await asyncio.shield(evicted.kicked)
        except TimeoutError:
            result.fail(TimeoutError(NO_KICK))
        else:
            result.count("kicks")
            result.time("login request to kick", kicked - newcomer.asked)
