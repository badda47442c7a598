"""What the instances of one account can do to each other."""

from __future__ import annotations

import time

from tim.audit import NOT_ME
from tim.errors import InstanceGone
from tim.input_rules import check_name
from tim.log import log_instance
from tim.model import Disowned, Instance, unknown_instance
from tim.node import Node
from tim.store.base import Store


class Peers:
    """The instances of the accounts of one app, made by `Backend`.

    Each method raises InstanceGone where the calling instance has ended, or is AWAY, and StoreUnavailable.
    """

    def __init__(self, app: int, store: Store, node: Node) -> None:
        self._app = app
        self._store = store
        self._node = node

    def sign_out(self, id: str, other: str) -> None:
        """End another instance of the same account; one that has ended stays as it is. Raises NoSuchInstance."""
        self._node.notify(self._app, ended=[self._store.sign_out(id, other)])

    def sign_out_others(self, id: str) -> list[Instance]:
        """End all other instances of the same account, also those that are AWAY. Returns them."""
        ended = self._store.sign_out_others(id)
        self._node.notify(self._app, ended=ended)
        return ended

    def rename(self, id: str, name: str) -> Instance:
        """Give the calling instance a name; an empty one takes it away. Returns the instance. Raises BadParameter."""
        renamed = self._store.rename(id, check_name(name))
        self._node.notify(self._app, changed=renamed.user)
        return renamed

    def vouch(self, id: str, other: str) -> None:
        """Say "it was me" of the login of another instance of the same account; see `rules.newcomers`.

        Of one that has ended, it changes nothing. Raises NoSuchInstance.
        """
        vouched = self._store.vouch(id, other)
        if vouched is not None:
            self._node.notify(self._app, changed=vouched.user)

    def disown(self, id: str) -> Disowned:
        """Say "that wasn't me" of the login that has displaced the evicted instance `id`; see `tim.store.base`.

        Returns at the next whole second, as `Admin.kick` does: a UserSig that is made after that is valid.

        Raises NotDisplaced. An instance that has ended is no reason for InstanceGone here; an unknown one is.
        """
        instance = self._store.get(id)
        if instance.app != self._app:
            raise InstanceGone(unknown_instance(id, self._store.now()))
        done = self._store.disown(id)
        if not done.again:
            log_instance(NOT_ME, instance)
        self._node.notify(self._app, ended=done.ended)
        time.sleep(done.left)
        return done
