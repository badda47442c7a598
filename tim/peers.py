"""What the instances of one account can do to each other."""

from __future__ import annotations

import time

from tim.errors import InstanceGone
from tim.model import Disowned, unknown_instance
from tim.node import Node
from tim.store.base import Store


class Peers:
    """The instances of the accounts of one app, made by `Backend`."""

    def __init__(self, app: int, store: Store, node: Node) -> None:
        self._app = app
        self._store = store
        self._node = node

    def sign_out(self, id: str, other: str) -> None:
        """End another instance of the same account. One that has ended already stays as it is.

        Raises InstanceGone where the calling one has ended, NoSuchInstance, StoreUnavailable.
        """
        self._node.notify(self._app, ended=[self._store.sign_out(id, other)])

    def disown(self, id: str) -> Disowned:
        """Say "that wasn't me" of the login that has displaced the evicted instance `id`; see `tim.store.base`.

        Returns at the next whole second, as `Admin.kick` does: a UserSig that is made after that is valid.

        Raises NotDisplaced, InstanceGone where there is no such instance, StoreUnavailable.
        """
        if self._store.get(id).app != self._app:
            raise InstanceGone(unknown_instance(id, self._store.now()))
        done = self._store.disown(id)
        self._node.notify(self._app, ended=done.ended)
        time.sleep(done.left)
        return done
