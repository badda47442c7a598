"""The stores under test, whatever they run on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.actors import GRACE, Clock
from tests.support.redis_server import TEN_YEARS, RedisCluster, RedisServer
from tim.audit import Retention
from tim.store import open_store
from tim.store.base import Store
from tim.timing import Timing

PATIENT: Final = Timing(renewal_period=1e6, lease=TEN_YEARS, stream_retry=0.05)
"""A node never renews by itself, and none is dead because a test lets days pass in which it does not renew."""
MORTAL: Final = Timing(renewal_period=119, lease=120, stream_retry=0.05)
"""A node is dead 120 seconds of the clock after its last renewal, and renews no sooner than after 59 real ones."""
FOR_YEARS: Final = Retention(age=TEN_YEARS)
"""The audit of a test that lets years pass is kept."""
NODES: Final = ("node-1", "node-2")
"""The nodes in the tests of a store."""


def with_nodes(store: Store) -> Store:
    """The store, after its nodes have joined: each does before it attaches."""
    for node in NODES:
        store.join(node)
    return store


@dataclass(frozen=True, slots=True)
class Engine:
    """A store under test. Every test of a store runs on each entry of ENGINES.

    `address` prepares an empty store on the clock and says where it is.
    """

    name: str
    address: Callable[[Path, Clock], str]

    def open(self, path: Path, clock: Clock) -> Store:
        """An empty store on the clock, which its nodes can attach to. `path` is a folder it may keep files in."""
        opened = open_store(self.address(path, clock), grace=GRACE, clock=clock, timing=PATIENT, retention=FOR_YEARS)
        return with_nodes(opened)

    def __str__(self) -> str:
        return self.name


# A start takes longer than most tests, so one of each serves all the tests of a process, one after the other.


@functools.cache
def _server() -> RedisServer:
    return RedisServer(clock=Clock()).start()


@functools.cache
def _cluster() -> RedisCluster:
    return RedisCluster(clock=Clock()).start()


def on_redis(kind: str, clock: Clock) -> RedisServer | RedisCluster:
    """The one that serves all the tests, "redis" or "redis-cluster", empty, on the clock."""
    running = _server() if kind == "redis" else _cluster()
    running.follows(clock)
    running.forgets_everything()
    return running


ENGINES: Final = (
    Engine("sqlite-memory", lambda _, __: "sqlite://"),
    Engine("sqlite-file", lambda path, _: f"sqlite:///{path}/tim.db"),
    Engine("redis", lambda _, clock: on_redis("redis", clock).url),
    Engine("redis-cluster", lambda _, clock: on_redis("redis-cluster", clock).url),
)
ONE_OF_EACH_KIND: Final = (ENGINES[0], ENGINES[-1])
"""One that decides by SQL, and one that decides by scripts: enough for what takes long."""
