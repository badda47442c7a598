"""Faults that take their time. What takes half a minute in earnest is made a few seconds here, in a copy."""

from __future__ import annotations

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest

from tests.faults.conftest import MakeGunicorn, Opens
from tests.support.gunicorn import Gunicorn, connections
from tests.support.redis_server import RedisServer
from tests.support.site import instances
from tests.support.stuck import reading
from tests.support.waiting import until
from tests.support.wire import log_in
from tim.timing import Timing

LEASE = 5.0
"""A busy machine makes a worker pause for longer than two seconds, and then it is held to be dead rightly."""
GRACE = 2.0
PING_PERIOD = 5.0
BODY = 1.0
SLACK = 5.0
"""Seconds more, as the machine may be busy with other tests."""


@pytest.fixture
def server(request: pytest.FixtureRequest, redis: RedisServer, make_gunicorn: MakeGunicorn) -> Gunicorn:
    """Workers, so many and with the waits of the test's `param`."""
    workers, timing = request.param
    more = {"timing": timing, "DETACH_GRACE": str(GRACE), "ONLINE_WEB_INSTANCES": "2"}
    return make_gunicorn(redis.port, workers=workers, **more)


@pytest.mark.parametrize("server", [(2, Timing(lease=LEASE, renewal_period=1))], indirect=True, ids=["two workers"])
def test_a_tab_that_does_not_come_back_from_a_killed_worker_is_out_after_lease_and_grace(
    server: Gunicorn, opens: Opens
) -> None:
    witness, lost = opens(server, "alice"), log_in(server, "alice")
    stream = lost.goes_online()
    while server.worker_of(stream) == server.worker_of(witness.stream):
        stream.leaves()
        stream = lost.goes_online()
    witness.lists("online", "online")
    server.kills_worker(server.worker_of(stream))
    killed = time.monotonic()
    witness.lists("online", "detached")
    witness.lists("online")
    assert GRACE < time.monotonic() - killed < LEASE + GRACE + SLACK
    witness.was_never_cut()


@pytest.mark.parametrize("server", [(1, Timing(ping_period=PING_PERIOD))], indirect=True, ids=["the worker of both"])
def test_an_eviction_that_finds_its_socket_blocked_frees_the_seat_at_once_and_closes_the_socket_in_time(
    server: Gunicorn, redis: RedisServer, opens: Opens
) -> None:
    stuck = log_in(server, "stuck")
    with reading(stuck) as client, ThreadPoolExecutor(4) as threads:
        writer, second = opens(server, "writer"), opens(server, "stuck")
        [(port, _)] = connections(client.pid)
        client.send_signal(signal.SIGSTOP)
        # Until no buffer between the two takes any more; what is quoted in HTML is five times as large there.
        unsent, before = 0, -1
        while unsent == 0 or unsent > before:
            before, shown = unsent, len(second.messages)
            for said in [threads.submit(writer.says, stuck.user_id, '"' * 12_000) for _ in range(4)]:
                said.result()
            until(partial(lambda shown: len(second.messages) == shown + 4, shown), "the other tab misses messages")
            unsent = server.unsent(port)
        assert unsent > 100_000, "its socket is not blocked, so nothing is tried"
        asked = time.monotonic()
        third = log_in(server, "stuck")
        assert time.monotonic() - asked < 2, "a login waits for a socket that is blocked"
        assert [one.id for one in instances(redis, "stuck")] == [second.id, third.instance]
        assert server.unsent(port) == unsent, "it was not blocked any more"
        until(lambda: server.unsent(port) == 0, "its socket is still open", 2 * PING_PERIOD)
    assert stuck.gets().location.startswith("/login")
    for tab in (writer, second):
        tab.was_never_cut()
    server.has_no_traceback()


@pytest.mark.parametrize("server", [(1, Timing(body=BODY))], indirect=True, ids=["one worker"])
@pytest.mark.parametrize("piece", [b"", b"u"], ids=["that stops", "that drips"])
def test_a_form_that_does_not_arrive_in_time_is_refused(server: Gunicorn, piece: bytes) -> None:
    head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 1000\r\n"
    form = "Content-Type: application/x-www-form-urlencoded\r\n\r\nuserID="
    with socket.create_connection(("127.0.0.1", server.port), BODY + SLACK) as peer:
        peer.sendall((head + form).encode())
        began, answer = time.monotonic(), b""
        peer.setblocking(False)
        while not answer and time.monotonic() < began + BODY + SLACK:
            peer.sendall(piece)
            with suppress(BlockingIOError):
                answer = peer.recv(65536)
            time.sleep(0.05)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert time.monotonic() > began + BODY
