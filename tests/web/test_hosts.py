"""Under which names a server answers: no web page may let its own name lead here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.routes import Route, routes
from tests.support.server import Server, copy_of_the_tree
from tests.support.wire import ask, get, log_in, post
from tests.web.conftest import MakeServer

OWN = ["127.0.0.1:{port}", "127.0.0.1", "127.9.9.9:80", "localhost:{port}", "LOCALHOST", "localhost.", "tim.localhost"]
FOREIGN = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example",
    "localhost.evil.example:{port}",
    "notlocalhost",
    "evil.example@127.0.0.1",
    "127.0.0.1, evil.example",
    "10.0.0.1:{port}",
    "0.0.0.0:{port}",
    "[2001:db8::1]:{port}",
    "",
]


@pytest.fixture(scope="module")
def demo(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Started with nothing configured."""
    home = tmp_path_factory.mktemp("demo")
    server = Server(home, app=copy_of_the_tree(home / "tree"), demo=True).start()
    yield server
    server.stop()


def _status(server: Server, host: str, path: str = "/login", **headers: str) -> int:
    sent = {"Host": host.format(port=server.port)} | {name.replace("_", "-"): value for name, value in headers.items()}
    return get(server, path, headers=sent).status


def test_the_demo_app_answers_under_the_names_of_this_machine_alone(demo: Server) -> None:
    for host in (*OWN, "[::1]:{port}"):
        assert _status(demo, host) == 200, host
    for host in FOREIGN:
        assert _status(demo, host) in (400, 421), host
        assert _status(demo, "localhost", X_Forwarded_Host=host.format(port=1)) == 200, "no proxy is trusted here"


def test_no_face_of_the_demo_app_answers_under_another_name(demo: Server) -> None:
    host = f"evil.example:{demo.port}"
    origin = {"Host": host, "Origin": f"http://{host}"}
    for route in [*routes(), Route("/nowhere", frozenset({"GET", "POST"}))]:
        for method in route.methods:
            upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
            key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
            for more in ({}, upgrade | key) if method == "GET" else ({},):
                answer = ask(demo, method, route.path("0" * 34), headers=origin | more)
                assert answer.status == 421, (method, route.rule)
                assert method == "HEAD" or "TIM_HOSTS" in answer.body
                assert not answer.set_cookies()


def test_names_that_are_configured_are_answered_as_well(tmp_path: Path, make_server: MakeServer) -> None:
    app = copy_of_the_tree(tmp_path / "tree")
    server = make_server(app=app, demo=True, HOSTS="IM.example.com, 192.168.1.5,[2001:db8::1]", TRUSTED_PROXIES="1")
    named = ["im.example.com", "im.example.com:8443", "192.168.1.5:{port}", "[2001:DB8::1]:80"]
    for host in (*OWN, *named):
        assert _status(server, host) == 200, host
        assert _status(server, "tim:8000", X_Forwarded_Host=host.format(port=server.port)) == 200, host
    for host in FOREIGN[:-2]:
        assert _status(server, host) in (400, 421), host
        assert _status(server, "localhost", X_Forwarded_Host=host.format(port=server.port)) in (400, 421), host


def test_a_configured_app_answers_under_any_name_until_it_is_given_some(make_server: MakeServer) -> None:
    anywhere = make_server()
    assert _status(anywhere, "im.example.com") == 200
    named = make_server(HOSTS="im.example.com")
    assert [_status(named, host) for host in ("im.example.com", "localhost", "evil.example")] == [200, 200, 421]


def test_no_redirect_leads_to_the_host_that_a_request_has_named(server: Server) -> None:
    tab = log_in(server, "relative")
    foreign = {"Host": "evil.example"}
    bare = tab.path.rstrip("/")
    assert get(server, bare, cookie=tab.cookie, headers=foreign).location == tab.path
    for path in (bare, "/", tab.path, "//login", "//evil.example/login", f"/im//{tab.instance}", "/im/x?next=//evil"):
        answer = get(server, path, headers=foreign)
        assert "evil.example" not in answer.location.partition("?")[0].removeprefix("/evil.example"), path
        assert not answer.location or (answer.location[0] == "/" and answer.location[1:2] != "/"), answer.location
    out = post(server, f"{tab.path}logout", {}, cookie=tab.cookie, headers=foreign | {"HX-Request": "true"})
    assert out.header("HX-Redirect") == "/login?userID=relative"
