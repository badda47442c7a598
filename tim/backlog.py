"""The accounts that a node sends events for next, and how long a receiver that does not answer holds them up."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Collection
from typing import Final

from tim.rules import event_pause

MOST_KNOWN: Final = 10_000
"""Accounts that a node remembers to send for. It finds others in the store with its next look."""
LONGEST_HOLD: Final = 60
"""Largest number of seconds between two attempts of a node while the receiver answers none."""


class Backlog:
    """Accounts that may have events, handed to one sender at a time; thread-safe.

    While the receiver does not answer, one sender of the node tries it now and then, and the others wait.

    Args:
        pause: seconds after the first failure; each further one doubles it.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._changed = threading.Condition()  # guards all below
        self._stopped = False
        self._ready: dict[str, None] = {}  # accounts to look at now, the first first
        self._later: list[tuple[float, str]] = []  # a heap: accounts to look at when their pause is over
        self._failures = 0  # of the receiver as a whole, one after the other
        self._held_until = 0.0
        self._held_since = 0.0
        self._trying = False  # whether a sender tries if the receiver is back

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def stopped(self) -> bool:
        return self._stopped

    def add(self, users: Collection[str]) -> None:
        """Look at these accounts as soon as a sender is free."""
        with self._changed:
            for user in users:
                if len(self._ready) < MOST_KNOWN:
                    self._ready[user] = None
            self._changed.notify_all()

    def add_later(self, user: str, seconds: float) -> None:
        """Look at the account after a pause."""
        with self._changed:
            if len(self._later) < MOST_KNOWN:
                heapq.heappush(self._later, (time.monotonic() + seconds, user))
            self._changed.notify_all()

    def next(self) -> str | None:
        """Wait for the next account; None once the node stops. The caller has to call `done` afterwards."""
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    self._ready.setdefault(heapq.heappop(self._later)[1])
                waits = [self._later[0][0] - now] if self._later else []
                if self._ready:
                    if not self._failures:
                        return self._pop()
                    if not self._trying and self._held_until <= now:
                        self._trying = True
                        return self._pop()
                    waits.append(LONGEST_HOLD if self._trying else self._held_until - now)
                self._changed.wait(max(0.0, min(waits)) if waits else None)
            return None

    def done(self) -> None:
        """A sender is done with the account that `next` has given it."""
        with self._changed:
            self._trying = False
            self._changed.notify_all()

    def answered(self) -> bool:
        """Note that the receiver answers. Returns whether that is new: it did not before."""
        with self._changed:
            before, self._failures = self._failures, 0
            self._changed.notify_all()
        return before > 0

    def failed(self, began: float) -> bool:
        """Note an attempt without an answer, that began at this monotonic time. Returns whether that is new."""
        with self._changed:
            before = self._failures
            if began >= self._held_since:  # attempts that were under way together count as one
                self._failures += 1
                self._held_since = time.monotonic()
                self._held_until = self._held_since + min(event_pause(self._failures) * self._pause, LONGEST_HOLD)
            self._changed.notify_all()
        return before == 0

    def clear(self) -> None:
        """Forget all accounts: nothing is to be sent any more."""
        with self._changed:
            self._ready.clear()
            self._later.clear()

    def wait(self, seconds: float) -> None:
        """Wait so long, or until the node stops."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)

    def stop(self) -> None:
        """Let every caller of `next` and `wait` return."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _pop(self) -> str:
        user = next(iter(self._ready))
        del self._ready[user]
        return user
