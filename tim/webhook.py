"""The webhook of an app: the threads of this node that send the queued events to its receiver."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import Final

from tim.backlog import Backlog
from tim.errors import IMError, StoreUnavailable
from tim.log import log_event, log_problem
from tim.measures import WEBHOOK, Measures
from tim.model import AppSettings
from tim.post import Poster, PostFailed
from tim.receiver import Receiver, failure_of, receiver_at, request_to
from tim.rules import ADMINISTRATOR, DELIVERIES_KEPT, LONGEST_PAUSE, event_pause
from tim.state_change import TEST, Delivery, EventQueue, StateChange
from tim.store.base import Store
from tim.timing import Timing

SENDERS: Final = 8
"""Accounts for which one node sends at the same time."""
FOUND: Final = 1000
"""Accounts that one look into the store finds."""

log = logging.getLogger("tim")


class Webhook:
    """Sends the events of `app` in `store`, each account's in their order, once `follow` has named a receiver.

    Args:
        receiver: the one to use while the settings name none.
        measures: of this node, which count the attempts.
        local: whether a receiver of the settings may be at a loopback or link-local address.
    """

    def __init__(
        self,
        store: Store,
        app: int,
        receiver: Receiver | None,
        measures: Measures,
        timing: Timing,
        *,
        local: bool = False,
    ) -> None:
        self._default = receiver
        self._local = local
        self._store = store
        self._app = app
        self._measures = measures
        self._timing = timing
        self._backlog = Backlog(timing.webhook_pause)
        self._lock = threading.Lock()  # guards all below
        self._poster: tuple[Receiver, Poster] | None = None
        self._threads: list[threading.Thread] = []
        self._log: deque[Delivery] = deque(maxlen=DELIVERIES_KEPT)  # attempts that are not in the store's log yet

    def follow(self, settings: AppSettings) -> None:
        """Send to the receiver that these settings name; to the default where they name none.

        Raises:
            StoreUnavailable.
        """
        receiver = self._default
        if settings.webhook_url:
            found = receiver_at(settings.webhook_url, settings.webhook_token, local=True)
            receiver = replace(found, local=self._local)
        self.configure(receiver)

    def check(self, settings: AppSettings) -> None:
        """Raise SettingError if these settings name a receiver to which nothing may be sent."""
        if settings.webhook_url:
            receiver_at(settings.webhook_url, settings.webhook_token, local=self._local)

    def configure(self, receiver: Receiver | None) -> None:
        """Send events to this receiver from now on; None sends and queues none. Raises StoreUnavailable."""
        poster = None if receiver is None else (receiver, Poster(receiver, self._timing.webhook_timeout))
        with self._lock:
            if self._poster is not None and poster is not None and self._poster[0] == receiver:
                return
            self._store.queue_events(self._app, receiver is not None)
            self._poster = poster
            if poster is not None and not self._threads:
                self._threads = self._started()
        if poster is None:
            self._backlog.clear()
        else:
            self._backlog.answered()  # another receiver need not wait for the one before

    @property
    def receiver(self) -> Receiver | None:
        """The receiver that events are sent to."""
        poster = self._poster
        return None if poster is None else poster[0]

    def wake(self, users: Collection[str]) -> None:
        """Look soon whether these accounts have events; called after a verb that may have queued some."""
        if self._poster is not None and users:
            self._backlog.add(users)

    def test(self) -> Delivery:
        """Send a test event at once, beside the queue. Raises StoreUnavailable."""
        event = StateChange(secrets.token_hex(16), self._app, ADMINISTRATOR, TEST, self._store.now(), "")
        done = self._attempt(event)
        self._write_log()
        return done

    def retry(self) -> None:
        """Try everything again now that waits for another attempt. Raises StoreUnavailable."""
        self._store.retry_events(self._app)
        self._backlog.answered()  # so that no attempt is held up
        self._find()

    def queue(self) -> EventQueue:
        """Return how many events wait. Raises StoreUnavailable."""
        return self._store.event_queue(self._app)

    def deliveries(self) -> list[Delivery]:
        """Return the newest attempts of all nodes, the newest first; each node adds its own every second.

        Raises:
            StoreUnavailable.
        """
        return self._store.deliveries(self._app)

    def stop(self) -> None:
        """Stop the threads. An event that is under way then is sent again by another node."""
        self._backlog.stop()
        deadline = time.monotonic() + self._timing.streams_close
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # The senders

    def _started(self) -> list[threading.Thread]:
        senders = [threading.Thread(target=self._send_all, args=(secrets.token_hex(8),)) for _ in range(SENDERS)]
        threads = [*senders, threading.Thread(target=self._look)]
        for number, thread in enumerate(threads):
            thread.name, thread.daemon = f"tim-webhook-{number}", True
            thread.start()
        return threads

    def _send_all(self, sender: str) -> None:
        while (user := self._backlog.next()) is not None:
            try:
                self._send(user, sender)
            except IMError:
                self._backlog.add_later(user, self._timing.webhook_pause)  # the store is away
            except Exception:
                if not self._backlog.stopped:
                    log.exception("webhook failed")
            finally:
                self._backlog.done()

    def _send(self, user: str, sender: str) -> None:
        lease_end = time.monotonic() + self._timing.webhook_lease
        event = self._store.take_event(self._app, user, sender, self._timing.webhook_lease)
        if event is None or time.monotonic() + self._timing.webhook_timeout > lease_end:
            return  # another node sends it, or will: this process was held up for longer than its lease
        if not self._attempt(event).failure:
            if self._store.event_sent(self._app, user, sender, event.id):
                self.wake([user])
            return
        pause = min(event_pause(event.attempts + 1) * self._timing.webhook_pause, LONGEST_PAUSE)
        self._store.event_failed(self._app, user, sender, event.id, pause)
        self._backlog.add_later(user, pause)

    def _attempt(self, event: StateChange) -> Delivery:
        """Send an event once, and write down how it went."""
        now, began, status = self._store.now(), time.monotonic(), 0
        receiver_and_poster = self._poster
        if receiver_and_poster is None:
            failure = "no webhook is set"
        else:
            receiver, poster = receiver_and_poster
            try:
                status, body = poster.post(request_to(receiver, event, now))
                failure = failure_of(status, body)
            except PostFailed as error:
                failure = str(error)
            self._note(receiver, began, failure, answered=status == 200)
        took = time.monotonic() - began
        done = Delivery(event.id, event.user, event.action, now, status, took, event.attempts + 1, failure)
        self._measures.count(WEBHOOK, "failed" if failure else "delivered")
        with self._lock:
            self._log.append(done)
        return done

    def _note(self, receiver: Receiver, began: float, failure: str, *, answered: bool) -> None:
        """Note whether the receiver answers. Its failures hold up this node, and a success ends that."""
        if answered and self._backlog.answered():
            log_event("webhook-back", receiver=receiver.name)
            with suppress(StoreUnavailable):  # then each waits for its own pause
                self._store.retry_events(self._app)
                self._find()
        elif not answered and self._backlog.failed(began):
            log_problem("webhook-away", receiver=receiver.name, why=failure)

    # The look into the store

    def _look(self) -> None:
        """Find events that other nodes have left, and write the log of deliveries."""
        next_look = 0.0
        while not self._backlog.stopped:
            try:
                self._write_log()
                if self._poster is not None and time.monotonic() >= next_look:
                    next_look = time.monotonic() + self._timing.webhook_look
                    self._find()
            except IMError:
                pass  # the store is away; the renewal logs it
            except Exception:
                if not self._backlog.stopped:
                    log.exception("webhook failed")
            self._backlog.wait(min(1.0, self._timing.webhook_look))

    def _find(self) -> None:
        if len(self._backlog) < FOUND:
            self.wake(self._store.due_events(self._app, FOUND))

    def _write_log(self) -> None:
        """Write down the attempts. Where the store is away, they wait for the next time. Raises StoreUnavailable."""
        with self._lock:
            tried = list(self._log)
            self._log.clear()
        try:
            if tried:
                self._store.log_deliveries(self._app, tried)
        except StoreUnavailable:
            with self._lock:
                self._log = deque((*tried, *self._log), DELIVERIES_KEPT)
            raise
