"""Three servers on one Redis, as they stand behind a balancer that sends each request wherever it likes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.support.redis_server import RedisServer
from tests.support.server import Server
from tests.support.wire import Answer, post_login

Fleet = tuple[Server, Server, Server]


@contextmanager
def running_fleet(home: Path, redis: RedisServer, tabs: int) -> Iterator[Fleet]:
    """Three gunicorns that allow an account so many tabs, each at a port of its own: a test can choose who serves what.

    They believe one proxy, so that a test can choose who it comes from.
    """
    a, b, c = (
        Server(home / name, gevent=True, STORE=redis.url, ONLINE_WEB_INSTANCES=str(tabs), TRUSTED_PROXIES="1")
        for name in ("a", "b", "c")
    )
    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(Server.start, (a, b, c)))
        yield a, b, c
        for server in (a, b, c):
            server.has_no_traceback()
    finally:
        for server in (a, b, c):
            server.stop()


def tries(server: Server, user: str, address: str, user_sig: str = "wrong") -> Answer:
    """A login that may be refused, from an address of its own choice."""
    return post_login(server, user, user_sig, headers={"X-Forwarded-For": address})
