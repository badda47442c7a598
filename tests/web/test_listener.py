"""When a worker of gunicorn accepts a new connection: once it is idle, or has been busy for long enough."""

from __future__ import annotations

import runpy
import socket as stdlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.event
import pytest
from gevent import socket, ssl
from gevent.pool import Pool
from gunicorn.errors import HaltServer  # type: ignore[import-untyped]

from tests.support.server import ROOT
from tim.timing import Timing
from tim.web import listener, websocket

PASSES = 20
NEVER = 60.0
Listen = Callable[..., Any]


@pytest.fixture
def accepted() -> list[Any]:
    return []


@pytest.fixture
def listen(accepted: list[Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Listen]:
    """`listen(longest, room)`: a server for so many at a time; who connects to it is in `accepted`."""
    monkeypatch.setattr(websocket.WebSocket, "counter", [0])
    servers: list[Any] = []

    def make(longest: float, room: int = 100, fast_path: listener.FastPath | None = None, **tls: Any) -> Any:
        monkeypatch.setattr(listener, "LONGEST", longest)
        made = listener.make(counter := [0], memoryview(bytearray(4)).cast("i"), alone=False, fast_path=fast_path)
        made.workers = counter  # type: ignore[assignment]
        own = socket.socket()
        own.bind(("127.0.0.1", 0))
        own.listen()
        servers.append(made(own, handle=lambda sock, _: accepted.append(sock), spawn=Pool(room), **tls))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


def connects(to: Any) -> socket.socket:
    return socket.create_connection(to.socket.getsockname())


def wait_in_kernel(server: Any, number: int, clients: ExitStack) -> list[stdlib.socket]:
    """So many new connections. The loop does not run meanwhile."""
    address = server.socket.getsockname()
    return [clients.enter_context(stdlib.create_connection(address)) for _ in range(number)]


@contextmanager
def busy() -> Iterator[Any]:
    """The loop of this process has always something to do."""

    def works() -> None:
        while True:
            gevent.sleep(0)

    working = gevent.spawn(works)
    try:
        yield working
    finally:
        working.kill()


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
    with busy(), connects(server), connects(server), gevent.Timeout(NEVER):
        while len(accepted) < 2:
            gevent.sleep(0.001)


def test_a_form_waits_for_nothing(listen: Listen) -> None:
    server = listen(NEVER)
    begun: list[bytes] = []
    server._handle = lambda sock, _: begun.append(sock.recv(4))
    with busy() as work, gevent.Timeout(NEVER), ExitStack() as clients:
        page, form = wait_in_kernel(server, 2, clients)
        page.send(b"GET /")
        form.send(b"POST /login")
        while not begun:
            gevent.sleep(0.001)
        gevent.sleep(0.05)
        assert begun == [b"POST"]
        work.kill()
        while len(begun) < 2:
            gevent.sleep(0.001)
        assert begun == [b"POST", b"GET "], "what it began with is still there"


def test_a_form_is_served_before_all_else_that_a_pass_has_to_do(listen: Listen) -> None:
    server = listen(NEVER)
    order: list[str] = []
    server._handle = lambda *_: order.append("form")
    here, there = socket.socketpair()

    def serves_a_request() -> None:
        here.recv(1)
        order.append("request")

    with here, there, ExitStack() as clients, gevent.Timeout(NEVER):
        request = gevent.spawn(serves_a_request)
        gevent.sleep(0)
        [form] = wait_in_kernel(server, 1, clients)
        form.send(b"POST /login")
        there.send(b"x")
        server._soon.again(server._let_in, 1)
        time.sleep(2 * listener.SOON)  # without the loop, whose next pass finds both
        request.join()
    assert order == ["form", "request"]


def test_serving_those_that_it_holds_does_not_put_off_the_look_at_new_ones(listen: Listen) -> None:
    server = listen(0)
    with ExitStack() as clients:
        wait_in_kernel(server, 10, clients)
        server._let_in(1)
        wait_in_kernel(server, 1, clients)
        server._do_read()
        server._when_idle()
        assert server._soon.active
        server._when_late()
        assert server._soon.active
        assert len(server._held) == 10 - 1 - listener.AT_ONCE


def test_a_worker_without_room_serves_what_it_holds_once_there_is(listen: Listen, accepted: list[Any]) -> None:
    server = listen(NEVER, 1)
    ended = gevent.event.Event()

    def handle(sock: Any, _: Any) -> None:
        accepted.append(sock)
        ended.wait()

    server._handle = handle
    with ExitStack() as clients, gevent.Timeout(NEVER):
        with busy():
            wait_in_kernel(server, 3, clients)
            while len(server._held) < 3:
                gevent.sleep(0.001)
        while not accepted:
            gevent.sleep(0.001)
        gevent.sleep(0.05)
        assert len(accepted) == 1
        assert not server._idle.active, "it waits, and does not try all the time"
        ended.set()
        while len(accepted) < 3:
            gevent.sleep(0.001)


def test_what_it_holds_is_served_when_it_stops(listen: Listen, accepted: list[Any]) -> None:
    server = listen(NEVER)
    with busy(), connects(server), gevent.Timeout(NEVER):
        while not server._held:
            gevent.sleep(0.001)
        server.close()
        assert server.pool.free_count() < server.pool.size, "or gunicorn would not wait for it"
        while not accepted:
            gevent.sleep(0.001)


def test_what_it_holds_with_tls_is_served_when_it_stops(listen: Listen, accepted: list[Any], certificate: Path) -> None:
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    serving.load_cert_chain(certificate)
    trusting.load_verify_locations(certificate)
    server = listen(NEVER, ssl_context=serving)
    with busy(), connects(server) as line, gevent.Timeout(NEVER):
        while not server._held:
            gevent.sleep(0.001)
        server.close()
        with trusting.wrap_socket(line, server_hostname="localhost"):
            while not accepted:
                gevent.sleep(0.001)
        accepted[0].close()


@pytest.mark.parametrize("sends", [b"", b"\x16", b"GET / HTTP/1.1\r\n\r\n"], ids=["nothing", "too little", "no TLS"])
def test_whoever_does_not_shake_hands_is_not_waited_for(
    listen: Listen,
    accepted: list[Any],
    *,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    sends: bytes,
) -> None:
    monkeypatch.setattr(listener.Listener, "timing", Timing(tls=0.1))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    server = listen(NEVER, ssl_context=serving)
    with connects(server) as mute, gevent.Timeout(NEVER):
        mute.send(sends)
        with suppress(ConnectionResetError):
            while mute.recv(100):
                pass  # an alert of TLS
        while server.pool.free_count() < server.pool.size:
            gevent.sleep(0.001)
    assert not accepted
    assert capfd.readouterr().err == "", "it is no failure of ours"


def test_what_waits_for_room_while_it_stops_is_served_once_there_is(listen: Listen, accepted: list[Any]) -> None:
    server = listen(NEVER, room=1)
    done = gevent.event.Event()
    server.pool.spawn(done.wait)
    with connects(server), gevent.Timeout(NEVER):
        server._held.append((0.0, *server.do_read()))
        server.close()
        gevent.sleep(0.01)
        assert not accepted
        done.set()
        while not accepted:
            gevent.sleep(0.001)


def test_what_is_served_later_finds_the_name_of_the_closed_socket(listen: Listen) -> None:
    """gunicorn asks for it, and would log a traceback and close the connection."""
    server = listen(NEVER)
    listening, named = server.socket, []
    server.set_handle(partial(lambda at, *_: named.append(at.getsockname()), listening))
    name = listening.getsockname()
    with busy(), connects(server), gevent.Timeout(NEVER):
        while not server._held:
            gevent.sleep(0.001)
        server.close()
        assert not named
        while not named:
            gevent.sleep(0.001)
    assert named == [name]


def test_gunicorn_serves_what_the_fast_path_does_not_take(listen: Listen, accepted: list[Any]) -> None:
    takes = [True, False]
    server = listen(NEVER, fast_path=lambda *_: takes.pop())
    with connects(server), gevent.Timeout(NEVER):
        while not accepted:
            gevent.sleep(0.001)
    with connects(server), gevent.Timeout(NEVER):
        while takes:
            gevent.sleep(0.001)
    assert len(accepted) == 1


@pytest.mark.parametrize(
    ("own", "others", "takes"),
    [(1, [], 40), (1, [1], 20), (1, [11], 25), (1, [listener.NOT_LISTENING], 40), (4, [1], 18), (41, [1], 1)],
    ids=["alone", "beside an equal", "beside a fuller one", "beside one that stops", "beside an emptier one", "fuller"],
)
def test_a_busy_worker_takes_of_those_that_wait_what_makes_all_have_as_many(
    listen: Listen, own: int, others: list[int], takes: int
) -> None:
    """One that nobody takes waits for as long as all others are served. One that another has is served there."""
    server = listen(NEVER)
    with ExitStack() as clients:
        wait_in_kernel(server, 40, clients)
        server.counter[0], server.workers = own, [own, *others]
        server._let_in(1)
        assert len(server._held) == takes


def test_a_clearly_fuller_worker_takes_what_the_others_leave(listen: Listen) -> None:
    server = listen(NEVER)
    with ExitStack() as clients:
        wait_in_kernel(server, 40, clients)
        server.counter[0], server.workers = 100, [100, 1]
        server._do_read()
        assert not server._soon.active
        assert not server._idle.active
        server._came = time.monotonic() - 5.5 * listener.LEFT
        server._take_left()
        assert len(server._held) == 5 * listener.AT_ONCE + 1


def test_those_that_have_waited_for_long_are_served_a_share_at_a_time(listen: Listen, accepted: list[Any]) -> None:
    server = listen(0)
    with ExitStack() as clients:
        wait_in_kernel(server, 40, clients)
        server._let_in(1)
        server._when_late()
        assert (len(accepted), len(server._held)) == (0, 40 - 40 // listener.SHARE)


def test_more_workers_than_can_be_counted_are_refused_with_the_way_out() -> None:
    conf = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    for _ in range(conf["MOST_WORKERS"]):
        conf["pre_fork"](None, SimpleNamespace())
    with pytest.raises(HaltServer) as refused:
        conf["pre_fork"](None, SimpleNamespace())
    assert "at most 128 workers" in refused.value.reason
