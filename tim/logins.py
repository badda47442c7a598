"""Logins: a verified UserSig becomes an instance, and the app's policy says what happens at the limit."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from tim.app_settings import SavedSettings
from tim.attempts import Attempts
from tim.ends import Client
from tim.errors import InstanceGone
from tim.mailbox import Stream
from tim.model import SDK_PAGE, TAB, AppSettings, Choice, Instance, View
from tim.node import Node
from tim.rules import ASK, EVICT, LATEST, REJECT, instance_id, with_lives
from tim.seat_errors import AtLimit, MustChoose
from tim.store.base import Store
from tim.usersig import Ticket


class Logins:
    """The logins of one app, made by `Backend`."""

    def __init__(self, store: Store, settings: SavedSettings, attempts: Attempts, node: Node) -> None:
        self._store = store
        self._settings = settings
        self._attempts = attempts
        self._node = node

    def admit(
        self,
        ticket: Ticket,
        client: Client,
        id: str | None = None,
        choice: Choice | None = None,
        *,
        can_ask: bool = False,
    ) -> Instance:
        """Admit a tab, for the account of a verified UserSig, and end the instances that have to leave.

        It is detached until it is attached.

        Args:
            id: of the instance; repeating an id repeats the same login. Random by default.
            choice: which instances leave, from the list of an earlier AtLimit.
            can_ask: whether the caller can let its user choose.

        Raises:
            AtLimit: one more does not fit.
            MustChoose: the same, where the user may choose; that is no refusal, so it is not in the audit.
            UserSigRevoked, AccountBlocked, TooManyFailures, StoreUnavailable.
        """
        app, user = ticket.sdk_app_id, ticket.user_id
        full: AtLimit | None = None
        with self._attempts.counted(app, user, client):
            settings = self._settings.now()
            newcomer = self._newcomer(ticket, client, id, TAB, settings)
            limit = settings.limits.online_web_instances
            policy = _policy(settings.policy, choice, can_ask=can_ask)
            try:
                instance, evicted = self._store.admit(newcomer, limit, ticket.made, policy, choice)
            except AtLimit as error:
                if policy != ASK:
                    raise
                full = error
        if full is not None:
            raise MustChoose(full.instances, full.limit)
        self._node.notify(app, login=instance, ended=evicted, changed=user)
        return instance

    def enter(
        self, ticket: Ticket, client: Client, wake: Callable[[], None], id: str | None, most: int
    ) -> tuple[View, Stream]:
        """Admit a page of the vendor's SDK and open its stream, as one step; see `admit` and `Backend.attach`.

        Args:
            id: as in `admit`. Where an instance with this id has ended for good, this is another login.

        Raises:
            AtLimit, UserSigRevoked, AccountBlocked, TooManyFailures, StoreUnavailable.
        """
        with self._attempts.counted(ticket.sdk_app_id, ticket.user_id, client):
            settings = self._settings.now()
            limit, policy = settings.limits.online_web_instances, _policy(settings.policy, None, can_ask=False)

            def enter(id: str | None) -> tuple[View, Stream]:
                newcomer = self._newcomer(ticket, client, id, SDK_PAGE, settings)
                return self._node.enter(newcomer, limit, ticket.made, policy, wake=wake, most=most)

            try:
                return enter(id)
            except InstanceGone:
                return enter(None)

    def _newcomer(self, ticket: Ticket, client: Client, id: str | None, kind: str, settings: AppSettings) -> Instance:
        app, user = ticket.sdk_app_id, ticket.user_id
        id = id or instance_id(app, user, secrets.token_hex(16))
        expires = min(ticket.expires, LATEST)  # pages write it as a date
        return with_lives(Instance(id, app, user, client, self._store.now(), expires, kind=kind), settings)


def _policy(saved: str, choice: Choice | None, *, can_ask: bool) -> str:
    """Return the policy of a login by the one that the app has saved.

    Who cannot ask rejects. A choice holds although the app evicts meanwhile: nobody else must leave than the chosen.
    """
    if saved == ASK and not can_ask:
        return REJECT
    return ASK if saved == EVICT and choice is not None else saved
