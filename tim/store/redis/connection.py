"""How Redis is reached: one server or a cluster, within bounds of time."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

from redis import Redis, RedisCluster, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import AskError, ConnectionError, MovedError
from redis.retry import Retry

from tim.errors import SettingError, StoreUnavailable
from tim.rules import SHARDS
from tim.store.redis.requirements import check, mode_of, name_of
from tim.store.redis.shards import PREFIXES, SLOTS
from tim.store.redis.slots import FAILURES, Slots
from tim.store.redis.sockets import Sockets, Words
from tim.timing import DEFAULT, Timing

REDIRECTIONS: Final = 4
"""How often a call is sent on to the server that the previous one names."""


class Connection:
    """Commands to the servers of a store, and their clocks.

    Attributes:
        reaching: what each `execute`, and each use of `sockets`, is to be made within.
        joins_shards: a script may touch two shards, as one server has them all.

    Raises:
        SettingError: there is no Redis at `url` that could keep the promises of a store.
    """

    def __init__(self, url: str, timing: Timing = DEFAULT) -> None:
        self.name = name_of(url)
        self._timing = timing
        self.reaching = Slots(self.name, timing.redis_queue)
        self._ahead: dict[int, float] = {}  # by shard: microseconds of its clock when our monotonic one was at 0
        self._sockets: WeakKeyDictionary[Redis, Sockets] = WeakKeyDictionary()  # by server, as long as it is known
        self._only: Sockets | None = None  # the connections, where one server holds all shards
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
                self._only = self.sockets(self._client)
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
                sockets = self._only or self.sockets(self._server(shard))
                return _unless_refused(sockets.exchange(commands)[-1])
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
                [reply] = self.sockets(server).exchange([("TIME",)])
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

    def sockets(self, server: Redis) -> Sockets:
        """The connections to a server."""
        sockets = self._sockets.get(server)
        return sockets or self._sockets.setdefault(server, Sockets(server.connection_pool))

    def close(self) -> None:
        """Close all connections. Calls that are under way raise StoreUnavailable."""
        self.reaching.close()
        for sockets in list(self._sockets.values()):
            sockets.close()
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
