"""What a test of a client causes on purpose: a kick of each type, a cut connection, a service that knows nothing."""

from __future__ import annotations

from typing import Final

from tim.ends import KICKS, TYPES, Client, Gone
from tim.errors import BadParameter
from tim.input_rules import check_user_id
from tim.model import Instance
from tim.node import Node
from tim.rules import ADMINISTRATOR
from tim.store.base import Store

DISPLACED: Final = frozenset({TYPES.KICKED_OUT_MULT_ACCOUNT, TYPES.KICKED_OUT_MULT_DEVICE})
"""The types of a kick that another client causes."""


class Faults:
    """Faults of one app, made by `Backend.faults`."""

    def __init__(self, app: int, store: Store, node: Node) -> None:
        self._app = app
        self._store = store
        self._node = node

    def kick(self, user_id: str, type: str, by: Client, number: int | None = None) -> int:
        """End the live instances of the account with a kick of this type. Revokes no UserSig.

        Returns how many have ended.

        Args:
            type: one of KICKS.
            by: the client to name as the one that displaced them, where the type has one.
            number: only the instance with this number, which its login has returned as `instanceID`.

        Raises:
            BadParameter: a parameter breaks its rule, or there is no such instance.
            StoreUnavailable.
        """
        if type not in KICKS:
            raise BadParameter("type", f"type must be one of {', '.join(sorted(KICKS))}")
        gone = Gone(type, 0, by if type in DISPLACED else None)
        chosen = [instance.id for instance in self._chosen(user_id, number)]
        return len(self._node.remove(self._app, chosen, gone, "API"))

    def cut(self, user_id: str, number: int | None = None) -> int:
        """Cut the connections of the account's online instances, as a broken network does. They come back.

        Returns how many were open. A notification of another node may be lost; that connection then stays.

        Raises:
            BadParameter: as for `kick`.
            StoreUnavailable.
        """
        online = [self._store.cut(instance.id) for instance in self._chosen(user_id, number)]
        for instance in online:
            if instance is not None:
                self._node.cut(instance)
        return len([instance for instance in online if instance is not None])

    def forget(self) -> bool:
        """Delete everything that the store has, and end every instance. False where the store is not in memory."""
        live = self._store.forget()
        if live is None:
            return False
        self._store.import_account(self._app, ADMINISTRATOR)
        self._node.notify(self._app, ended=live)
        return True

    def _chosen(self, user_id: str, number: int | None) -> list[Instance]:
        live = self._store.instances(self._app, check_user_id(user_id))
        chosen = [instance for instance in live if number in (None, instance.generation)]
        if not chosen:
            which = "no live instance" if number is None else f"no live instance {number}"
            raise BadParameter("userID", f"{user_id} has {which}; log in first")
        return chosen
