"""The sockets: what a peer sends or fails to send hurts nobody else, and every frame is whole."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.frames import MASK, frame
from tests.support.server import SOCKET_SERVERS, Server
from tests.support.stuck import reading
from tests.support.waiting import until
from tests.support.wire import NEVER, Socket, answer_to, elements, get, log_in, upgrade
from tests.web.conftest import MakeServer
from tim.timing import Timing

QUICK = Timing(ping_period=1)


BROKEN: dict[str, bytes] = {
    "garbage": os.urandom(3) + b"\xff" * 200,
    "an unmasked text": frame(1, b"hello", masked=False),
    "a reserved bit": frame(1, b"hello", reserved=4),
    "an unknown opcode": frame(3, b"hello"),
    "a text that is no UTF-8": frame(1, b"\xff\xfe\xfd"),
    "a continuation of nothing": frame(0, b"hello"),
    "a ping too long": frame(9, b"x" * 126),
    "a ping in pieces": frame(9, b"x", fin=False),
    "a close frame of one byte": frame(8, b"\x03"),
    "a close code that cannot be": frame(8, (1005).to_bytes(2, "big")),
    "a huge text": frame(1, b"x" * 200_000),
    "the announcement of a huge text": bytes([0x81, 0xFF]) + (2**62).to_bytes(8, "big") + MASK + b"x" * 8000,
    "a huge text in pieces": frame(1, b"x" * 4000, fin=False) + frame(0, b"x" * 4000, fin=False) * 50,
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10,
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_websocket_ends_that_socket_alone_and_quietly(what: str, roomy: Server) -> None:
    before = len(roomy.log())
    other = log_in(roomy, "well-behaved").goes_online()
    tab = log_in(roomy, "broken")
    stream = tab.goes_online()
    with suppress(OSError):  # the server may have closed before it had read all of it
        stream.sends(BROKEN[what])
    assert stream.is_closed() in (1000, 1002, 1003, 1005, 1007, 1009, 1011, 1013, NEVER)
    until(lambda: tab.instances()[tab.instance] == "detached", "its instance is still online")
    tab.goes_online()
    assert tab.posts("logout").status == 303
    other.hears_nothing(0.1)
    roomy.has_no_traceback(since=before)


@pytest.mark.parametrize("what", ["a text", "bytes", "json"])
def test_a_page_that_talks_on_its_stream_is_not_listened_to(what: str, server: Server) -> None:
    before = len(server.log())
    tab = log_in(server, "talks")
    stream = tab.goes_online()
    said = {"a text": frame(1, b"hello"), "bytes": frame(2, bytes(range(256))), "json": frame(1, b'{"to": "talks"}')}
    for _ in range(200):
        stream.sends(said[what])
    stream.ping()
    stream.hears_nothing(0.5)
    assert tab.instances() == {tab.instance: "online"}
    server.has_no_traceback(since=before)


def test_a_line_that_breaks_in_the_middle_of_a_frame_leaves_no_traceback(server: Server) -> None:
    before = len(server.log())
    for cut in (b"\x81", frame(1, b"hello")[:4], bytes([0x81, 0xFE, 0x10])):
        tab = log_in(server, "breaks-off")
        stream = tab.goes_online()
        stream.sends(cut)
        stream.leaves("reset")
        until(lambda tab=tab: tab.instances() == {tab.instance: "detached"}, "its instance is still online")  # type: ignore[misc]
    server.has_no_traceback(since=before)


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /im/x/events HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
        b"GET /im/x/events HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /im/%00/events HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nuserID=",
        b"GET /login?tab=%FF%FE HTTP/1.1\r\nHost: h\r\nCookie: notice-\xff=\xfe; tab=\xff\r\n\r\n",
    ],
)
def test_a_malformed_request_leaves_no_traceback(request_line: bytes, server: Server) -> None:
    before = len(server.log())
    answer_to(server, request_line)
    assert server.answers()
    server.has_no_traceback(since=before)


def test_a_version_of_the_protocol_that_nobody_speaks_is_refused(server: Server) -> None:
    before = len(server.log())
    tab = log_in(server, "version")
    for change in ({"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Key": ""}):
        headers = {"Cookie": tab.cookie, "Origin": server.address} | change
        with socket.create_connection(("127.0.0.1", server.port), 10) as line:
            line.sendall(upgrade(tab.path + "events", f"127.0.0.1:{server.port}", headers=headers))
            status = line.recv(65536).split(b"\r\n")[0]
            assert b" 4" in status, status
    server.has_no_traceback(since=before)


# Peers that have gone silent. The period between pings is a second here, not 25.


@pytest.fixture(scope="module", params=SOCKET_SERVERS)
def quick(
    not_quick: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with a ping period of one second, and room for three."""
    home = tmp_path_factory.mktemp("quick")
    server = Server(home, timing=QUICK, ONLINE_WEB_INSTANCES="3", **SOCKET_SERVERS[request.param]).start()
    yield server
    server.stop()


def test_a_mute_peer_is_gone_within_two_periods(quick: Server) -> None:
    witness, mute = log_in(quick, "mute"), log_in(quick, "mute")
    stream, line = witness.goes_online(), mute.goes_online()
    assert witness.instances()[mute.instance] == "online"
    started = time.monotonic()  # from here on nobody reads `line`, so nobody answers its pings
    while witness.instances()[mute.instance] == "online":
        stream.hears_more(0.05)  # this one goes on answering
        assert time.monotonic() - started < 10, "a mute peer is still online"
    assert time.monotonic() - started < 2 * 1 + 2
    assert witness.instances()[witness.instance] == "online"
    line.leaves("reset")
    quick.has_no_traceback()


