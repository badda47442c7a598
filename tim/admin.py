"""What an administrator of the app may do to its accounts."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection

from tim.backend import Backend
from tim.ends import TYPES, Gone
from tim.errors import BadParameter, NoSuchAccount, NotAdministrator, UserSigRevoked
from tim.model import Instance, Message
from tim.rules import ADMINISTRATOR, USER_ID, check_text, check_user_id


class Admin:
    """The accounts of one backend's app, for whoever `check` lets in."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._store = backend.store
        self._app = backend.sdk_app_id

    def check(self, sdk_app_id: int, identifier: str, user_sig: str, address: str) -> None:
        """Let an administrator pass.

        Raises:
            NotAdministrator: `identifier` is none.
            UnknownApp, UserSigRefused, TooManyFailures, StoreUnavailable: as for a login.
        """
        if identifier != ADMINISTRATOR:
            raise NotAdministrator(ADMINISTRATOR)
        ticket = self._backend.verify(sdk_app_id, identifier, user_sig, address)
        if ticket.made < self._store.revoked_before(self._app, identifier):
            raise UserSigRevoked

    def kick_instance(self, user_id: str, number: int) -> None:
        """End one live instance of the account, by its number in `instances`, and no other. Revokes nothing.

        Raises:
            BadParameter: the account has no live instance with this number.
            NoSuchAccount, StoreUnavailable.
        """
        user = check_user_id(user_id, "UserID")
        if not self._store.accounts(self._app, [user]):
            raise NoSuchAccount(user)
        for instance in self.instances(user):
            if instance.generation == number:
                self._backend.notify_ended([self._store.remove(instance.id, Gone(TYPES.KICKED_OUT_REST_API, 0))])
                return
        raise BadParameter("Instid", "Instid must be that of a live instance, from query_online_status")

    def kick(self, user_id: str) -> None:
        """End every instance of the account. Revokes the UserSigs made until now; one made after this returns is valid.

        It takes up to a second: a UserSig says only in which second it was made.

        Raises:
            BadParameter, NoSuchAccount, StoreUnavailable.
        """
        left, kicked = self._store.kick_account(self._app, check_user_id(user_id, "UserID"))
        self._backend.notify_ended(kicked)
        time.sleep(left)

    def import_account(self, user_id: str) -> None:
        """The account exists from now on, and can be sent messages before it has ever logged in."""
        self._store.import_account(self._app, check_user_id(user_id, "UserID"))

    def imported(self, user_ids: Collection[str]) -> set[str]:
        """Those of the accounts that exist; what can be no UserID is none."""
        return self._store.accounts(self._app, [id for id in user_ids if USER_ID.fullmatch(id)])

    def delete(self, user_id: str) -> None:
        """End every instance of the account, and forget it and its messages.

        Raises:
            BadParameter, NoSuchAccount, StoreUnavailable.
        """
        self._backend.notify_ended(self._store.delete_account(self._app, check_user_id(user_id, "UserID")))

    def instances(self, user_id: str) -> list[Instance]:
        """The live instances of the account."""
        return self._store.instances(self._app, user_id)

    def send(self, sender: str, to: str, text: str, message_id: str | None = None, *, copy: bool = True) -> Message:
        """Send a message in the name of `sender`, who need not be online, nor exist.

        Args:
            message_id: the same one again is the same message again.
            copy: whether the sender's own instances and log get it as well.

        Raises:
            BadParameter, MessageTooLong, NoSuchAccount, StoreUnavailable.
        """
        check_user_id(sender, "From_Account")
        check_user_id(to, "To_Account")
        id = message_id or secrets.token_hex(16)
        sent, received = self._store.deliver(self._app, sender, to, check_text(text), id, copy=copy)
        for user, message in ((sender, sent), (to, received)):
            if message is not None:
                self._backend.hub.post(self._app, user, message)
        newest = received or sent
        assert newest is not None, "a receiver always has a copy"
        return newest
