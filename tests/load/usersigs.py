"""UserSigs of the accounts that make the load: by the app's key, or from the server's route for tests."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from html import unescape
from urllib.parse import urlencode

from tests.load.connection import Connection
from tests.load.target import Target
from tim import usersig
from tim.model import DEMO_APP


class NoUserSigs(Exception):
    """There is no key in the environment, and the server makes no UserSigs."""


class UserSigs:
    """Keeps a UserSig of each account, so that none is made while something is timed.

    Args:
        environment: TIM_SDK_APP_ID, and TIM_SDK_SECRET_KEY where the key is known.

    Raises:
        ValueError: TIM_SDK_APP_ID is no number.
    """

    LIFE = 86400
    """Seconds for which they are valid."""
    ROUTE = re.compile(r'<input id="userSig"[^>]* value="([^"]+)"')
    """Where the answer of the route has the UserSig."""

    def __init__(self, target: Target, environment: Mapping[str, str]) -> None:
        self._target = target
        app = str(environment.get("TIM_SDK_APP_ID", DEMO_APP))
        if not app.isdecimal():
            raise ValueError(f"TIM_SDK_APP_ID is {app!r}, and must be the number of the app")
        self.app = int(app)
        self._key = environment.get("TIM_SDK_SECRET_KEY", "")
        self._made: dict[str, str] = {}

    async def prepare(self, users: list[str]) -> None:
        """Make the UserSigs of these accounts.

        Raises:
            NoUserSigs.
        """
        missing = [user for user in users if user not in self._made]
        if self._key:
            for user in missing:
                self._made[user] = usersig.make(self._key, self.app, user, now=time.time(), expire=self.LIFE)
        elif missing:
            connection = await Connection(self._target).open()
            for user in missing:
                if connection.closed:
                    connection = await Connection(self._target).open()
                self._made[user] = await self._asked_for(connection, user)
            connection.close()

    def of(self, user: str) -> str:
        """Return the UserSig of an account that was prepared."""
        return self._made[user]

    async def _asked_for(self, connection: Connection, user: str) -> str:
        answer = await connection.request("POST", "/usersig", body=urlencode({"userID": user}))
        found = self.ROUTE.search(answer.text)
        if answer.status != 200 or found is None:
            raise NoUserSigs("set TIM_SDK_SECRET_KEY to the app's key, or start the server with TIM_TEST_USERSIG=1")
        return unescape(found[1])
