"""How Redis is reached: one server or a cluster, and its scripts."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from redis import Redis, RedisCluster, RedisError
from redis.backoff import NoBackoff
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, ConnectionError, MovedError, NoScriptError, RedisClusterException
from redis.retry import Retry

from tim.errors import SettingError, StoreUnavailable
from tim.rules import SHARDS
from tim.store.redis.requirements import check, mode_of, name_of

TIMEOUT: Final = 2.0
"""Seconds after which a call is given up. One that reaches Redis later than that is not carried out."""
CONNECTING: Final = 1.0
"""Seconds that a new connection may take."""
AT_ONCE: Final = 64
"""Calls of one process that may be under way at a time, each on a connection of its own."""
QUEUEING: Final = 5.0
"""Seconds that a call waits for its turn."""
REDIRECTIONS: Final = 4
"""How often a call goes to the server that the one before it names."""
NEVER: Final = 2**53 - 1
"""The largest number that a script can count with."""

FAILURES: Final = (RedisError, RedisClusterException, OSError)
"""What goes wrong with a Redis that is away, cannot be understood, or lacks a part."""

Reply = list[Any]


class Connection:
    """Scripts of `lua/`, run on the part of the store that they are about.

    A script is told until when its caller waits, by the clock of Redis; so what was given up does not happen
    afterwards, when a paused server or a slow network goes on.

    Raises:
        SettingError: there is no Redis at `url` that could keep the promises of a store.
    """

    def __init__(self, url: str) -> None:
        self.name = name_of(url)
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._ahead: dict[int, float] = {}  # by part: microseconds of its clock when our monotonic one was at 0
        options: dict[str, Any] = {
            "protocol": 2,
            "decode_responses": True,
            "socket_timeout": TIMEOUT,
            "socket_connect_timeout": CONNECTING,
        }
        once = Retry(NoBackoff(), 0)  # `call` knows when to try again
        try:
            self._client: Redis | RedisCluster = Redis.from_url(url, retry=once, **options)
            if mode_of(self._client.info("server")) == "cluster":
                self._client.close()
                self._client = RedisCluster.from_url(url, retry=once, **options)
            for server in self.servers():
                check(server.info(), self.name)
            self.look_at_clocks()
            if len(self._ahead) < SHARDS:
                raise StoreUnavailable("it has gone away")
        except SettingError:
            raise
        except (*FAILURES, StoreUnavailable, ValueError, TypeError) as error:
            raise SettingError("TIM_STORE", f"the Redis at {self.name} cannot be used: {error}") from None

    def call(self, part: int, verb: str, *words: object) -> Reply:
        """What the script `verb` answers on `part`. After a broken connection it is asked once more.

        Raises:
            StoreUnavailable.
        """
        with self._reaching():
            try:
                return self._ask(part, verb, words)
            except ConnectionError:
                return self._ask(part, verb, words)

    def everywhere(self, verb: str, *words: object) -> list[Reply | None]:
        """What the script answers on each part, in their order; None for a part that does not answer now.

        Raises:
            StoreUnavailable: none does.
        """
        answers: list[Reply | None] = [None] * SHARDS
        failure = StoreUnavailable("no part of it answers")
        for server, parts in self.servers().items():
            try:
                with self._reaching():
                    replies = self._ask_all(server, parts, verb, words)
            except StoreUnavailable as error:
                failure = error
                continue
            for part, reply in zip(parts, replies, strict=True):
                with suppress(StoreUnavailable):
                    good = isinstance(reply, list) and reply[0] != "late"
                    answers[part] = reply if good else self.call(part, verb, *words)
        if not any(answers):
            raise failure
        return answers

    def command(self, part: int, *words: str | float) -> Any:
        """What one command answers whose key lies in `part`.

        Raises:
            StoreUnavailable.
        """
        with self._reaching():
            try:
                return self._execute(part, *words)
            except ConnectionError:
                return self._execute(part, *words)

    def now(self) -> float:
        """Unix seconds, by the clock of the server that holds the first part; no call is needed for it."""
        return time.monotonic() + self._ahead[0] / 1e6

    def look_at_clocks(self) -> None:
        """Ask each server what time it is. One that does not answer keeps the time it had."""
        for server, parts in self.servers().items():
            with suppress(StoreUnavailable), self._reaching():
                seconds, microseconds = server.time()
                for part in parts:
                    self._clock_says(part, seconds * 1_000_000 + microseconds)

    def servers(self) -> dict[Redis, list[int]]:
        """Each server that holds a part of the store, and which ones it holds as far as is known.

        Raises:
            StoreUnavailable: nobody holds one of them.
        """
        held: dict[Redis, list[int]] = {}
        try:
            for part in range(SHARDS):
                held.setdefault(self._server(part), []).append(part)
        except FAILURES as error:
            self.look_again()
            raise StoreUnavailable(f"{self.name}: {error}") from error
        return held

    def look_again(self) -> None:
        """Ask a cluster anew which server holds what."""
        if isinstance(self._client, RedisCluster):
            with suppress(*FAILURES):
                self._client.nodes_manager.initialize()

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close()

    def _ask(self, part: int, verb: str, words: tuple[object, ...]) -> Reply:
        script = SCRIPTS[verb]
        for _ in range(3):
            asked = (1, PREFIXES[part], self._deadline(part), *words)
            try:
                reply: Reply = self._execute(part, "EVALSHA", script.sha, *asked)
            except NoScriptError:
                reply = self._execute(part, "EVAL", script.text, *asked)
            if reply[0] != "late":
                return reply
            # We are still here to read this, so it is not late: the clock of the server was set.
            self._clock_says(part, int(reply[1]))
        raise StoreUnavailable("its clock does not keep still")

    def _execute(self, part: int, *words: Any) -> Any:
        """What one command answers on the server that holds `part`.

        A part that is being moved lies half here and half there, and a script would not see that anything is missing.
        So this does not go on to the other server until all of it is there, as the client of a cluster would.
        """
        for _ in range(REDIRECTIONS):
            try:
                return self._server(part).execute_command(*words)  # type: ignore[no-untyped-call]
            except MovedError as error:
                if isinstance(self._client, RedisCluster):
                    self._client.nodes_manager.move_slot(error)
            except AskError:
                raise StoreUnavailable("a part of it is being moved to another server") from None
        raise StoreUnavailable("its servers do not agree which of them holds what")

    def _server(self, part: int) -> Redis:
        """The one that holds `part`, as far as is known."""
        if isinstance(self._client, Redis):
            return self._client
        node = self._client.get_node_from_key(PREFIXES[part])  # type: ignore[no-untyped-call]
        return self._client.get_redis_connection(node)

    def _ask_all(self, server: Redis, parts: list[int], verb: str, words: tuple[object, ...]) -> list[Any]:
        """The replies of one server, or the errors that came instead."""
        for attempt in (1, 2):
            with server.pipeline(transaction=False) as pipe:
                for part in parts:
                    asked = (1, PREFIXES[part], self._deadline(part), *words)
                    pipe.execute_command("EVALSHA", SCRIPTS[verb].sha, *asked)  # type: ignore[no-untyped-call]
                try:
                    return pipe.execute(raise_on_error=False)
                except ConnectionError:
                    if attempt == 2:
                        self.look_again()
                        raise
        return []

    def _clock_says(self, part: int, now: int) -> None:
        self._ahead[part] = now - time.monotonic() * 1e6

    def _deadline(self, part: int) -> int:
        """Until when a call that begins now is waited for, in microseconds by the clock of its server."""
        return int((time.monotonic() + TIMEOUT) * 1e6 + self._ahead[part])

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """One call; whatever goes wrong with it is that the store is not available."""
        if not self._room.acquire(timeout=QUEUEING):
            raise StoreUnavailable(f"{AT_ONCE} calls to {self.name} are waiting already")
        try:
            yield
        except FAILURES as error:
            raise StoreUnavailable(f"{self.name}: {error}") from error
        finally:
            self._room.release()


def _prefixes() -> list[str]:
    """What the keys of each part begin with.

    The hash tags are such that the parts are spread evenly over the slots: servers that hold equal shares of the
    slots hold equal numbers of parts.
    """
    tags: dict[int, int] = {}
    number = 0
    while len(tags) < SHARDS:
        tags.setdefault(key_slot(str(number).encode()) * SHARDS // REDIS_CLUSTER_HASH_SLOTS, number)
        number += 1
    return [f"tim:{{{tags[part]}}}" for part in range(SHARDS)]


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the name by which Redis knows it once it has seen it."""

    text: str
    sha: str


def _scripts() -> dict[str, Script]:
    folder = resources.files("tim.store.redis").joinpath("lua")
    common = folder.joinpath("common.lua").read_text() + folder.joinpath("log.lua").read_text()
    found: dict[str, Script] = {}
    for file in folder.iterdir():
        name, _, suffix = file.name.partition(".")
        if suffix == "lua" and name not in ("common", "log"):
            flags, _, verb = file.read_text().partition("\n")
            text = f"{flags}\n{common}{verb}"
            found[name] = Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
    return found


PREFIXES: Final = _prefixes()
SCRIPTS: Final = _scripts()