def test_a_peer_that_answers_is_kept_and_hears_a_sign_of_life(quick: Server) -> None:
    tab = log_in(quick, "alive")
    stream = tab.goes_online()
    stream.hears_more(4)
    assert stream.code is None
    assert stream.pings >= 2
    assert stream.frames[-1] == "{}"
    assert tab.instances() == {tab.instance: "online"}


def test_a_stopped_client_with_a_full_buffer_loses_its_seat_at_once_and_its_socket_in_time(
    make_server: MakeServer,
) -> None:
    server = make_server(timing=QUICK, ONLINE_WEB_INSTANCES="3")
    stuck = log_in(server, "stuck")
    with reading(stuck) as client:
        writer = log_in(server, "stuck")
        lines = [writer.goes_online()]
        client.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        for _ in range(30):
            assert writer.posts("messages", {"to": "stuck", "text": "x" * 12_000}).status == 303
        third = log_in(server, "stuck")
        lines.append(third.goes_online())
        fourth = log_in(server, "stuck")  # one too many: the stuck one has to leave
        lines.append(fourth.goes_online())
        assert time.monotonic() - started < 10, "a reader that does not read holds up everybody else"
        assert list(fourth.instances()) == [fourth.instance, third.instance, writer.instance]

        def only_the_others() -> bool:
            for line in lines:
                line.hears_more(0.02)  # they go on answering
            return "tim_streams 3.0" in get(server, "/metrics").body

        until(only_the_others, "the socket of a stuck client is still open", 10)
        assert [line.code for line in lines] == [None] * 3
    server.has_no_traceback()


# One writer


@pytest.mark.parametrize("kind", SOCKET_SERVERS)
def test_many_threads_writing_to_one_stream_tear_no_frame(kind: str, make_server: MakeServer) -> None:
    server = make_server(ONLINE_WEB_INSTANCES="10", **SOCKET_SERVERS[kind])
    reader = log_in(server, "reader")
    stream = Socket(server, reader.path + "events", cookie=reader.cookie, buffer=4096)
    stream.hears('data-state="ready"')
    senders = [log_in(server, f"writer-{n}") for n in range(6)]
    lines = [sender.goes_online() for sender in senders]
    # Together more than the buffers of the connection hold, and less than a reader may be behind.
    each, enough = 60, threading.Event()
    expected = [[f"<{n}/{m}/" + "é" * (300 - m) + ">" for m in range(each)] for n in range(len(senders))]

    def send(n: int) -> None:
        for text in expected[n]:
            assert senders[n].posts("messages", {"to": "reader", "text": text}).status == 303

    def come_and_go() -> None:
        while not enough.is_set():
            log_in(server, "reader").posts("logout")

    threads = [threading.Thread(target=send, args=(n,)) for n in range(len(senders))]
    noise = threading.Thread(target=come_and_go)
    for thread in (*threads, noise):
        thread.start()
    # First nothing is read, until more waits than the buffers between the two hold: from then on the server is
    # in the middle of a frame, and its answers to the pings come from another of its threads.
    for thread in threads:
        while thread.is_alive():
            stream.ping()
            thread.join(0.03)
    heard: list[str] = []
    seen, deadline = 0, time.monotonic() + 60
    while len(heard) < len(senders) * each:
        assert time.monotonic() < deadline and stream.code is None, (len(heard), stream.code)
        stream.ping()
        stream.hears_more(0.03)
        for one in stream.frames[seen:]:
            heard += [found.text for found in elements(one) if found.attributes.get("class") == "text"]
        seen = len(stream.frames)
    enough.set()
    noise.join()
    assert sorted(heard) == sorted(text for texts in expected for text in texts)
    for n, texts in enumerate(expected):
        assert [text for text in heard if text.startswith(f"<{n}/")] == texts
    assert all(line.code is None for line in lines)
    server.has_no_traceback()


def test_streams_that_ended_leave_nothing_in_the_server(make_server: MakeServer) -> None:
    server = make_server()

    def threads() -> int:
        return len(list(Path(f"/proc/{server.pid()}/task").iterdir()))

    def files() -> int:
        return len(list(Path(f"/proc/{server.pid()}/fd").iterdir()))

    log_in(server, "warm-up").goes_online().leaves()
    until(lambda: "tim_streams 0.0" in get(server, "/metrics").body, "a stream is still counted")
    before = threads(), files()
    for n in range(30):
        tab = log_in(server, "many")
        stream = tab.goes_online()
        if n % 3 == 0:
            stream.leaves("reset")
        elif n % 3 == 1:
            stream.leaves("close")
    tab.posts("logout")
    until(lambda: "tim_streams 0.0" in get(server, "/metrics").body, "streams are still counted")
    until(lambda: threads() <= before[0] + 1 and files() <= before[1] + 2, lambda: f"{before} {threads()} {files()}")


def test_a_page_waits_for_two_ping_periods_before_it_opens_a_new_connection(quick: Server, server: Server) -> None:
    for there, seconds in ((quick, 2), (server, 50)):
        assert log_in(there, "patient").gets().body.count(f"delay:{seconds}s") == 2
