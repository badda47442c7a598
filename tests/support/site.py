"""The whole: a Redis, a line to it that can fail, and two gunicorns, of which only one depends on that line."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.actors import APP, GRACE
from tests.support.gunicorn import Gunicorn
from tests.support.redis_line import RedisLine
from tests.support.redis_server import RedisServer
from tim.model import Instance, Message
from tim.store import open_store
from tim.store.base import Store

HEALED: Final = 10.0
"""Seconds within which everything is as before once a fault has ended, and a lost hint is made up for."""
STOPPED: Final = 5.0
"""Seconds within which a server that is to stop, or has lost its master, has ended."""


class Site:
    """A Redis that keeps what it has acknowledged. `far` reaches it over `line`, with two workers; `near` directly."""

    def __init__(self, home: Path) -> None:
        self.redis = RedisServer(append_only=True).start()
        self.line = RedisLine(self.redis)
        self.far = Gunicorn(home / "far", self.line.port)
        self.near = Gunicorn(home / "near", self.redis.port, workers=1)
        self.far.start()
        self.near.start()

    def closes(self) -> None:
        for server in (self.far, self.near):
            server.stop()
        self.line.close()
        self.redis.kill()


@dataclass(frozen=True)
class Outage:
    """A way in which a Redis can be away, for all or for `far` alone, and its end."""

    name: str
    begins: Callable[[Site], object]
    ends: Callable[[Site], object]

    def __str__(self) -> str:
        return self.name


ENDED: Final = Outage("stopped", lambda site: site.redis.stops(), lambda site: site.redis.start())
KILLED: Final = Outage("killed", lambda site: site.redis.kill(), lambda site: site.redis.start())
PAUSED: Final = Outage("paused", lambda site: site.redis.pauses(), lambda site: site.redis.goes_on())
SWALLOWED: Final = Outage("black hole", lambda site: site.line.swallows(), lambda site: site.line.passes())
CUT: Final = Outage("cut off", lambda site: site.line.cuts(), lambda site: site.line.passes())


def messages(redis: RedisServer, user_id: str) -> list[Message]:
    """The log of an account as it stands in the store, oldest first."""
    with closing(_store(redis)) as store:
        return store.history(APP, user_id, 0, 1_000_000)


def texts(redis: RedisServer, user_id: str) -> list[str]:
    """What the log of an account says, oldest first."""
    return [message.text for message in messages(redis, user_id)]


def instances(redis: RedisServer, user_id: str) -> list[Instance]:
    """The live instances of an account as they stand in the store, oldest first."""
    with closing(_store(redis)) as store:
        return store.instances(APP, user_id)


def _store(redis: RedisServer) -> Store:
    return open_store(redis.url, grace=GRACE, clock=time.time)
