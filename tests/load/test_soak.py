"""Any number of logins, kicks, expiries and messages leave a server, and its store, as they were.

`--rounds 700` makes 100,000 logins on either store.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.load.soak import ACCOUNTS, TURNS, WAYS, Soak
from tests.load.tab import Tab
from tests.load.target import Target
from tests.support.actors import DAY
from tests.support.gunicorn import Gunicorn, connections
from tests.support.redis_server import RedisServer
from tests.support.server import ADMIN_TOKEN, ROOT, SDK_KEY, Server
from tests.support.shims import shim
from tests.support.waiting import until
from tests.support.wire import ask, get
from tim.store import open_store
from tim.store.redis.slots import AT_ONCE
from tim.store.sqlite import audit
from tim.usersig import REMEMBERED

INSIDE: Final = ROOT / "tests" / "load" / "inside_app.py"
MORE_OBJECTS: Final = 3000
"""Objects of Python and of libraries that may be there in addition, however many logins there were: caches."""
MORE_MEMORY: Final = 6 * 1024
"""KiB that a process may take in addition, however many logins there were: the allocator keeps what was freed."""
SETTLE: Final = 60.0
"""Seconds in which connections have closed and threads have ended."""


@dataclass
class Soaked:
    """A server on one of the stores.

    Attributes:
        workers: how many processes it has.
        redis: its store, if that is one.
    """

    server: Server
    workers: int
    redis: RedisServer | None = None
    soak: Soak = field(init=False)

    def __post_init__(self) -> None:
        self.soak = Soak(Target.at(self.server.address), SDK_KEY, self._kick)

    def runs(self, rounds: int) -> int:
        """Put the logins of so many rounds on it. Returns how many accounts they have."""
        Tab.browser = ""  # the cookie of another server
        with ThreadPoolExecutor(1) as pool:  # a browser of another test keeps an event loop in this thread
            return pool.submit(asyncio.run, self.soak.run(rounds)).result()

    def holds(self) -> dict[int, Counter[str]]:
        """What each process holds, by its number, without the connections to Redis, of which it keeps up to AT_ONCE."""
        found: dict[int, Counter[str]] = {}

        def ask_all() -> bool:
            # At once, as a worker that is looking takes no other request.
            with ThreadPoolExecutor(self.workers) as pool:
                for answer in pool.map(lambda _: get(self.server, "/inside"), range(self.workers)):
                    inside: dict[str, Any] = json.loads(answer.body)
                    found[inside.pop("pid")] = Counter(inside.pop("ours")) + Counter(inside)
            return len(found) == self.workers

        until(ask_all, "a worker does not answer", SETTLE)
        for pid, one in found.items():
            one["descriptors"] -= self._redis_connections(pid)
        return found

    @staticmethod
    def has_no_notice(redis: RedisServer) -> bool:
        """Whether the nodes have noted in the store all ends that were delivered at them."""
        return not any(":notices:" in key for key in redis.keys("*"))

    def _redis_connections(self, pid: int) -> int:
        return 0 if self.redis is None else sum(peer == self.redis.port for _, peer in connections(pid))

    def _kick(self, user: str) -> None:
        body = json.dumps({"userID": user, "type": "REST_API_Kick"}).encode()
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        assert ask(self.server, "POST", "/console/api/kick", body=body, headers=headers).status == 200


@pytest.fixture(params=["sqlite", "redis"])
def soaked(request: pytest.FixtureRequest, make_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Soaked]:
    if request.param == "redis":
        redis = make_redis(appendonly="yes")  # to be there after a restart; a lost second does not matter
        made = Soaked(Gunicorn(tmp_path / "server", redis.port, app=INSIDE, workers=2), 2, redis)
    else:
        made = Soaked(Server(tmp_path / "server", app=INSIDE, gevent=True), 1)
    made.server.start()
    yield made
    made.server.stop()


def grown(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    """By how much what a process holds is more than before and than it may be."""
    # A worker has an allowance of each account whose page of the SDK has been there, and remembers UserSigs of 1 KiB.
    allowed = {
        "objects": MORE_OBJECTS + REMEMBERED,
        "kib": MORE_MEMORY + REMEMBERED,
        "Socket": AT_ONCE,
        "Allowance": ACCOUNTS,
        "Ticket": REMEMBERED,
    }
    more = {name: number - before[name] for name, number in after.items()}
    return {name: number for name, number in more.items() if number > allowed.get(name, 0)}


def test_logins_that_end_in_every_way_leave_a_server_and_its_store_as_they_were(
    soaked: Soaked, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    soaked.runs(1)  # which fills caches and pools
    until(lambda: not any(one["Stream"] for one in soaked.holds().values()), "a stream stays open", SETTLE)
    before = soaked.holds()
    accounts = soaked.runs(rounds)

    def left() -> list[dict[str, int]]:
        return [more for pid, one in soaked.holds().items() if (more := grown(before[pid], one))]

    until(lambda: not left(), lambda: f"after {rounds * TURNS * len(WAYS)} logins there are more: {left()}", SETTLE)
    if soaked.redis is not None:
        # A renewal names ends that were delivered at its node. Below, no node is dead: all of the time nobody sweeps.
        until(partial(soaked.has_no_notice, soaked.redis), "an end is never named", SETTLE)
    soaked.server.has_no_traceback()
    soaked.server.terminate()
    # The accounts stay, and that of the administrator.
    if soaked.redis is not None:
        assert kept_in_redis(soaked.redis, monkeypatch) == {"account": accounts + 1}
    else:
        assert kept_in_sqlite(soaked.server.home / "tim.db", rounds * TURNS * len(WAYS)) == {"accounts": accounts + 1}


def months_later() -> Iterator[float]:
    """Seconds from now at which a store is swept: what expires first is remembered once more when it has expired."""
    yield from (days * DAY for days in (8, 16, 32, 64, 96))


def later(seconds: float) -> float:
    return time.time() + seconds


def kept_in_sqlite(file: Path, logins: int) -> dict[str, int]:
    """How many rows each table has after months, without those of the service as a whole.

    A sweep deletes so many entries of the audit; of those, a login and its end are two or three.
    """
    sweeps = 10 + 3 * logins // audit.DELETED
    for ahead in months_later():
        with closing(open_store(f"sqlite:///{file}", grace=60, clock=partial(later, ahead))) as store:
            for _ in range(sweeps):
                store.sweep()
    with closing(sqlite3.connect(file)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
    return {name: number for name, number in rows.items() if number and name not in ("counters", "sqlite_sequence")}


def kept_in_redis(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many keys of each kind there are after months, without those of the service as a whole, and empty ones."""
    monkeypatch.setenv("LD_PRELOAD", os.fspath(shim("ahead")))
    for ahead in months_later():
        monkeypatch.setenv("TIM_TEST_AHEAD", str(int(ahead)))
        redis.restarts()
        with closing(open_store(redis.url, grace=60, clock=time.time)) as store:
            store.join("a-node")
            for _ in range(10):
                store.renew("a-node")
                store.sweep()
    monkeypatch.delenv("LD_PRELOAD")
    with redis.client() as client:
        found = {key for key in redis.keys("*") if client.type(key) != "stream" or client.xlen(key)}
    kinds = Counter(key.split(":")[2] for key in found)
    return {kind: number for kind, number in kinds.items() if kind not in ("nodes", "swept", "counts")}
