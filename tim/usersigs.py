"""The UserSigs of one app: made and verified with its key, and explained to an operator."""

from __future__ import annotations

from dataclasses import dataclass

from tim import usersig
from tim.attempts import Attempts
from tim.ends import Client
from tim.errors import IMError, UnknownApp, UserSigRefused
from tim.input_rules import check_user_id
from tim.latest import Latest
from tim.rules import check_account
from tim.store.base import Store


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a login with a UserSig would get now.

    Attributes:
        claims: what the UserSig says of itself, true or not; None where it cannot be read.
        refusal: why it would be refused; None where it is valid.
        now: unix seconds of the verdict.
    """

    claims: usersig.Ticket | None
    refusal: IMError | None
    now: float


class UserSigs:
    """Makes and verifies the UserSigs of `app`. Time is the store's."""

    def __init__(self, app: int, key: str, store: Store, attempts: Attempts) -> None:
        self._app = app
        self._key = key
        self._store = store
        self._attempts = attempts
        self._latest = Latest(store.now)

    def make(self, user_id: str, expire: int) -> str:
        """Return a UserSig that is valid for `expire` seconds from now. Raises BadParameter."""
        return usersig.make(self._key, self._app, check_user_id(user_id), now=self._store.now(), expire=expire)

    def verify(self, sdk_app_id: int, user_id: str, user_sig: str, address: str) -> usersig.Ticket:
        """Verify the signature and the dates. A failure counts for the address.

        Raises:
            BadParameter, UnknownApp, UserSigRefused, TooManyFailures, StoreUnavailable.
        """
        with self._attempts.counted(self._app, user_id, Client("", address)):
            check_user_id(user_id)
            if sdk_app_id != self._app:
                raise UnknownApp(sdk_app_id)
            return self._verified(user_sig, user_id)

    def inspect(self, user_sig: str, user_id: str = "") -> Verdict:
        """Return what a login of `user_id` with this UserSig would get; by default, of the account that it names.

        Nothing is counted, and nothing changes.

        Raises:
            StoreUnavailable.
        """
        now = self._store.now()
        try:
            claims = usersig.read(user_sig)
        except UserSigRefused as refusal:
            return Verdict(None, refusal, now)
        user_id = user_id or claims.user_id
        try:
            ticket = self._verified(user_sig, check_user_id(user_id))
            check_account(self._store.account(self._app, user_id), ticket.made)
        except IMError as refusal:
            return Verdict(claims, refusal, now)
        return Verdict(claims, None, now)

    def _verified(self, user_sig: str, user_id: str) -> usersig.Ticket:
        return usersig.verify(user_sig, self._key, self._app, user_id, now=self._store.now(), latest=self._latest())
