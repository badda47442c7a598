"""This node: one server process, as the store knows it. It renews its lease and recovers lost notifications."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import assert_never

from tim.app_settings import SavedSettings
from tim.ends import AWAY, Gone
from tim.errors import IMError, NodeForgotten, StoreUnavailable
from tim.hub import Hub
from tim.log import log_end, log_event, log_instance, log_problem
from tim.mailbox import InstancesChanged, Stream
from tim.measures import ONLINE, Measures
from tim.model import Instance, Message, View
from tim.reconcile import Reconciler
from tim.store.base import Store
from tim.store.hints import AccountChanged, Attached, Cut, Ended, Hint, SettingsSaved, Written
from tim.timing import Timing
from tim.version import VERSION

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
        self._lock = threading.Lock()  # owns the one below
        self._delivered: set[str] = set()  # instances whose end has arrived here, for the next renewal
        self._reconciler = Reconciler(store, hub, self.name, settings.seats, measures, pause=self._pause)
        store.join(self.name)
        store.listen(self.name, self._receive, self.mark_stale)
        log_event("start", node=self.name, version=VERSION)
        threading.Thread(target=self._run, name="tim-renewal", daemon=True).start()

    def attach(self, id: str, wake: Callable[[], None], after: int, most: int) -> tuple[View, Stream]:
        """Open a stream of an instance here; see `Backend.attach`. Raises InstanceGone, StoreUnavailable."""
        with self._opening(id, wake) as stream:
            view = self._store.attach(id, self.name, self._settings.seats(), after, most)
        self._opened(stream, view)
        return view, stream

    def enter(
        self, newcomer: Instance, limit: int, made: float, policy: str, *, wake: Callable[[], None], most: int
    ) -> tuple[View, Stream]:
        """Admit an instance and open a stream of it here, as one step; `Store.enter` describes the arguments.

        Raises:
            InstanceGone: an instance with this id has ended for good.
            AtLimit, UserSigRevoked, AccountBlocked, StoreUnavailable.
        """
        with self._opening(newcomer.id, wake) as stream:
            view, evicted = self._store.enter(newcomer, limit, made, policy, node=self.name, most=most)
        self._opened(stream, view, login=not view.returned, ended=evicted)
        return view, stream

    @contextmanager
    def _opening(self, id: str, wake: Callable[[], None]) -> Iterator[Stream]:
        """A stream in the hub, while the store is called to open it; closed again where that fails."""
        # Into the hub before the store, so that a notification of the end of the instance finds the stream.
        stream = self._hub.open(id, wake)
        try:
            yield stream
        except IMError as error:
            self._hub.close(stream)
            if isinstance(error, StoreUnavailable):
                # The store may have it open though the reply was lost; or this node has to join again.
                self.mark_stale()
            raise

    def _opened(self, stream: Stream, view: View, *, login: bool = False, ended: Iterable[Instance] = ()) -> None:
        """Take over from the store's reply what the stream is, and notify the others of its account."""
        instance = view.instance
        ends = self._end_all(ended)
        self._hub.enter(stream, instance.app, instance.user)
        self._hub.attach(stream, instance.stream)
        # The stream itself has the list in its view.
        self._notify_others(instance.app, ends, login=instance if login else None, changed=instance.user, but=stream)
        if view.returned:
            log_instance("returned", instance)

    def detach(self, stream: Stream) -> None:
        """Close a stream. Its instance keeps the seat for the grace time, unless it has ended."""
        self._hub.close(stream)
        if stream.account is None or stream.number is None:
            return
        if stream.over:
            with self._lock:
                self._delivered.add(stream.instance)
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
        with self._lock:
            delivered, self._delivered = self._delivered, set()
        try:
            ended = self._store.renew(self.name, delivered)
        except StoreUnavailable as error:
            self._stale.set()  # before joining, as the reply to that may be lost
            with self._lock:
                self._delivered |= delivered
            if not isinstance(error, NodeForgotten):
                raise
            self._store.join(self.name)
            ended = []
        for instance in ended:
            if instance.gone is not None and not self._hub.end(instance.id, instance.gone):
                with self._lock:
                    self._delivered.add(instance.id)  # its stream was closed while the store was away
        if self._stale.is_set():
            self._stale.clear()
            try:
                self._reconciler.reconcile()
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
        login: Instance | None = None,
        ended: Iterable[Instance | None] = (),
        changed: str | None = None,
        written: Iterable[tuple[str, Message | None]] = (),
    ) -> None:
        """Notify the streams here of what a verb of the store has done, then log it. The store notifies other nodes.

        Args:
            login: the instance that has logged in.
            ended: the instances that it ended; None stands for one that had ended before.
            changed: the account whose list of instances it changed.
            written: each account with the message that it wrote into the account's log; None where it wrote none.
        """
        self._notify_others(app, self._end_all(ended), login=login, changed=changed)
        for user, message in written:
            if message is not None:
                self._hub.post(app, user, message)

    def _end_all(self, ended: Iterable[Instance | None]) -> list[tuple[Instance, Gone]]:
        """End the streams of these instances. Returns each with its end; without those that had ended before."""
        ends = [(each, each.gone) for each in ended if each is not None and each.gone is not None]
        here = [instance for instance, gone in ends if self._end(instance, gone)]
        if here:
            time.sleep(0)  # with gevent, their pages are sent the kick before this greenlet goes on
        return ends

    def _notify_others(
        self,
        app: int,
        ends: Collection[tuple[Instance, Gone]],
        *,
        login: Instance | None,
        changed: str | None,
        but: Stream | None = None,
    ) -> None:
        """Tell the other streams of the accounts, except `but`, and the log."""
        accounts = {(instance.app, instance.user) for instance, _ in ends}
        if changed is not None:
            accounts.add((app, changed))
        for its_app, user in accounts:
            self._hub.post(its_app, user, InstancesChanged(), but=but)
        self._queued({user for _, user in accounts})
        if login is not None:
            log_instance("login", login)
        for instance, gone in ends:
            log_end(instance, gone)

    def _end(self, instance: Instance, gone: Gone) -> bool:
        """End the streams of the instance. Returns whether it has any here."""
        if gone.reason != AWAY:
            return self._hub.end(instance.id, gone)
        if self._hub.streams_of(instance.id):
            # It is just being attached; or the lease of this node had expired, and its stream is open.
            self._stale.set()
        return False

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

    def _pause(self) -> None:
        self._stopped.wait(self._timing.reconcile_pause)

    def _online(self) -> int:
        """How many instances have their stream open here."""
        return sum(stream.number is not None for stream in self._hub.streams())

    def _run(self) -> None:
        away = False  # as the log has it: one line for each outage, also where its reason changes
        while not self._stopped.is_set():
            self._wake.wait(self._timing.renewal_period / 2)
            self._wake.clear()
            if self._stopped.is_set():
                return
            try:
                self.renew()
                self._measures.sample(ONLINE, self._online, self._store.now())
                self._measures.flush(self._store)
                if away:
                    log_event("store-back", node=self.name)
                away = False
            except IMError as error:
                if not away and not self._stopped.is_set():
                    log_problem("store-away", node=self.name, why=str(error))
                away = True
            except Exception:
                if not self._stopped.is_set():
                    log.exception("renewal failed")
