"""The webhook of an app: the threads of this node that send the queued events to its receiver."""

from __future__ import annotations

import heapq
import logging
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import Final

from tim.errors import IMError, StoreUnavailable
from tim.log import log_event, log_problem
from tim.measures import WEBHOOK
from tim.model import AppSettings
from tim.post import Poster, PostFailed
from tim.receiver import Receiver, failure_of, receiver_at, request_to
from tim.rules import ADMINISTRATOR, DELIVERIES_KEPT, LONGEST_PAUSE, event_pause
from tim.state_change import TEST, Delivery, EventQueue, StateChange
from tim.store.base import Store
from tim.timing import Timing

SENDERS: Final = 8
"""Accounts for which one node sends at the same time."""
MOST_KNOWN: Final = 10_000
"""Accounts that a node remembers to send for. It finds others in the store with its next look."""
FOUND: Final = 1000
"""Accounts that one look into the store finds."""
LONGEST_HOLD: Final = 60
"""Largest number of seconds between two attempts of a node while the receiver answers none."""

log = logging.getLogger("tim")


class Webhook:
    """Sends the events of `app` in `store`, each account's in their order, once `follow` has named a receiver.

    While the receiver does not answer with 200, one sender of the node tries it now and then, and the others wait.

    Args:
        receiver: the one to use while the settings name none.
        local: whether a receiver of the settings may be at a loopback or link-local address.
    """

    def __init__(
        self, store: Store, app: int, receiver: Receiver | None, timing: Timing, *, local: bool = False
    ) -> None:
        self._default = receiver
        self._local = local
        self._store = store
        self._app = app
        self._timing = timing
        self._changed = threading.Condition()  # guards all below
        self._poster: tuple[Receiver, Poster] | None = None
        self._threads: list[threading.Thread] = []
        self._stopped = False
        self._ready: dict[str, None] = {}  # accounts to look at now, the first first
        self._later: list[tuple[float, str]] = []  # a heap: accounts to look at when their pause is over
        self._failures = 0  # of the receiver as a whole, one after the other
        self._held_until = 0.0
        self._held_since = 0.0
        self._trying = False  # whether a sender tries if the receiver is back
        self._log: deque[Delivery] = deque(maxlen=DELIVERIES_KEPT)

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
        with self._changed:
            if self._poster is not None and poster is not None and self._poster[0] == receiver:
                return
            self._store.queue_events(self._app, receiver is not None)
            self._poster = poster
            self._failures = 0
            if poster is not None and not self._threads:
                senders = [
                    threading.Thread(target=self._send_all, args=(secrets.token_hex(8),)) for _ in range(SENDERS)
                ]
                self._threads = [*senders, threading.Thread(target=self._look)]
                for number, thread in enumerate(self._threads):
                    thread.name, thread.daemon = f"tim-webhook-{number}", True
                    thread.start()
            self._changed.notify_all()

    @property
    def receiver(self) -> Receiver | None:
        """The receiver that events are sent to."""
        poster = self._poster
        return None if poster is None else poster[0]

    def wake(self, users: Collection[str]) -> None:
        """Look soon whether these accounts have events; called after a verb that may have queued some."""
        if self._poster is None or not users:
            return
        with self._changed:
            for user in users:
                if len(self._ready) < MOST_KNOWN:
                    self._ready[user] = None
            self._changed.notify_all()

    def test(self) -> Delivery:
        """Send a test event at once, beside the queue. Raises StoreUnavailable."""
        event = StateChange(secrets.token_hex(16), self._app, ADMINISTRATOR, TEST, self._store.now(), "")
        done = self._attempt(event)
        self._write_log()
        return done

    def retry(self) -> None:
        """Try everything again now that waits for another attempt. Raises StoreUnavailable."""
        self._store.retry_events(self._app)
        with self._changed:
            self._failures = 0
            self._changed.notify_all()
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
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        deadline = time.monotonic() + self._timing.streams_close
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # The senders

    def _send_all(self, sender: str) -> None:
        while (user := self._next()) is not None:
            try:
                self._send(user, sender)
            except IMError:
                self._pause(user, self._timing.webhook_pause)  # the store is away
            except Exception:
                if not self._stopped:
                    log.exception("webhook failed")
            finally:
                with self._changed:
                    self._trying = False
                    self._changed.notify_all()

    def _next(self) -> str | None:
        """Wait for an account that may have an event; None when this node stops."""
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    self._ready.setdefault(heapq.heappop(self._later)[1])
                waits = [self._later[0][0] - now] if self._later else []
                if self._poster is not None and self._ready:
                    if not self._failures:
                        return self._pop()
                    if not self._trying and self._held_until <= now:
                        self._trying = True
                        return self._pop()
                    waits.append(self._held_until - now if not self._trying else LONGEST_HOLD)
                self._changed.wait(max(0.0, min(waits)) if waits else None)
            return None

    def _pop(self) -> str:
        user = next(iter(self._ready))
        del self._ready[user]
        return user

    def _pause(self, user: str, seconds: float) -> None:
        with self._changed:
            if len(self._later) < MOST_KNOWN:
                heapq.heappush(self._later, (time.monotonic() + seconds, user))
            self._changed.notify_all()

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
        self._pause(user, pause)

    def _attempt(self, event: StateChange) -> Delivery:
        """Send an event once, and write down how it went."""
        now, began, status = self._store.now(), time.monotonic(), 0
        with self._changed:
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
        with self._changed:
            self._log.append(done)
        return done

    def _note(self, receiver: Receiver, began: float, failure: str, *, answered: bool) -> None:
        """Note whether the receiver answers. Its failures hold up this node, and a success ends that."""
        with self._changed:
            before = self._failures
            if answered:
                self._failures = 0
            elif began >= self._held_since:  # attempts that were under way together count as one
                self._failures += 1
                self._held_since = time.monotonic()
                pause = event_pause(self._failures) * self._timing.webhook_pause
                self._held_until = self._held_since + min(pause, LONGEST_HOLD)
            self._changed.notify_all()
        if not answered and not before:
            log_problem("webhook-away", receiver=receiver.name, why=failure)
        elif answered and before:
            log_event("webhook-back", receiver=receiver.name)
            with suppress(StoreUnavailable):  # then each waits for its own pause
                self._store.retry_events(self._app)
                self._find()

    # The look into the store

    def _look(self) -> None:
        """Find events that other nodes have left, and write the log of deliveries."""
        next_look = 0.0
        while not self._stopped:
            try:
                self._write_log()
                if self._poster is not None and time.monotonic() >= next_look:
                    next_look = time.monotonic() + self._timing.webhook_look
                    self._find()
            except IMError:
                pass  # the store is away; the renewal logs it
            except Exception:
                if not self._stopped:
                    log.exception("webhook failed")
            with self._changed:
                if not self._stopped:
                    self._changed.wait_for(lambda: self._stopped, min(1.0, self._timing.webhook_look))

    def _find(self) -> None:
        if len(self._ready) < FOUND:
            self.wake(self._store.due_events(self._app, FOUND))

    def _write_log(self) -> None:
        with self._changed:
            tried = list(self._log)
            self._log.clear()
        if tried:
            self._store.log_deliveries(self._app, tried)
            results = ("failed" if each.failure else "delivered" for each in tried)
            self._store.count(self._app, Counter(f"{WEBHOOK}:{result}" for result in results))
