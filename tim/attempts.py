"""The rate limit of UserSigs that fail: by default 20 a minute for one account from one address, 100 from one address.

Only failures count, and only failures wait. A valid UserSig is admitted at once, so an attacker cannot lock out the
owner of an account, even from the same address. The store counts for all nodes together.

Tokens of the console are chosen by people, and can be guessed. There a right one waits too, from the same address.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tim.address import counted_as
from tim.audit import REFUSED, Entry
from tim.ends import Client
from tim.errors import IMError, StoreUnavailable, TooManyFailures, UserSigRefused
from tim.input_rules import USER_ID
from tim.log import log_event
from tim.model import Limits
from tim.rules import PAUSE, SIGN_IN_FAILURES
from tim.store.base import Store
from tim.text import text

REMEMBERED_PAUSES: Final = 10_000
"""Largest number of pauses that a node remembers. Checking any other costs a call to the store."""

SIGN_IN: Final = text("signing in to the console")
"""What has failed, in the error of a token."""


class Attempts:
    """Counts the failures of the last minute, against the limits at the time of each failure."""

    def __init__(self, store: Store, limits: Callable[[], Limits]) -> None:
        self._store = store
        self._limits = limits
        self._lock = threading.Lock()  # owns the one below
        self._pauses: dict[str, float] = {}  # end of the pause of each name, unix seconds of the store; oldest first

    @contextmanager
    def counted(self, app: int, user: str, client: Client) -> Iterator[None]:
        """Count the UserSig that is refused inside as a failure; log and audit whatever refuses the login.

        Raises:
            TooManyFailures, StoreUnavailable: in place of the refusal.
        """
        try:
            try:
                yield
            except UserSigRefused:
                self.failed(app, user, client.address)
                raise
        except IMError as error:
            # Text that is no UserID may be anything, also a UserSig.
            shown = user if isinstance(user, str) and USER_ID.fullmatch(user) else ""
            log_event("refused", code=error.code, user=shown, address=client.address)
            if not isinstance(error, StoreUnavailable):
                refusal = Entry("", 0, REFUSED, shown, "", client.browser, client.address, str(error.code))
                self._store.note(app, refusal)
            raise

    def failed(self, app: int, user: str, address: str) -> None:
        """Count one failure of the account from the address.

        Raises:
            TooManyFailures: it is one too many, or came during a pause.
            StoreUnavailable.
        """
        limits, source = self._limits(), counted_as(address)
        # The user comes last, as it can contain the separator.
        counted = ((f"address/{source}", limits.failures_per_address),
                   (f"pair/{app}/{source}/{user}", limits.failures_per_account))  # fmt: skip
        left = max(self._known(name) for name, _ in counted)
        if not left:
            left = max([self._count(name, most) for name, most in counted])
        if left:
            raise TooManyFailures(left)

    def check_sign_in(self, address: str) -> None:
        """Check that the address may try a token of the console.

        Raises:
            TooManyFailures: this node knows that the address has to wait.
        """
        if left := self._known(_sign_in(address)):
            raise TooManyFailures(left, SIGN_IN)

    def failed_sign_in(self, address: str) -> None:
        """Count one token of the console that failed.

        Raises:
            TooManyFailures: it is one too many, or came during a pause. From now on `check_sign_in` knows.
            StoreUnavailable.
        """
        if left := self._count(_sign_in(address), SIGN_IN_FAILURES):
            raise TooManyFailures(left, SIGN_IN)

    def _known(self, name: str) -> int:
        """Return the seconds left of the pause that this node remembers for `name`."""
        with self._lock:
            left = self._pauses.get(name, 0.0) - self._store.now()
        return math.ceil(round(left, 2)) if 0 < left <= PAUSE else 0  # longer than a pause: the clock was set back

    def _count(self, name: str, most: int) -> int:
        left = self._store.count_failure(name, most)
        if left:
            with self._lock:
                self._pauses.pop(name, None)
                if len(self._pauses) >= REMEMBERED_PAUSES:
                    del self._pauses[next(iter(self._pauses))]
                self._pauses[name] = self._store.now() + left
        return left


def _sign_in(address: str) -> str:
    """The name under which failed tokens from the address are counted."""
    return f"console/{counted_as(address)}"
