"""What an administrator of the app can do to its accounts."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection

from tim.audit import AuditFilter, AuditPage
from tim.ends import TYPES, Gone
from tim.errors import BadParameter, NoSuchAccount, NotAdministrator
from tim.input_rules import USER_ID, check_text, check_user_id, check_words
from tim.model import Account, Instance, Message
from tim.node import Node
from tim.rules import ADMINISTRATOR, LATEST, check_account
from tim.store.base import Store
from tim.text import text
from tim.usersig import Ticket


class Admin:
    """The accounts of one app, made by `Backend.admin`. Call `check` first.

    Args:
        verify: `Backend.verify`.
        actor: who acts, as the audit has it.
    """

    def __init__(
        self, app: int, store: Store, node: Node, verify: Callable[[int, str, str, str], Ticket], actor: str
    ) -> None:
        self._app = app
        self._store = store
        self._node = node
        self._verify = verify
        self._actor = actor

    def check(self, sdk_app_id: int, identifier: str, user_sig: str, address: str) -> None:
        """Check that this is the administrator of the app, with a valid UserSig.

        Raises:
            NotAdministrator: `identifier` is another account.
            UnknownApp, UserSigRefused, AccountBlocked, TooManyFailures, StoreUnavailable: as for a login.
        """
        if identifier != ADMINISTRATOR:
            raise NotAdministrator(ADMINISTRATOR)
        ticket = self._verify(sdk_app_id, identifier, user_sig, address)
        check_account(self._store.account(self._app, identifier), ticket.made)

    def kick_instance(self, user_id: str, number: int) -> None:
        """End one live instance of the account, by its number in `instances`. Revokes no UserSig.

        Raises:
            BadParameter: the account has no live instance with this number.
            NoSuchAccount, StoreUnavailable.
        """
        user = check_user_id(user_id, "UserID")
        if not self._store.accounts(self._app, [user]):
            raise NoSuchAccount(user)
        for instance in self.instances(user):
            if instance.generation == number:
                self._node.remove(self._app, [instance.id], Gone(TYPES.KICKED_OUT_REST_API, 0), self._actor)
                return
        raise BadParameter("Instid", text("Instid must be that of a live instance, from query_online_status"))

    def kick(self, user_id: str) -> None:
        """End every instance of the account, and revoke the UserSigs made until now.

        Returns at the next whole second, because a UserSig is dated in whole seconds. One made after
        the return is valid.

        Raises:
            BadParameter, NoSuchAccount, StoreUnavailable.
        """
        left, kicked = self._store.kick_account(self._app, check_user_id(user_id, "UserID"), self._actor)
        self._node.notify(self._app, ended=kicked)
        time.sleep(left)

    def account(self, user_id: str) -> Account:
        """Return whether the account exists, whether it is blocked, and which of its UserSigs are revoked.

        Raises:
            BadParameter, StoreUnavailable.
        """
        return self._store.account(self._app, check_user_id(user_id, "UserID"))

    def audit(self, where: AuditFilter, before: str = "", limit: int = 50) -> AuditPage:
        """Return at most `limit` entries that match, newest first, from before the entry with the id `before`.

        Raises:
            StoreUnavailable.
        """
        return self._store.audit(self._app, where, before, limit)

    def block(self, user_id: str, until: float | None, words: str, *, shown: float | None = None) -> list[Instance]:
        """End every instance of the account, and refuse its logins until `until`, in unix seconds; None for no end.

        Returns the ended instances.

        Args:
            words: the reason for the user to read; "" for none.
            shown: when the block that is to be replaced was made, 0 for none; None for whichever there is.

        Raises:
            BlockChanged: the account has another block than `shown`.
            BadParameter, StoreUnavailable.
        """
        user = check_user_id(user_id, "UserID")
        if until is not None and not self._store.now() < until < LATEST:
            raise BadParameter(
                "until",
                text("until must lie in the future, before the year 9999; leave it out for a block without an end"),
            )
        ended = self._store.block(self._app, user, until, check_words(words, "reason"), self._actor, shown=shown)
        self._node.notify(self._app, ended=ended)
        return ended

    def unblock(self, user_id: str, *, shown: float | None = None) -> bool:
        """End the block of the account. Returns whether it was blocked.

        Raises:
            BlockChanged: it has another block than the one that was made at `shown`.
            BadParameter, StoreUnavailable.
        """
        return self._store.unblock(self._app, check_user_id(user_id, "UserID"), self._actor, shown=shown)

    def revoke(self, user_id: str) -> None:
        """Revoke the UserSigs of the account made until now. Returns at the next whole second, as `kick` does.

        Raises:
            BadParameter, StoreUnavailable.
        """
        time.sleep(self._store.revoke(self._app, check_user_id(user_id, "UserID"), self._actor))

    def end(self, user_id: str, id: str | None, words: str) -> list[Instance]:
        """End one live instance of the account by its id, or all of them. Revokes no UserSig.

        Returns the ended instances. One that has ended already stays as it is.

        Args:
            words: the reason for the user to read; "" for none.

        Raises:
            BadParameter, StoreUnavailable.
        """
        gone = Gone(TYPES.KICKED_OUT_REST_API, 0, words=check_words(words, "words"))
        wanted = [each.id for each in self.instances(check_user_id(user_id, "UserID")) if id in (None, each.id)]
        return self._node.remove(self._app, wanted, gone, self._actor)

    def import_account(self, user_id: str) -> None:
        """Create the account, so that it can get messages before its first login.

        Raises:
            BadParameter, StoreUnavailable.
        """
        self._store.import_account(self._app, check_user_id(user_id, "UserID"))

    def imported(self, user_ids: Collection[str]) -> set[str]:
        """Return those of the accounts that exist. A string that breaks the rule for UserIDs does not exist."""
        return self._store.accounts(self._app, [id for id in user_ids if USER_ID.fullmatch(id)])

    def delete(self, user_id: str) -> None:
        """End every instance of the account, and delete the account and its messages.

        Raises:
            BadParameter, NoSuchAccount, StoreUnavailable.
        """
        ended = self._store.delete_account(self._app, check_user_id(user_id, "UserID"), self._actor)
        self._node.notify(self._app, ended=ended)

    def instances(self, user_id: str) -> list[Instance]:
        """Return the live instances of the account, oldest first."""
        return self._store.instances(self._app, user_id)

    def send(self, sender: str, to: str, text: str, message_id: str | None = None, *, copy: bool = True) -> Message:
        """Send a message in the name of `sender`, online or not. The account of `sender` need not exist.

        Args:
            message_id: repeating it repeats the same message. Random by default.
            copy: whether the log and the instances of `sender` get the message as well.

        Raises:
            BadParameter, MessageTooLong, NoSuchAccount, StoreUnavailable.
        """
        check_user_id(sender, "From_Account")
        check_user_id(to, "To_Account")
        id = message_id or secrets.token_hex(16)
        sent, received = self._store.deliver(self._app, sender, to, check_text(text), id, copy=copy)
        self._node.notify(self._app, written=[(sender, sent), (to, received)])
        newest = received or sent
        assert newest is not None, "a receiver always has a copy"
        return newest
