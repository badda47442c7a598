"""Every route of the console, read from the product: without a session, as a viewer, as an admin."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.console import Operator, sign_in
from tests.support.routes import UNSAFE, Route, console_routes
from tests.support.server import ADMIN_TOKEN, VIEWER_TOKEN, Server
from tests.support.wire import Answer, ask

OWN: Final = {"/console/sign-in", "/console/sign-out"}
"""What an operator does with a session of its own."""
EACH: Final = [route for route in console_routes() if route.rule not in OWN]
NOWHERE: Final = "/console/a-page-that-does-not-exist"
API_NOWHERE: Final = "/console/api/a-call-that-does-not-exist"


@pytest.fixture(scope="module")
def console(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for these tests alone, as what they send may end whatever there is."""
    server = Server(tmp_path_factory.mktemp("console")).start()
    yield server
    server.stop()


def path(route: Route) -> str:
    return route.path("0" * 34)


def send(server: Server, method: str, path: str, *, cookie: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(server, method, path, {} if method in UNSAFE else None, cookie=cookie, headers=named)


def content(server: Server) -> list[str]:
    """Everything in the store, but what each node counts by the clock."""
    with sqlite3.connect(f"file:{server.home / 'tim.db'}?mode=ro", uri=True) as db:
        counted = ('INSERT INTO "counters"', 'INSERT INTO "minutes"')
        return [line for line in db.iterdump() if not line.startswith(counted)]


def anonymous(answer: Answer, path: str) -> tuple[int, str, str, list[str]]:
    """What an answer tells, apart from the path that was asked for."""
    assert "no-store" in answer.header("Cache-Control")
    return answer.status, answer.location.removesuffix(f"?next={path}"), answer.body, sorted(answer.headers)


def by_cookie(server: Server, route: Route, method: str, cookie: str) -> list[Answer]:
    """The answer to a request with the cookie of a session; none where only a token in the header opens the route."""
    answer = send(server, method, path(route), cookie=cookie)
    if not route.rule.startswith("/console/api/"):
        return [answer]
    assert answer.status == 401
    return []


@pytest.fixture(scope="module")
def strangers(console: Server) -> list[dict[str, str]]:
    """Those who have no session: with nothing, and with a cookie of one that is over."""
    over = sign_in(console)
    over.posts("/sign-out")
    return [{}, {"cookie": over.cookie}]


@pytest.fixture(scope="module")
def viewer(console: Server) -> Operator:
    return sign_in(console, VIEWER_TOKEN)


@pytest.fixture(scope="module")
def admin(console: Server) -> Operator:
    return sign_in(console)


@pytest.mark.parametrize("route", EACH, ids=str)
def test_without_a_session_it_answers_like_one_that_does_not_exist(
    route: Route, console: Server, strangers: list[dict[str, str]]
) -> None:
    at, other = path(route), API_NOWHERE if route.rule.startswith("/console/api/") else NOWHERE
    before = content(console)
    for stranger, method in itertools.product(strangers, sorted(route.methods)):
        for headers in ({}, {"HX_Request": "true"}, {"Authorization": "Basic eDp4"}):
            answer = send(console, method, at, **stranger, **headers)
            assert answer.status in (200, 303, 401), answer.body
            assert answer.status != 200 or answer.header("HX-Redirect").startswith("/console/sign-in")
            assert answer.status != 303 or answer.location in ("/console/sign-in", f"/console/sign-in?next={at}")
            assert anonymous(answer, at) == anonymous(send(console, method, other, **stranger, **headers), other)
    assert content(console) == before


@pytest.mark.parametrize("route", EACH, ids=str)
def test_a_viewer_reads_everything_and_changes_nothing(route: Route, console: Server, viewer: Operator) -> None:
    before = content(console)
    for method in sorted(route.methods):
        for answer in (
            *by_cookie(console, route, method, viewer.cookie),
            send(console, method, path(route), Authorization=f"Bearer {VIEWER_TOKEN}"),
        ):
            if method in UNSAFE:
                assert answer.status == 403
                assert "viewer" in answer.body
            else:
                assert answer.status in (200, 204, 400, 404, 405), answer.body
    assert content(console) == before


@pytest.mark.parametrize("route", EACH, ids=str)
def test_an_admin_is_let_through_by_cookie_and_by_header(route: Route, console: Server, admin: Operator) -> None:
    for method in sorted(route.methods):
        for answer in (
            *by_cookie(console, route, method, admin.cookie),
            send(console, method, path(route), Authorization=f"Bearer {ADMIN_TOKEN}"),
        ):
            assert answer.status < 500, answer.body
            assert answer.status not in (401, 403), answer.body
            assert "no-store" in answer.header("Cache-Control")
            assert "/sign-in" not in answer.location


@pytest.mark.parametrize("route", [route for route in console_routes() if route.methods & UNSAFE], ids=str)
def test_another_site_sends_no_form_in_the_name_of_an_admin(route: Route, console: Server, admin: Operator) -> None:
    before = content(console)
    for method in route.methods & UNSAFE:
        for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "http://evil.example"}):
            assert send(console, method, path(route), cookie=admin.cookie, **headers).status == 403
    assert content(console) == before


def test_a_page_that_does_not_exist_is_told_to_operators_alone(console: Server, admin: Operator) -> None:
    assert admin.gets("/a-page-that-does-not-exist").status == 404
    for spelled in ("//console", "/console//a", "/console/%2e%2e/console", "/%63onsole/a"):
        answer = ask(console, "GET", spelled)
        assert (answer.status, answer.location.partition("?")[0]) == (303, "/console/sign-in"), spelled


def test_what_is_served_without_a_session_has_no_number_and_no_name_of_anything(console: Server) -> None:
    form = ask(console, "GET", "/console/sign-in").body
    assert not re.search(r"/console/(?!sign-in)", form)
    assert "nav" not in re.findall(r"<(\w+)", form)
    assert Operator(console, "console=x").gets("").status == 303
