"""Counts the calls to a Redis and the commands that its scripts run, by its MONITOR."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self

import redis

from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tim.store.redis.scripts import SCRIPTS

BY_THE_CLOCK: Final = frozenset({"renew", "sweep", "attached", "count", "take_job", "TIME", "HGETALL"})
"""Calls that a node makes periodically, whatever else it does."""
SMALL_TALK: Final = frozenset({"HELLO", "AUTH", "CLIENT", "SELECT", "PING", "INFO", "COMMAND", "SSUBSCRIBE"})
VERBS: Final = {script.sha: verb for verb, script in SCRIPTS.items()}


@dataclass(slots=True)
class Asked:
    """One call of a client: a script, under the name of its verb, or a command; and the commands in the script."""

    name: str
    within: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cost:
    """What an act costs.

    Attributes:
        calls: of clients, by name.
        within: commands that the scripts among them ran.
        hints: how many of these published a hint.
    """

    calls: Counter[str]
    within: int
    hints: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.calls + other.calls, self.within + other.within, self.hints + other.hints)

    def __str__(self) -> str:
        named = ", ".join(f"{name} ×{times}" if times > 1 else name for name, times in sorted(self.calls.items()))
        return f"{self.calls.total()}: {named}" if named else "0"


class Watch:
    """Sees every command that `server` carries out, until it is closed. Loads all scripts first."""

    def __init__(self, server: RedisServer) -> None:
        self._client = server.client()
        for script in SCRIPTS.values():
            self._client.script_load(script.text)
        self._lock = threading.Lock()  # owns the one below
        self._asked: list[Asked] = []
        self._monitor = self._client.monitor()  # type: ignore[no-untyped-call]
        self._monitor.__enter__()
        threading.Thread(target=self._see, daemon=True).start()

    def asked(self, last: str = "", times: int = 1) -> list[Asked]:
        """The calls since the last look; with `last`, waits until that was called so often."""
        mark = secrets.token_hex(8)
        until(lambda: not last or self._saw(last) >= times, f"no call of {last}")
        self._client.echo(mark)  # all that was carried out before it is seen before it
        until(lambda: self._saw(mark), "the monitor does not answer")
        with self._lock:
            names = [one.name for one in self._asked]
            seen = self._asked[: names.index(mark)]
            del self._asked[: names.index(mark) + 1]
        return seen

    def cost(self, last: str = "") -> Cost:
        """The cost of what was done since the last look, without periodic calls."""
        return cost([one for one in self.asked(last) if one.name not in BY_THE_CLOCK])

    def close(self) -> None:
        with suppress(redis.RedisError):
            self._monitor.__exit__(None, None, None)
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _saw(self, name: str) -> int:
        with self._lock:
            return sum(one.name == name for one in self._asked)

    def _see(self) -> None:
        with suppress(redis.RedisError, OSError, ValueError, AttributeError):  # when it is closed
            for seen in self._monitor.listen():
                self._note(seen["client_type"] == "lua", seen["command"].split(" ", 2))

    def _note(self, within: bool, words: list[str]) -> None:
        name = words[0].upper()
        with self._lock:
            if within:
                self._asked[-1].within.append(name)
            elif name == "EVALSHA":
                self._asked.append(Asked(VERBS[words[1]]))
            elif name == "ECHO":
                self._asked.append(Asked(words[1]))
            elif name not in SMALL_TALK:
                self._asked.append(Asked(name))


def cost(asked: list[Asked]) -> Cost:
    """The cost of all of these together."""
    within = Counter(name for one in asked for name in one.within)
    return Cost(Counter(one.name for one in asked), within.total(), within["SPUBLISH"])
