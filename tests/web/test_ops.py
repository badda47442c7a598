"""For whoever runs the server: alive, ready, and what it does."""

from __future__ import annotations

import re

from tests.web.conftest import MakeServer
from tests.web.server import until
from tests.web.wire import get, log_in


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


def test_what_it_tells_names_nobody(make_server: MakeServer) -> None:
    server = make_server()
    tab = log_in(server, "unnamed-here")
    tab.goes_online()
    for path in ("/healthz", "/readyz", "/metrics"):
        body = get(server, path).body
        assert "unnamed-here" not in body
        assert tab.instance not in body
