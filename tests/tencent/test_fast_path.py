"""The fast path of the SDK's handshakes: what takes it, what does not, and that gunicorn reads the same."""

from __future__ import annotations

import socket as stdlib
from collections.abc import Iterator
from contextlib import suppress
from functools import reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent import socket
from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.http.parser import RequestParser  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ends import LONG
from tests.support.server import ROOT, Server
from tests.support.waiting import PATIENCE
from tests.support.wire import get
from tim.timing import Timing
from tim.web.client import address_of
from tim.web.tencent import fast_path
from tim.web.websocket import can_serve

CHROME = """GET /binfo?sdkappid=1400000000&instanceid=17&random=0.5&platform=10 HTTP/1.1
Host: 127.0.0.1
Connection: Upgrade
Pragma: no-cache
Cache-Control: no-cache
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36
Upgrade: websocket
Origin: http://localhost:3000
Sec-WebSocket-Version: 13
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-GB,en;q=0.9,de;q=0.8
Cookie: a=b; c="d"
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits

"""
FIREFOX = """GET /info?sdkappid=1400000000&instanceid=17 HTTP/1.1
Host: localhost:8000
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0
Accept: */*
Sec-WebSocket-Version: 13
Origin: null
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Connection: keep-alive, Upgrade
Sec-Fetch-Dest: empty
Upgrade: WebSocket

"""
NGINX = """GET /binfo?sdkappid=1400000000 HTTP/1.1
Host: im.example.com
X-Forwarded-For: 203.0.113.7
X-Forwarded-Proto: https
X-Forwarded-Host: im.example.com
Upgrade: websocket
Connection: upgrade
Sec-WebSocket-Version:13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\x20\x20

"""


