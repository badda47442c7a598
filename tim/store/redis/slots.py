"""How many calls to Redis a node has under way: each takes a slot, in the order in which the calls came.

The hash slots of a cluster are in `tim.store.redis.shards`.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final

from redis import RedisError
from redis.exceptions import RedisClusterException

from tim.errors import StoreUnavailable

AT_ONCE: Final = 64
"""Calls of one node that may be under way at a time, each on a connection of its own."""
FAILURES: Final = (RedisError, RedisClusterException, OSError)
"""Errors of a Redis that is away, cannot be understood, or lacks a shard."""


class Slots:
    """A `with` block takes one of AT_ONCE slots, and each failure of Redis within it is raised as StoreUnavailable.

    Blocks that wait get their slots in the order in which they came, and before any that comes later: a queue of slots
    alone would give one to whoever comes just as it is put back, and a call that waits could do so for seconds.
    An object for all calls: a generator for each takes four times as many calls of Python.

    Args:
        name: of the Redis, for the texts of errors.
        patience: seconds for which a block waits for its slot.
    """

    def __init__(self, name: str, patience: float) -> None:
        self._name = name
        self._patience = patience
        self._closed = False
        # Each operation on a deque is atomic; a semaphore takes 25 times as long.
        self._free = deque([None] * AT_ONCE)
        self._waiting: deque[SimpleQueue[None]] = deque()  # each is put a slot when it is its turn

    def __enter__(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"{self._name}: closed")
        with suppress(IndexError):
            return self._free.pop()
        turn: SimpleQueue[None] = SimpleQueue()
        self._waiting.append(turn)
        self._hand_out()  # a slot that has been put back meanwhile
        try:
            turn.get(timeout=self._patience)
        except BaseException as error:
            self._leave(turn)
            if not isinstance(error, Empty):
                raise
            raise StoreUnavailable(f"{AT_ONCE} calls to {self._name} are waiting already") from None
        return None

    def _hand_out(self) -> None:
        """Give free slots to those that wait, the oldest first."""
        while self._waiting and self._free:
            with suppress(IndexError):  # another thread was faster
                turn = self._waiting.popleft()
                try:
                    turn.put(self._free.pop())
                except IndexError:
                    self._waiting.appendleft(turn)

    def _leave(self, turn: SimpleQueue[None]) -> None:
        """Wait no longer, and put back the slot that has come at this very moment."""
        try:
            self._waiting.remove(turn)
        except ValueError:
            self._put_back()

    def _put_back(self) -> None:
        self._free.append(None)
        if self._waiting:
            self._hand_out()

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._put_back()
        if isinstance(error, FAILURES):
            raise StoreUnavailable(f"{self._name}: {error}") from error

    def close(self) -> None:
        """From now on no block begins."""
        self._closed = True
