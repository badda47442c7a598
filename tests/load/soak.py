"""Logins that end in every way there is, many times: of many accounts at a time, of each one after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Final

from tests.load.sdk_page import SDKPage
from tests.load.session import Session
from tests.load.tab import Tab
from tests.load.target import Target
from tests.support.waiting import PATIENCE
from tim import usersig
from tim.model import DEMO_APP

TURNS: Final = 12
"""Turns of a round."""
ACCOUNTS: Final = 48
"""That log in at the same time, at most: a turn waits for its login that expires longer than it works."""
LIFE: Final = 2
"""Seconds for which the UserSig is valid of those that expire."""
WAYS: Final = (
    "is evicted",
    "logs out",
    "is evicted after messages",
    "loses its connection",
    "is kicked",
    "is evicted",
    "logs out",
    "expires",
    "loses its connection",
    "is kicked",
    "is evicted",
    "is evicted after messages",
)
"""How the logins of an account end, in turn. Every second one is a page of the SDK, the others are tabs. The one that
expires is a tab, as a page of the SDK learns it with its next request; nobody has to be evicted by it."""


class Soak:
    """Puts the logins on a server whose app allows one instance of each account.

    Args:
        key: of the app.
        kick: kicks the account of this UserID, by REST.
    """

    def __init__(self, target: Target, key: str, kick: Callable[[str], object]) -> None:
        self._target = target
        self._key = key
        self._kick = kick
        self._messages = 0

    async def run(self, rounds: int) -> int:
        """Go through all WAYS `rounds` × TURNS times. Whoever has to be kicked was, when it returns.

        Returns:
            How many accounts took part, each of which took the next turn when it had ended one.
        """
        turns = rounds * TURNS
        accounts = min(turns, ACCOUNTS)
        left = repeat(None, turns)
        await asyncio.gather(*(self._account(f"soak-{number}", left) for number in range(accounts)))
        return accounts

    async def _account(self, user: str, turns: Iterator[None]) -> None:
        held: Session | None = None
        for _ in turns:
            for number, way in enumerate(WAYS):
                session = self._session(user, number, LIFE if way == "expires" else 86400)
                async with asyncio.timeout(PATIENCE):
                    try:
                        await session.enter()
                    except ConnectionError:
                        if way != "expires":  # on a busy machine its time was over before it was ready
                            raise
                    if held is not None:
                        await held.kicked
                        held.cut()
                    held = await self._goes_on(session, way)
        if held is not None:
            await held.leave()

    async def _goes_on(self, session: Session, way: str) -> Session | None:
        """What becomes of a session. Returns it where the next login is to evict it."""
        match way:
            case "is evicted":
                return session
            case "is evicted after messages":
                for _ in range(3):
                    self._messages += 1
                    arrival = session.expect(self._messages)
                    await session.send(session.user, self._messages)
                    if isinstance(session, Tab):  # a page of the SDK shows what it has sent by itself
                        await arrival
                return session
            case "logs out":
                await session.leave()
            case "is kicked":
                await asyncio.to_thread(self._kick, session.user)
                await session.kicked
            case "expires" if session.ready:
                await session.kicked
        session.cut()
        return None

    def _session(self, user: str, number: int, life: int) -> Session:
        face = Tab if number % 2 else SDKPage
        sig = usersig.make(self._key, DEMO_APP, user, now=time.time(), expire=life)
        return face(self._target, DEMO_APP, user, sig)
