"""How Redis is reached: one server or a cluster, within bounds of time and number."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final
from weakref import WeakKeyDictionary

from redis import Redis, RedisCluster, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import AskError, ConnectionError, MovedError, RedisClusterException
from redis.retry import Retry

from tim.errors import SettingError, StoreUnavailable
from tim.rules import SHARDS
from tim.store.redis.lines import Lines, Words
from tim.store.redis.requirements import check, mode_of, name_of
from tim.store.redis.shards import PREFIXES, SLOTS
from tim.timing import DEFAULT, Timing

AT_ONCE: Final = 64
"""Calls of one node that may be under way at a time, each on a connection of its own."""
REDIRECTIONS: Final = 4
"""How often a call is sent on to the server that the previous one names."""

FAILURES: Final = (RedisError, RedisClusterException, OSError)
"""Errors of a Redis that is away, cannot be understood, or lacks a shard."""


class Reaching:
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


class Connection:
    """Commands to the servers of a store, and their clocks.

    Attributes:
        reaching: what each `execute`, and each use of `lines`, is to be made within.
        joins_shards: a script may touch two shards, as one server has them all.

    Raises:
        SettingError: there is no Redis at `url` that could keep the promises of a store.
    """

    def __init__(self, url: str, timing: Timing = DEFAULT) -> None:
        self.name = name_of(url)
        self._timing = timing
        self.reaching = Reaching(self.name, timing.redis_queue)
        self._ahead: dict[int, float] = {}  # by shard: microseconds of its clock when our monotonic one was at 0
        self._lines: WeakKeyDictionary[Redis, Lines] = WeakKeyDictionary()  # by server, as long as it is known
        self._only: Lines | None = None  # the connections, where one server holds all shards
        options: dict[str, Any] = {
            "protocol": 2,
            "decode_responses": True,
            "socket_timeout": timing.redis_timeout,
            "socket_connect_timeout": timing.redis_connect,
        }
        once = Retry(NoBackoff(), 0)  # the callers decide when to try again
        try:
            self._client: Redis | RedisCluster = Redis.from_url(url, retry=once, **options)
            if mode_of(self._client.info("server")) == "cluster":
                self._client.close()
                self._client = RedisCluster.from_url(url, retry=once, **options)
            else:
                self._only = self.lines(self._client)
            for server in self.servers():
                check(server.info(), self.name)
            self.look_at_clocks()
            if len(self._ahead) < SHARDS:
                raise StoreUnavailable("it has gone away")
            self.joins_shards = self._joins_shards()
        except SettingError:
            raise
        except (*FAILURES, StoreUnavailable, ValueError, TypeError) as error:
            raise SettingError("TIM_STORE", f"the Redis at {self.name} cannot be used: {error}") from None

    def command(self, shard: int, *words: str | float) -> Any:
        """The reply to a command whose key lies in `shard`. After a broken connection it is sent once more.

        Raises:
            StoreUnavailable.
        """
        with self.reaching:
            try:
                return self.execute(shard, words)
            except ConnectionError:
                return self.execute(shard, words)

    def execute(self, shard: int, *commands: Words) -> Any:
        """The reply of the server that holds `shard` to the last of these commands.

        Half of a shard that is being moved lies on each of two servers, where a script would not notice that anything
        is missing. So unlike the client of a cluster, this follows a redirection only once all of the shard is there.
        """
        for _ in range(REDIRECTIONS):
            try:
                lines = self._only or self.lines(self._server(shard))
                return _unless_refused(lines.exchange(commands)[-1])
            except MovedError as error:
                if isinstance(self._client, RedisCluster):
                    self._client.nodes_manager.move_slot(error)
            except AskError:
                raise StoreUnavailable("a shard of it is being moved to another server") from None
        raise StoreUnavailable("its servers do not agree which of them holds which shard")

    def now(self) -> float:
        """Unix seconds, by the clock of the server that holds the first shard; needs no call."""
        return time.monotonic() + self._ahead[0] / 1e6

    def deadline(self, shard: int) -> int:
        """The deadline of a call that begins now, in microseconds by the clock of its server."""
        return int((time.monotonic() + self._timing.redis_timeout) * 1e6 + self._ahead[shard])

    def set_clock(self, shard: int, now: int) -> None:
        """Set the time of the server that holds `shard`, in microseconds, as it has just reported it."""
        self._ahead[shard] = now - time.monotonic() * 1e6

    def look_at_clocks(self) -> None:
        """Read the clock of each server. A server that does not answer keeps the clock it had."""
        for server, shards in self.servers().items():
            with suppress(StoreUnavailable), self.reaching:
                [reply] = self.lines(server).exchange([("TIME",)])
                seconds, microseconds = _unless_refused(reply)
                for shard in shards:
                    self.set_clock(shard, int(seconds) * 1_000_000 + int(microseconds))

    def servers(self) -> dict[Redis, list[int]]:
        """Each server of the store with its shards, as far as is known.

        Raises:
            StoreUnavailable: a shard is on no server.
        """
        held: dict[Redis, list[int]] = {}
        try:
            for shard in range(SHARDS):
                held.setdefault(self._server(shard), []).append(shard)
        except FAILURES as error:
            self.look_again()
            raise StoreUnavailable(f"{self.name}: {error}") from error
        return held

    def look_again(self) -> None:
        """Read anew which server of a cluster holds which slots."""
        if isinstance(self._client, RedisCluster):
            with suppress(*FAILURES):
                self._client.nodes_manager.initialize()

    def lines(self, server: Redis) -> Lines:
        """The connections to a server."""
        lines = self._lines.get(server)
        return lines or self._lines.setdefault(server, Lines(server.connection_pool))

    def close(self) -> None:
        """Close all connections. Calls that are under way raise StoreUnavailable."""
        self.reaching.close()
        for lines in list(self._lines.values()):
            lines.close()
        self._client.close()

    def _joins_shards(self) -> bool:
        """Asks the server, as a cluster may look like a single one from here."""
        try:
            self.command(0, "EVAL", "return 1", 2, *PREFIXES[:2])
        except StoreUnavailable:
            return False
        return True

    def _server(self, shard: int) -> Redis:
        """The server that holds `shard`, as far as is known."""
        if isinstance(self._client, Redis):
            return self._client
        return self._client.get_redis_connection(self._client.nodes_manager.get_node_from_slot(SLOTS[shard]))


def _unless_refused(reply: Any) -> Any:
    """A reply; raises it where it is an error of the server."""
    if isinstance(reply, RedisError):
        raise reply
    return reply
