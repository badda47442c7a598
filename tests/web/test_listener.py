"""When a worker of gunicorn accepts a new connection: once it is idle, or has been busy for long enough."""

from __future__ import annotations

import socket as stdlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import gevent
import gevent.event
import pytest
from gevent import socket
from gevent.pool import Pool

from tim.web import listener, websocket

PASSES = 20
NEVER = 60.0
Listen = Callable[[float], Any]


@pytest.fixture
def accepted() -> list[Any]:
    return []


@pytest.fixture
def listen(accepted: list[Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Listen]:
    """`listen(longest)`: a server, and who connects to it is in `accepted`."""
    monkeypatch.setattr(websocket.WebSocket, "counter", [0])
    servers: list[Any] = []

    def make(longest: float) -> Any:
        monkeypatch.setattr(listener, "LONGEST", longest)
        made = listener.make(counter := [0], memoryview(bytearray(4)).cast("i"), alone=False)
        made.workers = counter  # type: ignore[assignment]
        own = socket.socket()
        own.bind(("127.0.0.1", 0))
        own.listen()
        servers.append(made(own, handle=lambda sock, _: accepted.append(sock), spawn=Pool(100)))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


def connects(to: Any) -> socket.socket:
    return socket.create_connection(to.socket.getsockname())


def test_what_is_under_way_goes_before_a_new_connection(listen: Listen, accepted: list[Any]) -> None:
    server = listen(NEVER)
    here, there = socket.socketpair()
    done: list[int] = []

    def works() -> None:
        for nth in range(PASSES):
            gevent.spawn(there.send, b"x")
            here.recv(1)  # there in the next pass
            assert not accepted
            done.append(nth)

    with here, there, connects(server), gevent.Timeout(NEVER):
        gevent.spawn(works).get()
        assert len(done) == PASSES
        while not accepted:  # an idle worker accepts it
            gevent.sleep(0.001)


def test_a_worker_that_is_never_idle_accepts_it_all_the_same(listen: Listen, accepted: list[Any]) -> None:
    server = listen(0.005)
    ended = gevent.event.Event()

    def works() -> None:
        while not ended.is_set():
            gevent.sleep(0)

    busy = gevent.spawn(works)
    with connects(server), connects(server), gevent.Timeout(NEVER):
        while len(accepted) < 2:
            gevent.sleep(0.001)
    ended.set()
    busy.get(timeout=NEVER)


@pytest.mark.parametrize(
    ("own", "others", "takes"),
    [(1, [], 40), (1, [1], 20), (1, [11], 25), (1, [listener.NOT_LISTENING], 40), (100, [1], 400 // listener.STUCK)],
    ids=["alone", "beside an equal", "beside a fuller one", "beside one that stops", "beside an empty one"],
)
def test_a_busy_worker_takes_of_those_that_wait_what_makes_all_have_as_many(
    listen: Listen, accepted: list[Any], own: int, others: list[int], takes: int
) -> None:
    """One that nobody takes waits for as long as all others are served. One that another has is served there."""
    server = listen(0.01)
    with ExitStack() as clients:
        for _ in range(40):  # the loop does not run meanwhile
            clients.enter_context(stdlib.create_connection(server.socket.getsockname()))
        server.counter[0], server.workers = own, [own, *others]
        server._accept_late(time.monotonic() - 1)  # which is a hundred times as long
        gevent.sleep(0)
        assert len(accepted) == takes
