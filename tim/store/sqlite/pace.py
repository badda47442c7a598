"""How many messages each instance has sent in the last minute. In memory, as the SQLite store has one process.

Runs under the lock of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

from collections import deque

from tim.rules import MINUTE


class Pace:
    """The times, in unix seconds, at which each instance has sent within the last minute, oldest first."""

    def __init__(self) -> None:
        self._sent: dict[str, deque[float]] = {}

    def wait(self, instance: str, now: float, most: int) -> float:
        """Seconds until the instance, which may send `most` within a minute, may send another; 0 where it may now."""
        sent = self._sent.get(instance, deque())
        while sent and not _counts(sent[0], now):
            sent.popleft()
        return sent[-most] + MINUTE - now if len(sent) >= most else 0

    def count(self, instance: str, now: float) -> None:
        """Count one more message of the instance."""
        self._sent.setdefault(instance, deque()).append(now)

    def forget(self, now: float) -> None:
        """Drop the instances that have sent nothing within the last minute."""
        quiet = [instance for instance, sent in self._sent.items() if not (sent and _counts(sent[-1], now))]
        for instance in quiet:
            del self._sent[instance]


def _counts(at: float, now: float) -> bool:
    """Whether a message sent at `at` counts. One in the future does not: it is from before the clock was set back."""
    return now - MINUTE < at <= now
