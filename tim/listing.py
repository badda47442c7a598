"""The live instances of an app, as its operators find and end them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from tim.ends import TYPES, Gone
from tim.input_rules import check_words
from tim.job import Surplus
from tim.model import Instance, unknown_instance
from tim.node import Node
from tim.search import Page, Search
from tim.store.base import Store


class Listing:
    """The live instances of one app, of all accounts."""

    def __init__(self, store: Store, app: int, node: Node) -> None:
        self._store = store
        self._app = app
        self._node = node

    def search(self, where: Search, after: str = "", limit: int = 50) -> Page:
        """Return live instances that match, by UserID, then id, after the place `after`. Raises StoreUnavailable."""
        return self._store.search(self._app, where, after, limit)

    def number(self, where: Search) -> int:
        """Return how many live instances match. Raises StoreUnavailable."""
        return self._store.number(self._app, where)

    def find(self, ids: Iterable[str]) -> list[Instance]:
        """Return these instances, live or ended; one of another app is UNKNOWN. Raises StoreUnavailable."""
        found = (self._store.get(id) for id in ids)
        return [each if each.app == self._app else unknown_instance(each.id, self._store.now()) for each in found]

    def kick(self, ids: Iterable[str], words: str, actor: str) -> list[Instance]:
        """End these instances, and return those that had not ended before. Revokes no UserSig.

        Args:
            words: the reason for the users to read; "" for none.
            actor: who ends them, as the audit has it.

        Raises:
            BadParameter, StoreUnavailable.
        """
        gone = Gone(TYPES.KICKED_OUT_REST_API, 0, words=check_words(words, "words"))
        here = [instance.id for instance in self.find(ids) if instance.app == self._app]
        return self._node.remove(self._app, here, gone, actor)

    def surplus(self, limit: int, names: int = 5) -> Surplus:
        """Return what accounts have beyond `limit` instances, `names` of them by name. Raises StoreUnavailable."""
        crowded = list(self._crowded(limit))
        first = heapq.nsmallest(names, (user for user, _ in crowded))
        return Surplus(sum(number - limit for _, number in crowded), len(crowded), first)

    def _crowded(self, limit: int) -> Iterator[tuple[str, int]]:
        after, more = "", True
        while more:
            found = self._store.crowded(self._app, limit, after, 1000)
            yield from found.accounts
            after, more = found.next, bool(found.next)
