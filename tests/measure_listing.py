"""How long the page of instances takes. `python -m tests.measure_listing` prints it for 100,000 live instances.

On Redis and on SQLite, over HTTP, with the session of an operator; the slowest of some requests counts.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from tests.support.actors import APP, DAY
from tests.support.console import Operator, sign_in
from tests.support.redis_server import RedisServer
from tests.support.server import Server
from tim.ends import Client
from tim.model import Instance
from tim.rules import instance_id
from tim.store.redis.engine import RedisStore
from tim.store.sqlite import instances
from tim.store.sqlite.engine import SQLiteStore
from tim.timing import Timing

MANY: Final = 100_000
NODE: Final = "a-node"
TIMES: Final = 10
"""Requests of each kind."""
GRACE: Final = 3600
BROWSERS: Final = ("Chrome 156 on Windows", "Safari 19 on iOS", "Firefox 145 on Linux", "Edge 156 on Windows")
RARE: Final = Client("Opera 130 on Linux", "192.0.2.7")
SEARCHES: Final[dict[str, dict[str, str]]] = {
    "all": {},
    "a page in the middle": {"after": "user-050000 0"},
    "a UserID": {"userID": "user-012345"},
    "accounts of a prefix": {"userID": "user-0"},
    "an address of 5": {"address": RARE.address},
    "a browser of 5": {"browser": "opera"},
    "a browser of 25,000": {"browser": "Firefox"},
    "detached": {"state": "detached"},
    "online": {"state": "online"},
    "a node": {"node": NODE},
    "a browser and a state": {"browser": "Firefox", "state": "detached"},
    "nothing": {"userID": "user-0", "browser": "Firefox", "address": "192.0.2.8"},
}


def newcomers() -> Iterator[Instance]:
    """MANY instances of as many accounts, all online at one node but each 500th."""
    now = time.time()
    for number in range(MANY):
        user, client = f"user-{number:06d}", Client(BROWSERS[number % 4], f"203.0.{number % 97}.{number % 251}")
        if number % 20_000 == 7:
            client = RARE
        id = instance_id(APP, user, secrets.token_hex(16))
        instance = Instance(id, APP, user, client, now, now + 7 * DAY, detached_at=now)
        yield instance if number % 500 == 0 else replace(instance, node=NODE, detached_at=None)


@contextmanager
def on_redis(home: Path) -> Iterator[Server]:
    redis = RedisServer().start()
    try:
        with closing(RedisStore(redis.url, grace=GRACE, timing=Timing(lease=1e6))) as store:
            store.join(NODE)
            for each in newcomers():
                store.admit(replace(each, node="", detached_at=None), 1)
                if each.node:
                    store.attach(each.id, NODE, 1)
            yield Server(home, gevent=True, STORE=redis.url, DETACH_GRACE=str(GRACE))
    finally:
        redis.kill()


@contextmanager
def on_sqlite(home: Path) -> Iterator[Server]:
    """A server detaches what an earlier one had online: here all are detached."""
    home.mkdir(parents=True)
    with closing(SQLiteStore(f"{home}/tim.db", grace=GRACE, clock=time.time)) as store:
        db = vars(store)["_db"]
        db.execute("BEGIN")
        for each in newcomers():
            instances.insert(db, each)
        db.execute("COMMIT")
    yield Server(home, gevent=True, DETACH_GRACE=str(GRACE))


def slowest(operator: Operator, path: str) -> float:
    """Milliseconds of the slowest of TIMES requests."""
    took: list[float] = []
    for _ in range(TIMES):
        began = time.perf_counter()
        assert operator.gets(path).status == 200
        took.append((time.perf_counter() - began) * 1000)
    return max(took)


def main() -> None:
    say = sys.stdout.write
    found: dict[str, list[float]] = {what: [] for what in SEARCHES}
    for engine in [on_sqlite, on_redis]:
        with tempfile.TemporaryDirectory() as home, engine(Path(home) / "server") as server:
            server.start()
            operator = sign_in(server)
            operator.gets("/instances")
            for what, fields in SEARCHES.items():
                found[what].append(slowest(operator, f"/instances?{urlencode(fields)}"))
            server.stop()
    say("| search | SQLite | Redis |\n| --- | --- | --- |\n")
    for what, took in found.items():
        say(f"| {what} | " + " | ".join(f"{ms:.0f} ms" for ms in took) + " |\n")


if __name__ == "__main__":
    main()
