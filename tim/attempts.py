"""How often the UserSigs of one account, or from one address, may fail: 20 and 100 times in a minute.

Only failures count. One more, and that account or that address waits a minute; nobody else does. The store
counts, so all processes do together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tim.errors import TooManyFailures
from tim.rules import Limits
from tim.store import Store


class Attempts:
    """The failures of the last minute, under the limits that hold when it is asked."""

    def __init__(self, store: Store, limits: Callable[[], Limits]) -> None:
        self._store = store
        self._limits = limits

    def check(self, app: int, user: str, address: str) -> None:
        """Raise TooManyFailures while the account or the address has to wait."""
        self._refuse(self._store.paused(name) for name in _names(app, user, address))

    def failed(self, app: int, user: str, address: str) -> None:
        """Count one failure; raise TooManyFailures where it is one too many."""
        limits = self._limits()
        most = (limits.failures_per_account, limits.failures_per_address)
        named = zip(_names(app, user, address), most, strict=True)
        self._refuse([self._store.failed(name, most) for name, most in named])

    def _refuse(self, waits: Iterable[int]) -> None:
        longest = max(waits)
        if longest:
            raise TooManyFailures(longest)


def _names(app: int, user: str, address: str) -> tuple[str, str]:
    return f"account/{app}/{user}", f"address/{address}"
