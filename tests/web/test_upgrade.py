"""Behind an upgrade there is no HTTP: whatever fails, the socket ends with a close frame and a closed connection."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.redis_line import RedisLine
from tests.support.redis_server import RedisServer
from tests.support.routes import socket_routes
from tests.support.server import ROOT, SOCKET_SERVERS, Server, copy_of_the_tree
from tests.support.waiting import PATIENCE, until
from tests.support.wire import ScriptTab, answer_to, ask_for_socket, log_in, upgrade
from tests.web.conftest import MakeServer

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
FAILURES: dict[str, int] = {
    "a handler that fails": 1011,
    "a handler that is torn out of its thread": 1011,
    "a store that goes away": 1013,
    "a thread that cannot be started": 1011,
    "a close that fails": 1011,
}


@pytest.fixture(scope="module", params=SOCKET_SERVERS)
def failing(
    not_quick: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that fails as the query of a socket says."""
    home = tmp_path_factory.mktemp("failing")
    app = ROOT / "tests" / "support" / "failing_app.py"
    server = Server(home, app=app, **SOCKET_SERVERS[request.param]).start()
    yield server
    server.stop()


def behind_the_upgrade(tab: ScriptTab, path: str, *then: bytes) -> bytes:
    """All that comes over the connection after its 101, until it is closed; `then` is sent into it meanwhile."""
    server = tab.server
    headers = {"Cookie": tab.cookie, "Origin": server.address}
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as line:
        line.sendall(upgrade(path, f"127.0.0.1:{server.port}", headers=headers))
        everything = b""
        with suppress(ConnectionResetError, BrokenPipeError):
            while data := line.recv(65536):
                everything += data
                if b"\r\n\r\n" in everything:
                    for each in then:
                        line.sendall(each)
    head, _, behind = everything.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    return behind


def close_code(behind: bytes) -> int:
    """The code of the close frame, behind which nothing comes."""
    found = re.search(rb"\x88[\x02-\x7d](..).{0,123}\Z", behind, re.DOTALL)
    assert found, behind
    assert b"HTTP/" not in behind
    return int.from_bytes(found[1])


@pytest.mark.parametrize("how", FAILURES)
@pytest.mark.parametrize("route", socket_routes(), ids=str)
def test_a_failure_behind_an_upgrade_ends_in_a_close_frame(route: str, how: str, failing: Server) -> None:
    tab = log_in(failing, "alice")
    path = route.replace("<instance>", tab.instance) + "?" + how.replace(" ", "%20")
    assert close_code(behind_the_upgrade(tab, path)) == FAILURES[how]
    behind = behind_the_upgrade(tab, path, REQUEST)
    assert b"HTTP/" not in behind, behind
    assert failing.answers()


@pytest.mark.parametrize("route", socket_routes(), ids=str)
def test_a_peer_that_leaves_during_its_upgrade_is_no_failure(route: str, failing: Server) -> None:
    tab, before = log_in(failing, "leaves"), len(failing.log())
    path = route.replace("<instance>", tab.instance) + "?a%20peer%20that%20leaves%20during%20its%20upgrade"
    ask_for_socket(failing, path, {"Cookie": tab.cookie, "Origin": failing.address})
    until(lambda: "it has left" in failing.log()[before:], "its request goes on")
    failing.has_no_traceback(since=before)


@pytest.mark.parametrize("kind", SOCKET_SERVERS)
def test_a_store_that_goes_away_behind_the_upgrade_ends_in_a_close_frame(
    kind: str,
    make_server: MakeServer,
    make_redis: Callable[..., RedisServer],
    make_redis_line: Callable[[RedisServer], RedisLine],
) -> None:
    redis = make_redis_line(make_redis())
    server = make_server(STORE=redis.url, **SOCKET_SERVERS[kind])
    tab = log_in(server, "alice")
    tab.posts("logout")
    seen = {}
    for answers in range(6):  # also between the refusal of the stream and the question for its reason
        redis.drops_replies(1000, after=answers, of="EVALSHA")
        behind = behind_the_upgrade(tab, tab.path + "events")
        seen[close_code(behind)] = behind
        redis.passes()
    assert {1013} <= set(seen) <= {1013, 4005}
    assert seen[1013].endswith(b"try again in 5 seconds")
    server.has_no_traceback()


