"""This node: one server process, as the store knows it. It renews its lease and recovers lost notifications."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Collection, Iterable
from typing import Final, assert_never

from tim.app_settings import SavedSettings
from tim.ends import AWAY, CLOSE_MOVED, Gone
from tim.errors import IMError, InstanceGone, NodeForgotten, StoreUnavailable
from tim.hub import End, Hub, InstancesChanged, Missed, Stream
from tim.log import log_end, log_event, log_instance, log_problem
from tim.measures import ONLINE, RECONCILED, Measures
from tim.model import Instance, Message, View
from tim.store.base import Store
from tim.store.hints import AccountChanged, Attached, Cut, Ended, Hint, SettingsSaved, Written
from tim.timing import Timing
from tim.version import VERSION

AT_A_TIME: Final = 100
"""Streams that are reconciled before a pause, which spreads the load on a store that has just come back."""

log = logging.getLogger("tim")


class Node:
    """The streams of `hub` in `store`, under a random node name.

    Args:
        settings: of the app; each renewal reads them again.
        measures: of this node; the renewal thread adds them to those of all nodes.
        queued: called with accounts that may have events for the webhook.
    """

    def __init__(
        self,
        store: Store,
        hub: Hub,
        settings: SavedSettings,
        measures: Measures,
        queued: Callable[[Collection[str]], None],
        *,
        timing: Timing,
    ) -> None:
        self.name = secrets.token_hex(8)
        self._store = store
        self._hub = hub
        self._settings = settings
        self._measures = measures
        self._queued = queued
        self._timing = timing
        self._stale = threading.Event()  # set while the streams and the store may be out of sync
        self._stopped = threading.Event()
        self._wake = threading.Event()
        store.join(self.name)
        store.listen(self.name, self._receive, self.mark_stale)
        log_event("start", node=self.name, version=VERSION)
        threading.Thread(target=self._run, name="tim-renewal", daemon=True).start()

    def attach(self, id: str, wake: Callable[[], None], after: int, most: int) -> tuple[View, Stream]:
        """Open a stream of an instance here; see `Backend.attach`. Raises InstanceGone, StoreUnavailable."""
        # Into the hub before the store, so that a notification of the end of the instance finds the stream.
        stream = self._hub.open(id, wake)
        try:
            view = self._store.attach(id, self.name, self._settings.seats(), after, most)
        except IMError as error:
            self._hub.close(stream)
            if isinstance(error, StoreUnavailable):
                # The store may have it open though the reply was lost; or this node has to join again.
                self.mark_stale()
            raise
        instance = view.instance
        self._hub.enter(stream, instance.app, instance.user)
        self._hub.attach(stream, instance.stream)
        if view.returned:
            log_instance("returned", instance)
        self.notify(instance.app, changed=instance.user, but=stream)  # the view has the list
        return view, stream

    def detach(self, stream: Stream) -> None:
        """Close a stream. Its instance keeps the seat for the grace time."""
        self._hub.close(stream)
        if stream.account is None or stream.number is None:
            return
        app, user = stream.account
        try:
            # Also where the store had it closed already: the reply to an earlier attempt may have been lost.
            self._store.detach(stream.instance, stream.number)
            self.notify(app, changed=user)
        except StoreUnavailable:
            self.mark_stale()  # the renewal detaches it once the store is back

    def renew(self) -> None:
        """Renew the lease, and apply everything that notifications have not brought.

        Raises:
            StoreUnavailable.
        """
        try:
            ended = self._store.renew(self.name)
        except NodeForgotten:
            self._stale.set()  # before joining, as the reply to that may be lost
            self._store.join(self.name)
            ended = []
        except StoreUnavailable:
            self._stale.set()
            raise
        for instance in ended:
            if instance.gone is not None:
                self._hub.end(instance.id, instance.gone)
        if self._stale.is_set():
            self._stale.clear()
            try:
                self._reconcile()
            except StoreUnavailable:
                self._stale.set()
                raise
        self.notify(0, ended=self._store.sweep())
        self._settings.refresh()

    def remove(self, app: int, ids: Iterable[str], gone: Gone, actor: str) -> list[Instance]:
        """End these instances for an administrator, and notify their streams. Returns those that had not ended before.

        Args:
            actor: who ends them, as the audit has it.

        Raises:
            StoreUnavailable.
        """
        removed = [self._store.remove(id, gone, actor=actor) for id in ids]
        self.notify(app, ended=removed)
        return [instance for instance in removed if instance is not None]

    def notify(
        self,
        app: int,
        *,
        ended: Iterable[Instance | None] = (),
        changed: str | None = None,
        written: Iterable[tuple[str, Message | None]] = (),
        but: Stream | None = None,
    ) -> None:
        """Notify the streams here of what a verb of the store has done. The store notifies the other nodes.

        Args:
            ended: the instances that it ended; None stands for one that had ended before.
            changed: the account whose list of instances it changed.
            written: each account with the message that it wrote into the account's log; None where it wrote none.
            but: a stream to leave out.
        """
        affected = set() if changed is None else {changed}
        for instance in ended:
            if instance is not None and instance.gone is not None:
                affected.add(instance.user)
                log_end(instance, instance.gone)
                self._end(instance, instance.gone)
        self._queued(affected)
        if changed is not None:
            self._hub.post(app, changed, InstancesChanged(), but=but)
        for user, message in written:
            if message is not None:
                self._hub.post(app, user, message)

    def _end(self, instance: Instance, gone: Gone) -> None:
        if gone.reason != AWAY:
            self._hub.end(instance.id, gone)
        elif self._hub.streams_of(instance.id):
            # It is just being attached; or the lease of this node had expired, and its stream is open.
            self._stale.set()
        self._hub.post(instance.app, instance.user, InstancesChanged())

    def cut(self, instance: Instance) -> None:
        """Cut the connection of the newest stream of the instance, if it is open here."""
        self._hub.cut(instance.id, instance.stream)

    def mark_stale(self) -> None:
        """Mark the streams as possibly out of sync with the store, and wake the renewal thread."""
        self._stale.set()
        self._wake.set()

    def stop(self) -> None:
        """Stop the renewal thread."""
        self._stopped.set()
        self._wake.set()

    def _receive(self, hint: Hint) -> None:
        match hint:
            case SettingsSaved():
                self._wake.set()  # the renewal thread reads them: this thread must not wait for the store
            case Written():
                self._hub.post(hint.app, hint.user, hint.message)
            case Ended():
                self._hub.end(hint.instance, hint.gone)
                self._hub.post(hint.app, hint.user, InstancesChanged())
            case Attached():
                self._hub.moved(hint.instance, hint.stream)
                self._hub.post(hint.app, hint.user, InstancesChanged())
            case Cut():
                self._hub.cut(hint.instance, hint.stream)
            case AccountChanged():
                self._hub.post(hint.app, hint.user, InstancesChanged())
            case _:
                assert_never(hint)

    def _reconcile(self) -> None:
        """Bring the streams here and the streams that the store has for this node into agreement."""
        here = self._hub.streams()
        there = self._store.attached(self.name)
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
                self._stopped.wait(self._timing.reconcile_pause)
                self._store.renew(self.name)  # reconciling all streams can take longer than a lease
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
            again = self._store.attach_again(stream.instance, self.name, self._settings.seats(), number)
        except InstanceGone as error:
            self._hub.end(stream.instance, error.gone)
            return
        if again is None:
            stream.put(End(CLOSE_MOVED))
            return
        self._hub.attach(stream, again.stream)
        if not self._hub.streams_of(stream.instance):  # it closed meanwhile, and its older number was detached
            self._store.detach(stream.instance, again.stream)

    def _online(self) -> int:
        """How many instances have their stream open here."""
        return sum(stream.number is not None for stream in self._hub.streams())

    def _run(self) -> None:
        logged = ""  # why the store is away, as the log has it: one line for each outage
        while not self._stopped.is_set():
            self._wake.wait(self._timing.renewal_period / 2)
            self._wake.clear()
            if self._stopped.is_set():
                return
            try:
                self.renew()
                self._measures.sample(ONLINE, self._online, self._store.now())
                self._measures.flush(self._store)
                if logged:
                    log_event("store-back", node=self.name)
                logged = ""
            except IMError as error:
                if str(error) != logged:
                    log_problem("store-away", node=self.name, why=str(error))
                logged = str(error)
            except Exception:
                if not self._stopped.is_set():
                    log.exception("renewal failed")
