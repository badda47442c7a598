"""When a worker of gunicorn accepts a new connection: once it is idle, or has been busy for long enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import gevent.event
import pytest
from gevent import socket
from gevent.pool import Pool

from tim.web import listener, websocket

PASSES = 20
NEVER = 60.0
Listen = Callable[[float], socket.socket]


@pytest.fixture
def accepted() -> list[Any]:
    return []


@pytest.fixture
def listen(accepted: list[Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Listen]:
    """`listen(longest)`: a listening socket, and who connects is in `accepted`."""
    monkeypatch.setattr(websocket.WebSocket, "counter", [0])
    servers: list[Any] = []

    def make(longest: float) -> socket.socket:
        monkeypatch.setattr(listener, "LONGEST", longest)
        made = listener.make(counter := [0], memoryview(bytearray(4)).cast("i"), alone=False)
        made.workers = counter  # type: ignore[assignment]
        own = socket.socket()
        own.bind(("127.0.0.1", 0))
        own.listen()
        servers.append(made(own, handle=lambda sock, _: accepted.append(sock), spawn=Pool(100)))
        servers[-1].start()
        return own

    yield make
    for server in servers:
        server.stop()


def connects(to: socket.socket) -> socket.socket:
    return socket.create_connection(to.getsockname())


def test_what_is_under_way_goes_before_a_new_connection(listen: Listen, accepted: list[Any]) -> None:
    own = listen(NEVER)
    here, there = socket.socketpair()
    done: list[int] = []

    def works() -> None:
        for nth in range(PASSES):
            gevent.spawn(there.send, b"x")
            here.recv(1)  # there in the next pass
            assert not accepted
            done.append(nth)

    with here, there, connects(own), gevent.Timeout(NEVER):
        gevent.spawn(works).get()
        assert len(done) == PASSES
        while not accepted:  # an idle worker accepts it
            gevent.sleep(0.001)


def test_a_worker_that_is_never_idle_accepts_it_all_the_same(listen: Listen, accepted: list[Any]) -> None:
    own = listen(0.005)
    ended = gevent.event.Event()

    def works() -> None:
        while not ended.is_set():
            gevent.sleep(0)

    busy = gevent.spawn(works)
    with connects(own), connects(own), gevent.Timeout(NEVER):
        while len(accepted) < 2:
            gevent.sleep(0.001)
    ended.set()
    busy.get(timeout=NEVER)
