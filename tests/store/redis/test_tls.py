"""A Redis behind TLS serves calls of many threads at once, and sends hints, also long ones."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.actors import APP, DAY, newcomer
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tim.errors import SettingError
from tim.store.hints import Ended, Hint, Written
from tim.store.redis.engine import RedisStore
from tim.timing import Timing

Open = Callable[..., RedisStore]
LONG = "long " * 2400
"""Almost as long as a message may be."""


@pytest.fixture
def address(make_redis: Callable[..., RedisServer], certificate: Path) -> str:
    port, file = str(free_port()), str(certificate)
    make_redis(tls_port=port, tls_cert_file=file, tls_key_file=file, tls_auth_clients="no")
    return f"rediss://localhost:{port}/0"


def test_calls_and_hints_get_through(address: str, certificate: Path, open_redis: Open) -> None:
    url = f"{address}?ssl_ca_certs={certificate}"
    never_pings = Timing(hints_ping=3600)  # the reply would uncover what was left unread
    here, there = open_redis(url, "node-1", timing=never_pings), open_redis(url, "node-2")
    heard: list[Hint] = []
    listens: list[bool] = []
    here.listen("node-1", heard.append, lambda: listens.append(True))
    until(lambda: listens, "it should listen")

    def evicted(user: str) -> str:
        first = here.enter(newcomer(user, expires=here.now() + DAY), 1, node="node-1")[0].instance
        [gone] = there.enter(newcomer(user, expires=here.now() + DAY), 1, node="node-2")[1]
        assert gone.id == first.id
        return first.id

    with ThreadPoolExecutor(16) as pool:
        gone = set(pool.map(evicted, (f"user-{n}" for n in range(100))))
    until(lambda: {hint.instance for hint in heard if isinstance(hint, Ended)} == gone, "each end should arrive")

    bob = here.enter(newcomer("bob", expires=here.now() + DAY), 1, node="node-1")[0].instance
    alice = there.enter(newcomer("alice", expires=here.now() + DAY), 1, node="node-2")[0].instance
    sent = [there.append(APP, alice.id, "bob", LONG, f"m-{n}")[1] for n in range(50)]
    until(lambda: [hint.message for hint in heard if isinstance(hint, Written)] == sent, "each message should arrive")
    assert here.history(APP, "bob", 0, 100) == sent
    assert here.get(bob.id).online


def test_a_certificate_that_nobody_has_vouched_for_stops_the_start(address: str, open_redis: Open) -> None:
    with pytest.raises(SettingError, match="certificate"):
        open_redis(address)
