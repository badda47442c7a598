"""This process as the store sees it: it renews, hears hints, and makes up for what it has missed."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from typing import Final, assert_never

from tim.ends import AWAY, CLOSE_MOVED
from tim.errors import IMError, InstanceGone, NodeForgotten, StoreUnavailable
from tim.hub import End, Hub, InstancesChanged, Missed, Stream
from tim.model import Instance
from tim.store.base import Store
from tim.store.hints import AccountChanged, Attached, Ended, Hint, LimitsSaved, Written
from tim.timing import Timing

AT_A_TIME: Final = 100
"""Streams that look for what they missed before the next pause."""

log = logging.getLogger("tim")


class Node:
    """The streams of `hub` in `store`, under a name of their own.

    Args:
        limit: how many instances an account may have now.
        look_at_limits: reads the limits anew; open tabs learn of it where they were saved elsewhere.
    """

    def __init__(
        self, store: Store, hub: Hub, limit: Callable[[], int], look_at_limits: Callable[[], object], timing: Timing
    ) -> None:
        self.name = secrets.token_hex(8)
        self._store = store
        self._hub = hub
        self._timing = timing
        self._limit = limit
        self._look_at_limits = look_at_limits
        self._stale = threading.Event()  # set while hub and store may differ, as something was lost
        self._stopped = threading.Event()
        self._wake = threading.Event()
        store.join(self.name)
        store.listen(self.name, self._receive, self.mark_stale)
        threading.Thread(target=self._beat, name="tim-renewal", daemon=True).start()

    def renew(self) -> None:
        """Tell the store that this node lives, and learn from it what no hint has said.

        Raises:
            StoreUnavailable.
        """
        try:
            told = self._store.renew(self.name)
        except NodeForgotten:
            self._stale.set()  # before it joins: the answer to that may be lost
            self._store.join(self.name)
            told = []
        except StoreUnavailable:
            self._stale.set()
            raise
        for instance in told:
            if instance.gone is not None:
                self._hub.end(instance.id, instance.gone)
        if self._stale.is_set():
            self._stale.clear()
            try:
                self._reconcile()
            except StoreUnavailable:
                self._stale.set()
                raise
        self.notify_ended(self._store.sweep())
        self._look_at_limits()

    def notify_ended(self, ended: list[Instance] | list[Instance | None]) -> None:
        """Tell the streams of instances that the store has just ended; None is one that had ended before."""
        for instance in ended:
            if instance is None or instance.gone is None:
                continue
            if instance.gone.reason != AWAY:
                self._hub.end(instance.id, instance.gone)
            elif self._hub.streams_of(instance.id):
                # It comes back in this very moment; or it was never away, but this process was held to be dead.
                self._stale.set()
            self._hub.post(instance.app, instance.user, InstancesChanged())

    def mark_stale(self) -> None:
        """Something may have been lost on the way between this process and the store: look for it soon."""
        self._stale.set()
        self._wake.set()

    def stop(self) -> None:
        """Renew no more."""
        self._stopped.set()
        self._wake.set()

    def _receive(self, hint: Hint) -> None:
        match hint:
            case LimitsSaved():
                self._wake.set()  # the renewal reads them: this thread must not wait for the store
            case Written():
                self._hub.post(hint.app, hint.user, hint.message)
            case Ended():
                self._hub.end(hint.instance, hint.gone)
                self._hub.post(hint.app, hint.user, InstancesChanged())
            case Attached():
                self._hub.attached(hint.instance, hint.stream)
                self._hub.post(hint.app, hint.user, InstancesChanged())
            case AccountChanged():
                self._hub.post(hint.app, hint.user, InstancesChanged())
            case _:
                assert_never(hint)

    def _reconcile(self) -> None:
        """Make the streams here and what the store knows of them agree, stream by stream."""
        here = self._hub.streams()
        there = self._store.attached(self.name)
        for nth, stream in enumerate(here, 1):
            number = there.get(stream.instance, 0)
            if stream.number is not None and number > stream.number:
                self._give_number(stream, number)
            elif stream.number is not None and number != stream.number:
                self._attach_again(stream, stream.number)
            stream.put(Missed())
            if nth % AT_A_TIME == 0:
                self._stopped.wait(self._timing.reconcile_pause)
                self._store.renew(self.name)  # all of them may take longer than a lease lasts
        for instance, number in there.items():
            # Whoever is just being attached is in the hub first, so this one was left behind.
            if not self._hub.streams_of(instance):
                self._store.detach(instance, number)

    def _give_number(self, stream: Stream, number: int) -> None:
        """A later stream of the same instance is open here: that of another page, or this one, had it been told so."""
        others = self._hub.streams_of(stream.instance) - {stream}
        if any(other.number is None or other.number > (stream.number or 0) for other in others):
            self._hub.attached(stream.instance, number)
        else:
            stream.number = number  # the answer to its attaching was lost

    def _attach_again(self, stream: Stream, number: int) -> None:
        """The store does not know that this stream is open here: it may have ended, moved, or been forgotten."""
        try:
            again = self._store.attach_again(stream.instance, self.name, self._limit(), number)
        except InstanceGone as error:
            self._hub.end(stream.instance, error.gone)
            return
        if again is None:
            stream.put(End(CLOSE_MOVED))
            return
        stream.number = again.stream
        self._hub.attached(stream.instance, stream.number)
        if not self._hub.streams_of(stream.instance):  # its reader left, and has detached the older number
            self._store.detach(stream.instance, stream.number)

    def _beat(self) -> None:
        said = ""  # one line an outage is enough
        while not self._stopped.is_set():
            self._wake.wait(self._timing.renewal_period / 2)
            self._wake.clear()
            if self._stopped.is_set():
                return
            try:
                self.renew()
                said = ""
            except IMError as error:
                if str(error) != said:
                    log.warning("renewal: %s", error)
                said = str(error)
            except Exception:
                if not self._stopped.is_set():
                    log.exception("renewal failed")