@pytest.mark.parametrize("route", socket_routes(), ids=str)
@pytest.mark.parametrize(
    "header",
    [
        ("Sec-WebSocket-Protocol", "\xff"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Extensions", "\xff; \xff="),
        ("Sec-WebSocket-Version", "13, 8"),
        ("Sec-WebSocket-Version", "\xff"),
        ("Sec-WebSocket-Key", "\xff" * 22 + "=="),
        ("Sec-WebSocket-Key", "short"),
        ("Connection", "close"),
        ("Connection", "keep-alive, Upgrade"),
        ("Host", "x" * 70 + ".example"),
        ("Host", "a..b"),
        ("Host", "\xff"),
        ("User-Agent", "\xff\xfe"),
        ("Content-Length", "5"),
        ("Content-Length", "-5"),
        ("Transfer-Encoding", "chunked"),
        ("Transfer-Encoding", "\xff"),
        ("Cookie", "\xff=\xfe; tab"),
        ("X-Forwarded-For", "\xff"),
        ("X(Y", "z"),
    ],
    ids=lambda header: f"{header[0]}-{header[1][:12]!r}",
)
@pytest.mark.parametrize("kind", SOCKET_SERVERS)
def test_any_header_of_a_handshake_gets_a_clean_answer(
    kind: str, header: tuple[str, str], route: str, each_server: Callable[[str], tuple[Server, ScriptTab]]
) -> None:
    server, tab = each_server(kind)
    before = len(server.log())
    name, value = header
    headers = {"Cookie": tab.cookie, "Origin": server.address, name: value}
    answer = ask_for_socket(server, route.replace("<instance>", tab.instance), headers)
    status = re.match(rb"HTTP/1.1 (101|4\d\d|501) ", answer)
    assert status, answer[:100]
    server.has_no_traceback(since=before)


@pytest.mark.parametrize("route", socket_routes(), ids=str)
@pytest.mark.parametrize(("line", "instead"), [("HTTP/1.1\r\n", "HTTP/1.0\r\n"), ("Host: 127.0.0.1\r\n", "")])
@pytest.mark.parametrize("kind", SOCKET_SERVERS)
def test_a_handshake_of_an_older_http_or_without_a_host_is_refused(
    kind: str, line: str, instead: str, route: str, each_server: Callable[[str], tuple[Server, ScriptTab]]
) -> None:
    server, tab = each_server(kind)
    headers = {"Cookie": tab.cookie, "Origin": server.address}
    whole = upgrade(route.replace("<instance>", tab.instance), "127.0.0.1", headers=headers)
    assert line.encode() in whole
    answer = answer_to(server, whole.replace(line.encode(), instead.encode()))
    assert re.match(rb"HTTP/1.[01] 400 ", answer), answer[:100]


@pytest.fixture(scope="module")
def each_server(
    not_quick: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], tuple[Server, ScriptTab]]]:
    """`each_server("gevent")`: the one of greenlets, with a tab that is logged in there."""
    running: dict[str, tuple[Server, ScriptTab]] = {}

    def get(kind: str) -> tuple[Server, ScriptTab]:
        if kind not in running:
            server = Server(tmp_path_factory.mktemp("server"), **SOCKET_SERVERS[kind]).start()
            running[kind] = server, log_in(server, "alice")
        return running[kind]

    yield get
    for server, _ in running.values():
        server.stop()


def test_a_page_that_cannot_be_rendered_is_a_failure_and_no_dead_connection(
    make_server: MakeServer, tmp_path: Path
) -> None:
    app = copy_of_the_tree(tmp_path / "tree")
    (app.parent / "templates" / "_waiting.html").unlink()
    server = make_server(app=app)
    tab = log_in(server, "alice")
    assert close_code(behind_the_upgrade(tab, tab.path + "events")) == 1011
    assert "TemplateNotFound" in server.log()
