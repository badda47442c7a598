"""How often the UserSigs of one account, or from one address, may fail: 20 and 100 times in a minute.

Only failures count. One more, and that account or that address waits a minute; nobody else does.
"""

from __future__ import annotations

import math
import time
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from tim.errors import TooManyFailures

PER_ACCOUNT: Final = RateLimitItemPerMinute(20)
PER_ADDRESS: Final = RateLimitItemPerMinute(100)
PAUSE: Final = 60
"""Seconds."""


class Attempts:
    """The failures of the last minute."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._window = MovingWindowRateLimiter(self._storage)

    def check(self, app: int, user: str, address: str) -> None:
        """Raise TooManyFailures while the account or the address has to wait."""
        for _, key in _keys(app, user, address):
            if self._storage.get(f"pause/{key}"):
                left = self._storage.get_expiry(f"pause/{key}") - time.time()
                raise TooManyFailures(max(1, math.ceil(left)))

    def failed(self, app: int, user: str, address: str) -> None:
        """Count one failure; raise TooManyFailures where it is one too many."""
        tripped = [key for limit, key in _keys(app, user, address) if not self._window.hit(limit, key)]
        for key in tripped:
            self._storage.incr(f"pause/{key}", PAUSE)
        if tripped:
            raise TooManyFailures(PAUSE)


def _keys(app: int, user: str, address: str) -> list[tuple[RateLimitItem, str]]:
    return [(PER_ACCOUNT, f"account/{app}/{user}"), (PER_ADDRESS, f"address/{address}")]
