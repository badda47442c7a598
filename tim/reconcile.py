"""Reconciliation: the streams of this node and what the store has of them, after notifications may have been lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tim.ends import CLOSE_MOVED
from tim.errors import InstanceGone
from tim.hub import Hub
from tim.mailbox import End, Missed, Stream
from tim.measures import RECONCILED, Measures
from tim.store.base import Store

AT_A_TIME: Final = 100
"""Streams that are reconciled before a pause, which spreads the load on a store that has just come back."""


class Reconciler:
    """Compares the streams of `hub` with those that `store` has for the node of this name.

    Args:
        seats: returns how many instances one account may have.
        measures: counts each stream that differs.
        pause: called between AT_A_TIME streams and the next.
    """

    def __init__(
        self,
        store: Store,
        hub: Hub,
        node: str,
        seats: Callable[[], int],
        measures: Measures,
        *,
        pause: Callable[[], None],
    ) -> None:
        self._store = store
        self._hub = hub
        self._node = node
        self._seats = seats
        self._measures = measures
        self._pause = pause

    def reconcile(self) -> None:
        """Bring the streams here and the streams that the store has for this node into agreement.

        Raises:
            StoreUnavailable.
        """
        here = self._hub.streams()
        there = self._store.attached(self._node)
        for nth, stream in enumerate(here, 1):
            number = there.get(stream.instance, 0)
            if stream.number not in (None, number):
                self._measures.count(RECONCILED)
            if stream.number is not None and number > stream.number:
                self._adopt(stream, stream.number, number)
            elif stream.number is not None and number != stream.number:
                self._attach_again(stream, stream.number)
            stream.put(Missed())
            if nth % AT_A_TIME == 0:
                self._pause()
                self._store.renew(self._node)  # reconciling all streams can take longer than a lease
        for instance, number in there.items():
            # A stream is in the hub before it is attached. So one that is not in the hub has been left behind.
            if not self._hub.streams_of(instance):
                self._measures.count(RECONCILED)
                self._store.detach(instance, number)

    def _adopt(self, stream: Stream, before: int, number: int) -> None:
        """Handle a newer stream `number` that the store has for the instance at this node.

        It belongs to another page, or to `stream` itself if the reply to attaching it again was lost.
        """
        others = self._hub.streams_of(stream.instance) - {stream}
        if any(other.number is None or other.number > before for other in others):
            self._hub.moved(stream.instance, number)
        else:
            self._hub.attach(stream, number)

    def _attach_again(self, stream: Stream, number: int) -> None:
        """Attach a stream again that the store does not have as open here."""
        try:
            again = self._store.attach_again(stream.instance, self._node, self._seats(), number)
        except InstanceGone as error:
            self._hub.end(stream.instance, error.gone)
            return
        if again is None:
            stream.put(End(CLOSE_MOVED))
            return
        self._hub.attach(stream, again.stream)
        if not self._hub.streams_of(stream.instance):  # it closed meanwhile, and its older number was detached
            self._store.detach(stream.instance, again.stream)
