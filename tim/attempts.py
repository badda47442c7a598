"""How often UserSigs may fail: 20 times in a minute for one account from one address, 100 times from one address.

Only failures count, and only failures wait: a UserSig that verifies is let in, so nobody can keep an owner out, not
even from behind the same address. The store counts, so all processes do together.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Final

from tim.address import counted_as
from tim.errors import TooManyFailures
from tim.model import Limits
from tim.rules import PAUSE
from tim.store.base import Store

REMEMBERED_PAUSES: Final = 10_000
"""Pauses that one process knows of itself; another one costs a call to the store."""


class Attempts:
    """The failures of the last minute, under the limits that hold when one is counted."""

    def __init__(self, store: Store, limits: Callable[[], Limits]) -> None:
        self._store = store
        self._limits = limits
        self._lock = threading.Lock()  # owns the one below
        self._pauses: dict[str, float] = {}  # until when each name waits, unix seconds of the store; oldest first

    def failed(self, app: int, user: str, address: str) -> None:
        """Count one failure of the account from the address.

        Raises:
            TooManyFailures: it was one too many, or came while they wait.
            StoreUnavailable.
        """
        limits, source = self._limits(), counted_as(address)
        # The user comes last, as it may be made of any characters.
        counted = ((f"address/{source}", limits.failures_per_address),
                   (f"pair/{app}/{source}/{user}", limits.failures_per_account))  # fmt: skip
        left = max(self._known(name) for name, _ in counted)
        if not left:
            left = max([self._count(name, most) for name, most in counted])
        if left:
            raise TooManyFailures(left)

    def _known(self, name: str) -> int:
        """Seconds that `name` waits as far as this process knows."""
        with self._lock:
            left = self._pauses.get(name, 0.0) - self._store.now()
        return math.ceil(round(left, 2)) if 0 < left <= PAUSE else 0  # more, where the clock was set back

    def _count(self, name: str, most: int) -> int:
        left = self._store.count_failure(name, most)
        if left:
            with self._lock:
                self._pauses.pop(name, None)
                if len(self._pauses) >= REMEMBERED_PAUSES:
                    del self._pauses[next(iter(self._pauses))]
                self._pauses[name] = self._store.now() + left
        return left
