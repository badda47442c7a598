"""How many messages each instance has sent in the last minute. In memory, as the SQLite store has one process.

Runs under the lock of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

from collections import deque

from tim.rules import MESSAGES_A_MINUTE, MINUTE


class Pace:
    """The times, in unix seconds, at which instances have sent; the newest MESSAGES_A_MINUTE of each."""

    def __init__(self) -> None:
        self._sent: dict[str, deque[float]] = {}

    def wait(self, instance: str, now: float) -> float:
        """Seconds until the instance may send another message, 0 where it may now."""
        sent = self._sent.get(instance, deque())
        # A time in the future dates from before the clock was set back, and must not count until the clock is there.
        if len(sent) < MESSAGES_A_MINUTE or not now - MINUTE < sent[0] <= now:
            return 0
        return sent[0] + MINUTE - now

    def count(self, instance: str, now: float) -> None:
        """Count one more message of the instance."""
        self._sent.setdefault(instance, deque(maxlen=MESSAGES_A_MINUTE)).append(now)

    def forget(self, now: float) -> None:
        """Drop the instances that have sent nothing within the last minute."""
        quiet = [instance for instance, sent in self._sent.items() if not now - MINUTE < sent[-1] <= now]
        for instance in quiet:
            del self._sent[instance]