def head(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("latin-1")


PLAIN = {"Chrome": CHROME, "Firefox": FIREFOX, "nginx": NGINX}
COUNTING_APP = ROOT / "tests" / "support" / "counting_app.py"
HELLO = b"\x82\x80\0\0\0\0"
"""A frame."""


def with_line(line: str) -> str:
    return CHROME.replace("\n\n", f"\n{line}\n\n")


MANY_LINES = "".join(f"name-{n}: value\n" for n in range(fast_path.MOST))

OTHERS: dict[str, tuple[bytes, int]] = {
    "a header twice": (head(with_line("Origin: null")), 101),
    "the key twice": (head(with_line("sec-websocket-key: c2FtcGxlIG5vbmNlLi4uLg==")), 400),
    "two hosts": (head(with_line("Host: im.example.com")), 400),
    "two forms of one name": (head(with_line("Sec_WebSocket_Key: c2FtcGxlIG5vbmNlLi4uLg==")), 101),
    "a value that is not ASCII": (head(with_line("X-Name: \xe9")), 101),
    "a tab in a value": (head(with_line("X-Name: a\tb")), 101),
    "a folded line": (head(with_line("X-Name: a\n b")), 400),
    "a blank before the colon": (head(with_line("X-Name : a")), 400),
    "no colon": (head(with_line("X-Name")), 400),
    "a body": (head(with_line("Content-Length: 5")) + b"hello", 101),
    "a body of nothing": (head(with_line("Content-Length: 0")), 101),
    "a body in chunks": (head(with_line("Transfer-Encoding: chunked")) + b"0\r\n\r\n", 101),
    "a frame behind it": (head(CHROME) + HELLO, 101),
    "a longer one than is looked at": (head(with_line("X-Name: " + "a" * fast_path.LONGEST)), 101),
    "more headers than gunicorn allows": (head(CHROME.replace("\n\n", "\n" + MANY_LINES + "\n")), 431),
    "schemes that contradict": (head(with_line("X-Forwarded-Proto: http\nX-Forwarded-Ssl: on")), 400),
    "the whole address": (head(CHROME.replace("/binfo", "http://127.0.0.1/binfo")), 101),
    "a path in percent": (head(CHROME.replace("/binfo", "/%62info")), 101),
    "a path that is none": (head(CHROME.replace("/binfo", "/binfo/")), 404),
    "no query": (head(CHROME.replace("?sdkappid=1400000000&instanceid=17&random=0.5&platform=10", "")), 101),
    "a name behind the query": (head(CHROME.replace("platform=10", "platform=10#top")), 101),
    "another method": (head(CHROME.replace("GET", "POST")), 403),
    "HTTP/1.0": (head(CHROME.replace("HTTP/1.1", "HTTP/1.0")), 400),
    "HTTP/2": (head(CHROME.replace("HTTP/1.1", "HTTP/2.0")), 400),
    "lines of Unix": (CHROME.encode(), 400),
    "no host": (head(CHROME.replace("Host: 127.0.0.1\n", "")), 400),
    "another host": (head(CHROME.replace("Host: 127.0.0.1", "Host: evil.example")), 421),
    "another version": (head(CHROME.replace("Version: 13", "Version: 8")), 426),
    "no version": (head(CHROME.replace("Sec-WebSocket-Version: 13\n", "")), 426),
    "a short key": (head(CHROME.replace("ub25jZQ==", "ub25j")), 400),
    "no key": (head(CHROME.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n", "")), 400),
    "another protocol": (head(CHROME.replace("Upgrade: websocket", "Upgrade: h2c")), 400),
    "no upgrade of the connection": (head(CHROME.replace("Connection: Upgrade", "Connection: close")), 400),
    "a page": (b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200),
}
"""Requests that gunicorn and Flask handle, and the status of the answer."""


@pytest.fixture(scope="module")
def counting(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that says which handshakes gunicorn and Flask have handled."""
    server = Server(tmp_path_factory.mktemp("counting"), app=COUNTING_APP, gevent=True, HOSTS="im.example.com").start()
    yield server
    server.stop()


def answer(server: Server, request: bytes) -> bytes:
    """What comes back up to the close frame with which a socket ends that is sent no frame."""
    everything = b""
    with stdlib.create_connection(("127.0.0.1", server.port), PATIENCE) as line, suppress(OSError):
        line.sendall(request)
        everything = line.recv(65536)
        if everything.startswith(b"HTTP/1.1 101 "):
            line.sendall(b"\x88\x80\0\0\0\0")
        line.shutdown(stdlib.SHUT_WR)  # gunicorn would wait for another request
        while data := line.recv(65536):
            everything += data
    return everything


def status(answered: bytes) -> int:
    return int(answered.split(b" ", 2)[1])


UNPARSED = {
    *("two hosts", "a folded line", "a blank before the colon", "no colon", "HTTP/2", "lines of Unix"),
    *("more headers than gunicorn allows", "schemes that contradict"),
}
"""Of these, what the parser of gunicorn refuses."""


def seen(server: Server) -> int:
    return int(get(server, "/seen").body)


@pytest.mark.parametrize("browser", PLAIN)
def test_a_browsers_handshake_takes_the_fast_path(browser: str, counting: Server) -> None:
    before = seen(counting)
    answered = answer(counting, head(PLAIN[browser]))
    assert answered.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answered
    assert answered.endswith(b"\r\n\r\n\x88\x00"), "nothing but the answer to the close frame"
    assert seen(counting) == before


@pytest.mark.usefixtures("not_quick")
def test_under_a_path_it_is_taken_as_well(tmp_path: Path) -> None:
    server = Server(tmp_path, app=COUNTING_APP, gevent=True, prefix="/chat")
    try:
        server.start()
        assert status(answer(server, head(CHROME.replace("/binfo", "/chat/binfo")))) == 101
        assert int(get(server, "/chat/seen").body) == 0
    finally:
        server.stop()


@pytest.mark.parametrize("what", OTHERS)
def test_anything_else_is_for_gunicorn_and_flask(what: str, counting: Server) -> None:
    request, expected = OTHERS[what]
    before = seen(counting)
    assert status(answer(counting, request)) == expected
    assert seen(counting) == before + (what not in UNPARSED)


def parsed(request: bytes, prefix: str = "") -> tuple[Any, ...] | None:
    """What the fast path reads in a request; None where that is not plain."""
    environ = fast_path.read(request, prefix)
    if environ is None:
        return None
    headers = {name: value for name, value in environ.items() if name.startswith("HTTP_")}
    return environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"], headers


def parsed_by_gunicorn(request: bytes) -> tuple[Any, ...]:
    """What its parser reads in a whole request without a body."""
    unread = iter([request])
    asked = next(RequestParser(Config(), unread, ("127.0.0.1", 1)))
    assert asked.version == (1, 1)
    assert not asked.body.read()
    headers = {"HTTP_" + name.replace("-", "_"): value for name, value in asked.headers}
    assert len(headers) == len(asked.headers)
    return asked.method, asked.path, asked.query, headers


def changed(request: bytes, change: tuple[int, int, bytes]) -> bytes:
    """Some bytes of it are others, or gone, or new."""
    at, length, put = change
    at %= len(request)
    return request[:at] + put + request[at + length :]


PIECES = st.sampled_from([b"\r\n", b"\r\n\r\n", b"\n", b"\r", b":", b": ", b" ", b"\t", b"#", b"?", b"_"])
BYTES = st.one_of(st.binary(max_size=2), PIECES)
CHANGES = st.lists(st.tuples(st.integers(0, 4096), st.integers(0, 3), BYTES), min_size=1, max_size=4)


@pytest.mark.parametrize("browser", PLAIN)
def test_a_browsers_handshake_is_read_as_gunicorn_reads_it(browser: str) -> None:
    request = head(PLAIN[browser])
    assert parsed(request) == parsed_by_gunicorn(request)


@given(st.sampled_from(sorted(PLAIN)), CHANGES)
def test_whatever_is_read_is_read_as_gunicorn_reads_it(browser: str, changes: list[tuple[int, int, bytes]]) -> None:
    request = reduce(changed, changes, head(PLAIN[browser]))
    read = parsed(request)
    if read is not None:
        assert read == parsed_by_gunicorn(request)


def test_some_of_what_is_changed_is_still_read() -> None:
    assert parsed(changed(head(CHROME), (20, 1, b"7"))) is not None


def test_under_a_path_the_path_is_part_of_each_address() -> None:
    assert parsed(head(CHROME), "/chat") is None
    under = head(CHROME.replace("/binfo", "/chat/binfo"))
    assert parsed(under, "/chat") == parsed(head(CHROME))
    assert parsed(under, "/c.at") is None


@pytest.fixture
def connection() -> Iterator[tuple[Any, Any]]:
    """A connection that has just been accepted, with its address, and its other end."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        peer = socket.create_connection(listening.getsockname())
        sock, address = listening.accept()
        with peer, sock:
            assert can_serve(sock)
            yield (sock, address), peer


def a_fast_path(**settings: Any) -> fast_path.FastPath:
    """As it is in a server of which nothing is asked; only handshakes that it refuses can be given to it."""
    allows = {"trusted_proxies": 0, "hosts": frozenset(), **settings}
    timing = Timing(first_bytes=0.01)
    here = SimpleNamespace(settings=SimpleNamespace(**allows), backend=SimpleNamespace(full=False), timing=timing)
    return fast_path.FastPath(here)  # type: ignore[arg-type]


def leaves_unread(path: fast_path.FastPath, connection: tuple[Any, Any], data: bytes) -> None:
    """It does not take a connection that has sent `data`, and has read nothing of it."""
    (sock, address), peer = connection
    peer.sendall(data)
    assert not gevent.spawn(path.take, sock, address).get(timeout=LONG)
    peer.shutdown(socket.SHUT_WR)
    sock.settimeout(LONG)
    assert b"".join(iter(lambda: sock.recv(4096), b"")) == data


@pytest.mark.parametrize("length", [0, 1, 100, len(head(CHROME)) - 1])
def test_what_has_not_come_whole_is_left_unread(length: int, connection: tuple[Any, Any]) -> None:
    leaves_unread(a_fast_path(), connection, head(CHROME)[:length])


def test_on_a_full_server_it_is_left_unread(connection: tuple[Any, Any]) -> None:
    path = a_fast_path()
    path._here.backend.full = True  # type: ignore[misc]
    leaves_unread(path, connection, head(CHROME))


def test_a_host_that_a_proxy_tells_counts_where_proxies_are_trusted(connection: tuple[Any, Any]) -> None:
    leaves_unread(a_fast_path(trusted_proxies=1), connection, head(with_line("X-Forwarded-Host: evil.example")))


def test_a_path_that_a_proxy_tells_is_left_to_the_guard(connection: tuple[Any, Any]) -> None:
    leaves_unread(a_fast_path(trusted_proxies=1), connection, head(with_line("X-Forwarded-Prefix: /a;b")))


@pytest.mark.parametrize(
    ("proxies", "came_from", "address"),
    [(0, ("127.0.0.1", 1), "127.0.0.1"), (1, ("127.0.0.1", 1), "203.0.113.7"), (0, "", "unknown")],
    ids=["no proxy", "a proxy", "a Unix socket"],
)
def test_the_address_is_the_one_that_a_trusted_proxy_sets(
    proxies: int, came_from: Any, address: str, connection: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(fast_path, "upgrade", lambda environ, *_: begun.append(address_of(environ)))
    (sock, _), peer = connection
    peer.sendall(head(with_line("X-Forwarded-For: 203.0.113.7")))
    assert gevent.spawn(a_fast_path(trusted_proxies=proxies).take, sock, came_from).get(timeout=LONG)
    assert begun == [address]


def test_a_connection_that_is_not_gevents_own_is_left_unread() -> None:
    ours, theirs = stdlib.socketpair()
    with ours, theirs:
        theirs.sendall(head(CHROME))
        assert not a_fast_path().take(ours, ("127.0.0.1", 1))
        assert ours.recv(4096) == head(CHROME)


def is_offered(**settings: Any) -> bool:
    """Whether the fast path is there with these settings of gunicorn."""
    cfg = Config()
    for name, value in settings.items():
        cfg.set(name, value)
    here = a_fast_path(stock_sockets=False)._here
    return fast_path.make_fast_path(SimpleNamespace(extensions={"tim": here}), cfg) is not None


def test_there_is_a_fast_path_by_default() -> None:
    assert is_offered()


@pytest.mark.parametrize(
    "settings",
    [
        {"max_requests": 1000},
        {"limit_request_line": 1000},
        {"limit_request_fields": 50},
        {"limit_request_field_size": 1000},
    ],
    ids=str,
)
def test_there_is_none_where_gunicorn_is_to_count_or_limit_requests(settings: dict[str, Any]) -> None:
    assert not is_offered(**settings)


def test_limits_that_are_wider_or_none_leave_it() -> None:
    assert is_offered(limit_request_line=0, limit_request_field_size=0, limit_request_fields=1000)


def test_there_is_none_where_sockets_are_not_our_own() -> None:
    here = a_fast_path(stock_sockets=True)._here
    assert fast_path.make_fast_path(SimpleNamespace(extensions={"tim": here}), Config()) is None
    assert fast_path.make_fast_path(SimpleNamespace(), Config()) is None
