"""For whoever runs the server: alive, ready, and what it does."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.support.redis_server import RedisServer
from tests.support.server import Server
from tests.support.waiting import until
from tests.support.wire import get, log_in
from tests.web.conftest import MakeServer


def test_it_says_that_it_is_alive_and_ready(make_server: MakeServer) -> None:
    server = make_server()
    for path in ("/healthz", "/readyz"):
        answer = get(server, path)
        assert (answer.status, answer.body) == (200, "ok\n")
        assert answer.header("Content-Type").startswith("text/plain")


def test_it_counts_its_streams(make_server: MakeServer) -> None:
    server = make_server(ONLINE_WEB_INSTANCES="3")

    def count() -> float:
        answer = get(server, "/metrics")
        assert answer.status == 200
        assert answer.header("Content-Type").startswith("text/plain; version=")
        found = re.search(r"^tim_streams (\S+)$", answer.body, re.MULTILINE)
        assert found, answer.body
        return float(found[1])

    assert count() == 0
    streams = [log_in(server, "counted").goes_online() for _ in range(3)]
    assert count() == 3
    for stream in streams:
        stream.leaves()
    until(lambda: count() == 0, "streams that were closed are counted")


def test_each_process_counts_for_all_of_them(make_redis: Callable[..., RedisServer], make_server: MakeServer) -> None:
    redis = make_redis()
    one, other = (make_server(STORE=redis.url, ONLINE_WEB_INSTANCES="3") for _ in range(2))

    def counts(server: Server) -> tuple[str, list[float]]:
        body = get(server, "/metrics").body
        here = re.search(r"^tim_streams (\S+)$", body, re.MULTILINE)
        assert here, body
        nodes = dict(re.findall(r'^tim_online_instances\{node="(\w+)"\} (\S+)$', body, re.MULTILINE))
        return here[1], sorted(map(float, nodes.values()))

    assert counts(one) == counts(other) == ("0.0", [])
    ends = [log_in(server, "counted").goes_online() for server in (one, one, other)]
    until(lambda: (counts(one), counts(other)) == (("2.0", [1, 2]), ("1.0", [1, 2])), "a tab is not counted")
    ends[0].leaves()
    until(lambda: (counts(one), counts(other)) == (("1.0", [1, 1]), ("1.0", [1, 1])), "one that is closed is counted")
    redis.kill()
    until(lambda: counts(one) == ("1.0", []), "what nobody knows is said")


def test_what_it_tells_names_nobody(make_server: MakeServer) -> None:
    server = make_server()
    tab = log_in(server, "unnamed-here")
    tab.goes_online()
    for path in ("/healthz", "/readyz", "/metrics"):
        body = get(server, path).body
        assert "unnamed-here" not in body
        assert tab.instance not in body
