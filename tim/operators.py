"""Who may use the console of an app: the holders of its tokens, and the sessions that they have opened."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tim.attempts import Attempts
from tim.audit import CONSOLE_REFUSED, Entry
from tim.errors import TokenRefused
from tim.log import log_event
from tim.mac import mac
from tim.store.base import Store


class Role(StrEnum):
    """What an operator may do: an admin everything, a viewer reads."""

    ADMIN = "admin"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in to the console.

    Attributes:
        number: 256 random bits as hex digits, which only the operator's browser has.
    """

    role: Role
    number: str


class Operators:
    """The operators of one app, made by `Backend.operators`.

    Args:
        tokens: the secret of each role that there is; without any, the console is off.
    """

    def __init__(self, app: int, store: Store, attempts: Attempts, tokens: Mapping[Role, str]) -> None:
        self._app = app
        self._store = store
        self._attempts = attempts
        self._tokens = dict(tokens)

    @property
    def expected(self) -> bool:
        """Whether any token opens the console."""
        return bool(self._tokens)

    def check(self, token: str, address: str) -> Role:
        """Return the role that the token opens. The time taken tells nothing about the tokens.

        Raises:
            TokenRefused: it opens none. The failure counts for the address.
            TooManyFailures: tokens from this address failed too often; a right one waits too.
            StoreUnavailable.
        """
        self._attempts.check_sign_in(address)
        given = _digest(token)
        right = [role for role, secret in self._tokens.items() if hmac.compare_digest(given, _digest(secret))]
        if not right:
            log_event("console-refused", address=address)
            self._store.note(self._app, Entry("", 0, CONSOLE_REFUSED, address=address))
            self._attempts.failed_sign_in(address)
            raise TokenRefused
        return right[0]

    def sign_in(self, token: str, address: str) -> Session:
        """Open a session on every node, for SIGN_IN_LIFE or until `sign_out`. Raises what `check` raises."""
        session = Session(self.check(token, address), secrets.token_hex(32))
        self._store.open_session(self._app, self._handle(session), session.role, address)
        log_event("console-sign-in", role=session.role, address=address)
        return session

    def is_open(self, session: Session) -> bool:
        """Whether the session is open. One that was opened with a token of before is not. Raises StoreUnavailable."""
        if session.role not in self._tokens:
            return False
        return self._store.session(self._app, self._handle(session)) == session.role

    def sign_out(self, session: Session) -> None:
        """End the session on every node. Raises StoreUnavailable."""
        if session.role in self._tokens:
            self._store.close_session(self._app, self._handle(session))
            log_event("console-sign-out", role=session.role)

    def _handle(self, session: Session) -> str:
        """The name of the session in the store: keyed with the token, so that another token ends it."""
        return mac(self._tokens[session.role].encode(), session.number.encode()).hex()


def _digest(secret: str) -> bytes:
    """A hash of equal length for each secret: `compare_digest` shows where lengths differ."""
    return hashlib.sha256(secret.encode(errors="replace")).digest()
