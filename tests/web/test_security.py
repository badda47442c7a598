"""What a stranger, another site, a thief of half a secret and a hostile text can do: nothing."""

from __future__ import annotations

import hashlib
import itertools
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Request, Response
from hypothesis import assume, example, given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner
from playwright.sync_api import expect
from werkzeug.test import EnvironBuilder

from tests.support.routes import Route, routes, unsafe_routes
from tests.support.server import APP, SDK_KEY, SECRET_KEY, Server
from tests.support.waiting import until
from tests.support.wire import (
    Answer,
    ScriptTab,
    ask,
    ask_for_socket,
    browser_cookie,
    element,
    elements,
    get,
    log_in,
    path_of,
    post,
    post_login,
)
from tests.web.conftest import MakePerson, MakeServer, NewWindow
from tim.input_rules import USER_ID
from tim.rules import instance_id
from tim.usersig import Ticket
from tim.web.identity import Identity, login_number
from tim.web.pending import PendingLogin

HTTPS = {"X-Forwarded-Proto": "https"}
DAY = 86400


@pytest.fixture(scope="module")
def proxied(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that believes one proxy in front of it."""
    server = Server(tmp_path_factory.mktemp("proxied"), TRUSTED_PROXIES="1", ONLINE_WEB_INSTANCES="10").start()
    yield server
    server.stop()


# Who may open a page's socket


ORIGINS: dict[str, Callable[[Server], str | None]] = {
    "missing": lambda server: None,
    "null": lambda server: "null",
    "empty": lambda server: "",
    "another site": lambda server: "http://evil.example",
    "another scheme": lambda server: f"https://127.0.0.1:{server.port}",
    "another name of the host": lambda server: f"http://localhost:{server.port}",
    "another port": lambda server: f"http://127.0.0.1:{server.port + 1}",
    "no port": lambda server: "http://127.0.0.1",
    "longer": lambda server: f"http://127.0.0.1:{server.port}.evil.example",
    "with a path": lambda server: f"http://127.0.0.1:{server.port}/",
    "with a user": lambda server: f"http://127.0.0.1:{server.port}@evil.example",
    "two of them": lambda server: f"http://127.0.0.1:{server.port}\r\nOrigin: http://evil.example",
}


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_page_socket_without_the_origin_of_this_server_is_refused_before_it_opens(
    origin: str, server: Server
) -> None:
    tab = log_in(server, "origins")
    value = ORIGINS[origin](server)
    headers = {"Cookie": tab.cookie} | ({} if value is None else {"Origin": value})
    for upgrade in ("websocket", "WebSocket"):
        said = ask_for_socket(server, tab.path + "events", headers | {"Upgrade": upgrade})
        assert said.startswith(b"HTTP/1.1 403 "), said[:100]
        assert b" 101 " not in said
    assert tab.instances() == {tab.instance: "detached"}


def test_a_page_socket_with_its_origin_and_its_cookie_opens(server: Server) -> None:
    tab = log_in(server, "own-origin")
    said = ask_for_socket(server, tab.path + "events", {"Cookie": tab.cookie, "Origin": server.address})
    assert said.startswith(b"HTTP/1.1 101 ")


def signed(instance: str, *, age: float = 0, key: str = SECRET_KEY, purpose: str = "tab") -> str:
    """A cookie's value as the product signs it, so many seconds ago."""
    identity, response = Identity([key], lambda: time.time() - age), Response()
    if purpose == "notice":
        return identity.ticket(instance)
    identity.set_tab(_request(""), response, instance)
    return _value(response)


COOKIES: dict[str, Callable[[ScriptTab, ScriptTab], str]] = {
    "missing": lambda tab, other: "",
    "empty": lambda tab, other: "tab=",
    "the bare id": lambda tab, other: f"tab={tab.instance}",
    "another tab's": lambda tab, other: other.cookie,
    "another key's": lambda tab, other: "tab=" + signed(tab.instance, key="another-key-of-decent-length"),
    "for another purpose": lambda tab, other: "tab=" + signed(tab.instance, purpose="notice"),
    "expired": lambda tab, other: "tab=" + signed(tab.instance, age=7 * DAY + 5),
    "from the future": lambda tab, other: "tab=" + signed(tab.instance, age=-120),
    "cut short": lambda tab, other: tab.cookie[:-1],
    "another name": lambda tab, other: f"session={tab.value}",
}


@pytest.mark.parametrize("cookie", COOKIES)
def test_no_route_of_a_tab_opens_without_its_cookie(cookie: str, server: Server) -> None:
    tab, other = log_in(server, "cookies"), log_in(server, "beside-cookies")
    value = COOKIES[cookie](tab, other)
    headers = {"Origin": server.address} | ({"Cookie": value} if value else {})
    said = ask_for_socket(server, tab.path + "events", headers)
    assert said.startswith(b"HTTP/1.1 403 "), said[:100]
    for route in routes():
        if "<instance>" not in route.rule or route.rule.endswith("/events"):
            continue
        for method in route.methods - {"HEAD", "OPTIONS"}:
            answer = ask(server, method, route.path(tab.instance), {} if method == "POST" else None, cookie=value)
            assert (answer.status, answer.location) == (303, "/login"), (method, route.rule)
            assert "cookies" not in answer.body
            assert not answer.set_cookies()
    assert tab.instances() == {tab.instance: "detached"}


def test_the_cookies_used_in_these_tests_open_their_tab_where_they_should(server: Server) -> None:
    tab = log_in(server, "cookies-control")
    for value in (signed(tab.instance), signed(tab.instance, age=7 * DAY - 60), signed(tab.instance, age=-30)):
        assert get(server, tab.path, cookie=f"tab={value}").status == 200


def test_the_stream_s_address_without_an_upgrade_is_a_plain_refusal(server: Server) -> None:
    before = len(server.log())
    tab = log_in(server, "no-upgrade")
    answer = tab.gets("events")
    assert 400 <= answer.status < 500, answer.status
    for headers in ({"Upgrade": "websocket"}, {"Upgrade": "h2c"}, {"Connection": "Upgrade"}):
        answer = get(server, tab.path + "events", cookie=tab.cookie, headers={"Origin": server.address} | headers)
        assert 400 <= answer.status < 500, (headers, answer.status)
    server.has_no_traceback(since=before)


# No secret in a URL or a log line


def test_no_secret_stands_in_a_log_or_an_address(
    make_server: MakeServer, person: MakePerson, new_window: NewWindow
) -> None:
    server = make_server(ONLINE_WEB_INSTANCES="2")
    alice = person("alice", on=server, window=new_window(own=True))
    addresses: list[str] = []
    alice.window.on("request", lambda request: addresses.append(request.url))
    private = {"the app's key": SDK_KEY, "the cookie key": SECRET_KEY}
    tab = alice.opens("/login")
    tab.page.fill("#userID", alice.user_id)
    tab.page.click("#generate-usersig")
    expect(tab.page.locator("#userSig")).not_to_have_value("")
    private["a UserSig"] = tab.page.input_value("#userSig")
    tab.page.click("#login")
    tab.is_ready()
    private["a cookie"] = tab.cookie().rpartition(".")[2]
    tab.sends(alice.user_id, "a-private-text")
    tab.reads("a-private-text")
    private["a text"] = "a-private-text"
    tab.reloads()
    tab.is_ready()
    private["another cookie"] = tab.cookie().rpartition(".")[2]
    # Refusals say what was wrong, and not with what.
    bad = server.user_sig("beside-limits")
    private["a refused UserSig"] = bad
    for form in ({"userID": alice.user_id, "userSig": bad}, {"userID": "no/body", "userSig": bad}):
        assert post(server, "/login", form).status in (400, 401)
    forged = tab.cookie()[:-3] + "AAA"
    private["a forged cookie"] = forged.rpartition(".")[2]
    get(server, f"/im/{tab.instance}/", cookie=f"tab={forged}")
    ask_for_socket(server, f"/im/{tab.instance}/events", {"Cookie": f"tab={forged}", "Origin": server.address})
    streams = [alice.logs_in_by_script().goes_online() for _ in range(2)]
    tab.is_kicked_out("multipleAccount")
    assert streams[0].code is None
    tab.page.click("#log-in-again")
    server.terminate()
    assert len(server.log()) > 500
    for what, secret in private.items():
        assert secret not in server.log(), what
        assert not [address for address in addresses if secret in address], what


def test_a_name_cannot_write_its_own_line_into_the_log(server: Server) -> None:
    name = "eve\n127.0.0.1 - - FORGED LINE"
    post(server, "/login", {"userID": name, "userSig": name}, headers={"User-Agent": "x"})
    get(server, "/login?userID=eve%0A127.0.0.1%20-%20-%20FORGED%20LINE%1B[31m")
    assert "\n127.0.0.1 - - FORGED" not in server.log()
    assert "\x1b[31mF" not in server.log()


# Cookies


def _journey(server: Server, user: str, headers: dict[str, str] | None = None) -> dict[str, Answer]:
    """One answer of each kind that the product gives to this account."""
    h = headers or {}
    browser = browser_cookie(server)

    def login() -> tuple[Answer, str, str]:
        answer = post_login(server, user, headers=h, cookie=browser)
        return answer, answer.location.split("/")[2], f"tab={answer.cookies()['tab']}"

    first, id, cookie = login()
    out, out_id, out_cookie = login()
    found = {
        "home": get(server, "/", headers=h),
        "login page": get(server, f"/login?userID={user}", headers=h),
        "refused login": post(server, "/login", {"userID": user, "userSig": "nonsense"}, headers=h),
        "malformed login": post(server, "/login", {"userID": "/", "userSig": "nonsense"}, headers=h),
        "login": first,
        "tab": get(server, f"/im/{id}/", cookie=cookie, headers=h),
        "usersig": post(server, "/usersig", {"userID": user}, headers=h),
        "message that is refused": post(server, f"/im/{id}/messages", {"to": "/"}, cookie=cookie, headers=h),
        "message before ready": post(
            server, f"/im/{id}/messages", {"to": user, "text": "x"}, cookie=cookie, headers=h
        ),
        "second login": out,
        "logout": post(server, f"/im/{out_id}/logout", {}, cookie=out_cookie, headers=h),
        "tab after logout": get(server, f"/im/{out_id}/", cookie=out_cookie, headers=h),
        "tab without cookie": get(server, f"/im/{id}/", headers=h),
        "style sheet": get(server, "/static/tim.css", headers=h),
        "nowhere": get(server, "/nowhere", headers=h),
        "wrong method": ask(server, "DELETE", "/login", headers=h),
        "too large": ask(server, "POST", "/login", body=b"userID=" + b"x" * 70_000, headers=h | {
            "Content-Type": "application/x-www-form-urlencoded"
        }),
        "another site": post(server, "/login", {}, headers=h | {"Sec-Fetch-Site": "cross-site"}),
        "health": get(server, "/healthz", headers=h),
        "readiness": get(server, "/readyz", headers=h),
        "metrics": get(server, "/metrics", headers=h),
    }  # fmt: skip
    ended = found["tab after logout"]
    found["notice"] = get(server, path_of(ended.location), cookie=browser, headers=h)
    assert element(found["notice"].body, "signed-out")
    assert (found["tab"].status, found["too large"].status) == (200, 413)
    return found


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
def test_every_cookie_is_out_of_reach(https: bool, proxied: Server) -> None:
    setting: set[str] = set()
    for what, answer in _journey(proxied, "journey-of-cookies", HTTPS if https else None).items():
        for line in answer.set_cookies():
            assert len(line) < 4096, what
            ((name, cookie),) = SimpleCookie(line).items()
            where = f"{what} sets {line}"
            setting.add(what)
            assert cookie["httponly"], where
            assert cookie["samesite"] == "Strict", where
            assert bool(cookie["secure"]) is https, where
            assert not cookie["domain"], where
            if name == "tab":
                assert cookie["path"].startswith("/im/") and len(cookie["path"]) == len("/im/") + 34, where
            else:
                assert name == "browser" and cookie["path"] == "/", where
    assert setting == {"login page", "login", "second login", "tab", "logout", "tab after logout"}


def test_a_script_in_the_page_cannot_read_its_cookie(person: MakePerson) -> None:
    tab = person("alice").logs_in()
    assert tab.page.evaluate("document.cookie") == ""
    held = [c for c in tab.page.context.cookies(tab.page.url) if c.get("name") == "tab"]
    assert [(c.get("httpOnly"), c.get("sameSite"), c.get("path")) for c in held] == [
        (True, "Strict", f"/im/{tab.instance}")
    ]


# Headers, and what they do


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
def test_every_answer_has_the_headers(https: bool, proxied: Server) -> None:
    for what, answer in _journey(proxied, "journey-of-headers", HTTPS if https else None).items():
        policy = answer.header("Content-Security-Policy")
        assert policy.startswith("default-src 'self'"), what
        assert "unsafe-" not in policy and "*" not in policy and "http" not in policy, what
        for rule in ("base-uri 'none'", "frame-ancestors 'none'", "object-src 'none'", "form-action 'self'"):
            assert rule in policy, (what, rule)
        script = [part for part in policy.split(";") if part.strip().startswith(("script-src", "style-src"))]
        assert all("data:" not in part for part in script), what
        assert answer.header("X-Content-Type-Options") == "nosniff", what
        assert answer.header("Referrer-Policy") in ("same-origin", "no-referrer", "strict-origin"), what
        assert answer.header("Cross-Origin-Opener-Policy") == "same-origin", what
        assert answer.header("Strict-Transport-Security").startswith("max-age=") is https, what
        if what != "style sheet":
            assert "no-store" in answer.header("Cache-Control"), what
        assert "Traceback" not in answer.body, what


def test_nothing_in_any_page_is_inline(proxied: Server) -> None:
    for what, answer in _journey(proxied, "journey-of-inline").items():
        for found in elements(answer.body):
            assert found.tag != "style", what
            assert "style" not in found.attributes, (what, found)
            assert not [name for name in found.attributes if name.startswith(("on", "hx-on"))], (what, found)
            assert not any((value or "").startswith(("javascript:", "js:")) for value in found.attributes.values())
            if found.tag == "script":
                assert (found.attributes.get("src") or "").startswith("/static/htmx"[:9]), (what, found)
                assert not found.text.strip(), what


def test_a_whole_session_breaks_no_policy(make_server: MakeServer, person: MakePerson) -> None:
    server = make_server(ONLINE_WEB_INSTANCES="2")
    alice = person("alice", on=server)
    tab = alice.opens("/login")
    tab.page.fill("#userID", alice.user_id)
    tab.page.fill("#userSig", "nonsense")
    tab.page.click("#login")
    expect(tab.page.locator("#login-error")).to_be_visible()
    tab.page.click("#generate-usersig")
    expect(tab.page.locator("#userSig")).not_to_have_value("nonsense")
    tab.page.click("#login")
    tab.is_ready()
    tab.sends(alice.user_id, "a text")
    tab.reads("a text")
    tab.sends("nobody-at-all", "a text")
    expect(tab.page.locator("#send-error")).to_be_visible()
    other = alice.logs_in("other")
    tab.lists("online", "online")
    server.kill()
    tab.is_reconnecting()
    server.start()
    tab.is_ready()
    other.is_ready()
    other.signs_out(tab)
    tab.is_signed_out()
    third, fourth = alice.logs_in("third"), alice.logs_in("fourth")
    other.is_kicked_out("multipleAccount")
    third.logs_out()
    for one in (tab, other, third, fourth):
        one.is_quiet()


def test_an_injected_script_does_not_run(person: MakePerson) -> None:
    tab = person("alice").logs_in()
    tab.page.evaluate(
        """() => {
            const script = document.createElement('script');
            script.textContent = 'window.ran = "inline script"';
            document.body.append(script);
            document.body.insertAdjacentHTML('beforeend', '<img src="/nowhere.png" onerror="window.ran = 1">');
            setTimeout("window.ran = 'string timer'");
            const link = document.createElement('a');
            link.href = 'javascript:window.ran = "link"';
            document.body.append(link);
            link.click();
            const far = document.createElement('script');
            far.src = 'data:text/javascript,window.ran="data"';
            document.body.append(far);
        }"""
    )
    until(lambda: len(tab.violations()) >= 5, lambda: f"the policy stopped only {tab.violations()}")
    assert tab.page.evaluate("window.ran") is None


def test_no_other_site_may_frame_a_page(person: MakePerson, server: Server) -> None:
    tab = person("alice").opens("/login")
    tab.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<iframe src=\"/login\"></iframe>')")
    until(lambda: tab.hears_complaint("frame-ancestors"), lambda: f"heard {tab.complaints}")
    assert "frame-ancestors 'none'" in get(server, "/login").header("Content-Security-Policy")


# Who may post


SENT_BY: dict[str, tuple[Callable[[Server], dict[str, str]], bool]] = {
    "our page": (lambda server: {"Sec-Fetch-Site": "same-origin", "Origin": server.address}, True),
    "the address bar": (lambda server: {"Sec-Fetch-Site": "none"}, True),
    "an older browser on our page": (lambda server: {"Origin": server.address}, True),
    "a script": (lambda server: {}, True),
    "another site": (lambda server: {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}, False),
    "another site with our Origin": (
        lambda server: {"Sec-Fetch-Site": "cross-site", "Origin": server.address},
        False,
    ),
    "a neighbour": (lambda server: {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"}, False),
    "an older browser on another site": (lambda server: {"Origin": "http://evil.example"}, False),
    "an older browser on another port": (lambda server: {"Origin": f"http://127.0.0.1:{server.port + 1}"}, False),
    "an older browser on another scheme": (lambda server: {"Origin": f"https://127.0.0.1:{server.port}"}, False),
    "a sandboxed frame": (lambda server: {"Origin": "null"}, False),
}


@pytest.mark.parametrize("route", unsafe_routes(), ids=str)
@pytest.mark.parametrize("sender", SENT_BY)
def test_an_unsafe_request_is_taken_from_our_pages_and_from_scripts_alone(
    sender: str, route: Route, roomy: Server
) -> None:
    make, welcome = SENT_BY[sender]
    user = f"poster-{secrets.token_hex(4)}"
    tab, other = log_in(roomy, user), log_in(roomy, user)
    stream = tab.goes_online()
    form = {"userID": user, "userSig": roomy.user_sig(user), "to": user, "text": f"sent by {sender}", "name": sender}
    before = _rows(roomy, user)
    for method in route.methods - {"GET", "HEAD", "OPTIONS"}:
        answer = ask(
            roomy,
            method,
            route.path(tab.instance, other.instance),
            form,
            cookie=f"{tab.cookie}; {tab.browser}",
            headers=make(roomy),
        )
        assert (answer.status == 403) is not welcome, (answer.status, answer.body[:200])
        if not welcome:
            assert not answer.set_cookies()
            assert _rows(roomy, user) == before
        elif not route.rule.startswith(("/usersig", "/language", "/login/", "/v4/")):  # some want tokens of their own
            assert _rows(roomy, user) != before, "the control of this test: let through, it does something"
    stream.leaves()


def test_reading_changes_nothing(make_server: MakeServer) -> None:
    server = make_server(ONLINE_WEB_INSTANCES="3")
    tab, other = log_in(server, "reader"), log_in(server, "reader")
    streams = [tab.goes_online(), other.goes_online()]
    assert tab.posts("messages", {"to": "reader", "text": "to be read"}).status == 303
    readable = {route.rule for route in routes() if "GET" in route.methods}
    before = _rows(server)
    assert len(before["instances"]) == 2 and len(before["messages"]) == 1
    for route in routes():
        path = route.path(tab.instance, other.instance)
        for method in ("GET", "HEAD", "OPTIONS"):
            if route.rule.endswith("/events") and method == "GET":
                continue
            answer = ask(server, method, path, cookie=tab.cookie)
            assert answer.status < 500, (method, path)
            if method != "OPTIONS" and route.rule not in readable:
                assert answer.status == 405, (method, path)
            # What comes in a URL is no order either.
            order = f"userID=reader&userSig={server.user_sig('reader')}&to=reader&text=x&_method=POST"
            ask(server, method, f"{path}?{order}", cookie=tab.cookie)
    assert _rows(server) == before
    assert [stream.status for stream in streams] == [101, 101]


def _rows(server: Server, user: str = "%") -> dict[str, list[tuple[object, ...]]]:
    """Everything the store has, or has of one account."""
    with sqlite3.connect(f"file:{server.home / 'tim.db'}?mode=ro", uri=True) as db:
        return {
            name: db.execute(f"SELECT * FROM {name} WHERE user LIKE ? ORDER BY 1, 2, 3", (user,)).fetchall()
            for name in ("instances", "accounts", "messages")
        }


# Texts that would like to be more than texts


NASTY = (
    "<script>window.ran=1</script>\"'><img src=x onerror=window.ran=1>{{7*7}}<hx-partial hx-target=body>x</hx-partial>"
)


_addresses = itertools.count(1)


@given(user_id=st.text(max_size=60), user_sig=st.text(max_size=60))
@example(user_id=NASTY, user_sig=NASTY)
@example(user_id="", user_sig="")
def test_whatever_is_typed_into_the_login_page_comes_back_as_text(proxied: Server, user_id: str, user_sig: str) -> None:
    assume(_postable(user_id) and _postable(user_sig))
    # From another address each time, as an address may fail a hundred times in a minute.
    here = {"X-Forwarded-For": f"2001:db8::{next(_addresses):x}"}
    answer = post(proxied, "/login", {"userID": user_id, "userSig": user_sig}, headers=here)
    assert answer.status in (400, 401, 429)
    typed, sig = element(answer.body, "userID"), element(answer.body, "userSig")
    assert typed and sig
    assert (typed.attributes["value"], sig.attributes["value"]) == (user_id, user_sig.strip())
    # A refusal of the same field: it stands at that.
    plain_id = "/" if USER_ID.fullmatch(user_id) else " "
    plain = post(proxied, "/login", {"userID": plain_id if user_id else "", "userSig": "a"}).body
    assert _shape(answer.body) == _shape(plain)


STRANGE = st.one_of(
    st.binary(max_size=200), st.text(max_size=100).map(lambda text: text.encode(errors="surrogatepass"))
).map(quote)


@given(user=STRANGE, sig=STRANGE, form=STRANGE)
@example(user="%ED%A0%80", sig="%ED%A0%80", form="%ED%A0%80")
@example(user="%00", sig="%00", form="%00")
@example(user="%FF%FE", sig="%FF", form="%FF")
@example(user="a" * 60_000, sig="", form="")
@example(user="a", sig="b" * 60_000, form="")
@example(user="a", sig="b", form="c" * 60_000)
def test_whatever_a_form_says_it_gets_an_answer(proxied: Server, user: str, sig: str, form: str) -> None:
    before = len(proxied.log())
    kind = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": f"2001:db8:{next(_addresses):x}::1"}
    body = f"userID={user}&userSig={sig}&form={form}".encode()
    for path in ("/login", "/usersig"):
        answer = ask(proxied, "POST", path, body=body, headers=kind, cookie=f"browser={quote(form)[:500]}")
        assert answer.status in (200, 400, 401, 429), answer.status
    for query in (f"userID={user[:3000]}", f"tab={form[:3000]}", f"{sig[:3000]}={sig[:3000]}"):
        assert get(proxied, f"/login?{query}").status == 200
    proxied.has_no_traceback(since=before)


@given(agent=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=200))
@example(agent=NASTY)
@example(agent=f"Mozilla/5.0 ({NASTY}) {NASTY}/1.0 Version/{NASTY}")
@example(agent=f"{NASTY}bot/1.0 (http://{NASTY})")
@example(agent="MyApp<b>Bot/12.3")
def test_whatever_a_browser_calls_itself_stays_text_in_page_and_notice(proxied: Server, agent: str) -> None:
    assume(agent.strip() == agent)
    plain, strange = (
        log_in(proxied, user, headers={"User-Agent": name})
        for user, name in (("agent-a", "curl/1"), ("agent-b", agent))
    )
    assert _shape(plain.gets().body) == _shape(strange.gets().body)
    for one in (plain, strange):
        one.posts("logout")


def test_an_address_that_a_proxy_passes_on_stays_text(proxied: Server) -> None:
    evil = '"><img src=x onerror=alert(1)>'
    tab = log_in(proxied, "forwarded", headers={"X-Forwarded-For": evil})
    page = tab.gets().body
    assert not [found for found in elements(page) if found.tag == "img"]
    tab.posts("logout")


def _postable(text: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def _shape(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """The elements of a page and the names of their attributes: what no text may change."""
    return [(found.tag, tuple(found.attributes)) for found in elements(html)]


# Cookies, as a property


def _is_tab(identity: Identity, value: str, instance: str) -> bool:
    return identity.is_tab(_request(f"tab={value}"), instance)


def _browser_cookie(identity: Identity) -> str:
    response = Response()
    identity.set_browser(_request(""), response)
    return "browser=" + _value(response)


def _own(identity: Identity, cookie: str, form: str = "0" * 32, user: str = "alice") -> str:
    """The id of an instance that was logged in by the browser with this cookie."""
    return instance_id(APP, user, login_number(identity.browser(_request(cookie)) or "", form, user))


def _request(cookie: str) -> Request:
    return Request({**EnvironBuilder().get_environ(), "HTTP_COOKIE": cookie})


def _value(response: Response) -> str:
    return response.headers["Set-Cookie"].partition("=")[2].partition(";")[0]


KEYS = ["the-oldest-key-of-them", "a-key-in-between-them!", "the-newest-key-of-them"]
ID = "0123456789abcdef" * 2
NOW = 1_790_000_000.5
PRINTABLE = st.characters(min_codepoint=33, max_codepoint=255, exclude_characters='";,\\\x7f')


def _tab_cookie(keys: list[str], at: float = NOW, instance: str = ID) -> str:
    response = Response()
    Identity(keys, lambda: at).set_tab(_request(""), response, instance)
    return _value(response)


def test_a_cookie_is_signed_as_its_library_signs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = TimestampSigner(KEYS, salt="tim.tab", key_derivation="hmac", digest_method=hashlib.sha256)
    monkeypatch.setattr(signer, "get_timestamp", lambda: int(NOW))
    assert _tab_cookie(KEYS) == signer.sign(ID).decode()
    assert signer.unsign(_tab_cookie(KEYS)).decode() == ID


@given(data=st.data())
def test_a_cookie_altered_in_any_byte_is_refused(data: st.DataObject) -> None:
    value = _tab_cookie(KEYS)
    identity = Identity(KEYS, lambda: NOW)
    assert _is_tab(identity, value, ID)
    at = data.draw(st.integers(0, len(value) - 1))
    new = data.draw(PRINTABLE | st.just(""))
    assume(new != value[at])
    assert not _is_tab(identity, value[:at] + new + value[at + 1 :], ID)


def test_no_single_byte_of_a_cookie_may_be_another_one() -> None:
    value = _tab_cookie(KEYS)
    identity = Identity(KEYS, lambda: NOW)
    for at, was in enumerate(value):
        for new in "ABCDWXYZabcdwxyz0189-_.=~\xe9":
            assert new == was or not _is_tab(identity, value[:at] + new + value[at + 1 :], ID), (at, new)


def test_a_cookie_opens_one_instance_for_one_purpose() -> None:
    identity = Identity(KEYS, lambda: NOW)
    mine, other = _browser_cookie(identity), _browser_cookie(identity)
    id = _own(identity, mine)
    assert identity.noticed(_request(mine), identity.ticket(id)) == id
    assert identity.noticed(_request(other), identity.ticket(id)) is None
    assert identity.noticed(_request(mine), identity.ticket(_own(identity, other))) is None
    assert identity.noticed(_request(mine), _tab_cookie(KEYS, instance=id)) is None
    assert identity.noticed(_request(f"browser={_tab_cookie(KEYS)}"), identity.ticket(id)) is None
    assert not _is_tab(identity, identity.ticket(id), id)
    assert not _is_tab(identity, mine.partition("=")[2], id)
    assert not _is_tab(identity, _tab_cookie(KEYS), "f" * 32)


@given(
    one=st.tuples(st.text("0123456789abcdef", min_size=32, max_size=32), st.text(max_size=32)),
    other=st.tuples(st.text("0123456789abcdef", min_size=32, max_size=32), st.text(max_size=32)),
)
def test_one_form_of_one_browser_for_one_account_is_one_login(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = "a" * 32, "b" * 32
    assert login_number(first, *one) == login_number(first, *one)
    assert login_number(first, *one) != login_number(second, *one)
    assert (login_number(first, *one) == login_number(first, *other)) is (one == other)
    assert re.fullmatch("[0-9a-f]{32}", login_number(first, *one))


@pytest.mark.parametrize(
    ("age", "welcome"),
    [(0, True), (-59, True), (-62, False), (-DAY, False), (7 * DAY - 1, True), (7 * DAY + 2, False), (NOW - 1, False)],
)
def test_a_cookie_is_good_for_its_time(age: float, welcome: bool) -> None:
    assert _is_tab(Identity(KEYS, lambda: NOW), _tab_cookie(KEYS, NOW - age), ID) is welcome


def test_a_notice_is_good_for_ten_minutes() -> None:
    identity = Identity(KEYS, lambda: NOW)
    mine = _browser_cookie(identity)
    id = _own(identity, mine)
    for age, welcome in ((0, True), (599, True), (602, False), (-59, True), (-62, False)):
        ticket = Identity(KEYS, lambda age=age: NOW - age).ticket(id)  # type: ignore[misc]
        assert (identity.noticed(_request(mine), ticket) == id) is welcome, age


def test_a_choice_is_good_for_two_minutes_in_one_browser_and_for_one_purpose() -> None:
    identity = Identity(KEYS, lambda: NOW)
    mine, other = _browser_cookie(identity), _browser_cookie(identity)
    login = PendingLogin(_own(identity, mine), Ticket("alice", 1, 2, 3), ("b", "a"))
    for age, welcome in ((0, True), (119, True), (122, False), (-59, True), (-62, False)):
        token = Identity(KEYS, lambda age=age: NOW - age).choice(login)  # type: ignore[misc]
        assert identity.pending(_request(mine), token) == (login if welcome else None), age
        assert identity.pending(_request(other), token) is None
        assert identity.pending(_request(""), token) is None
    for foreign in (identity.ticket(login.id), identity.proof(login.id), _tab_cookie(KEYS, instance=login.id), ""):
        assert identity.pending(_request(mine), foreign) is None
    token = identity.choice(login)
    assert identity.noticed(_request(mine), token) is None
    assert identity.proven(_request(mine), token) is None
    for at in range(0, len(token), 7):
        assert (
            identity.pending(_request(mine), f"{token[:at]}{'A' if token[at] != 'A' else 'B'}{token[at + 1 :]}") is None
        )


def test_the_newest_key_signs_and_the_older_ones_still_verify() -> None:
    identity = Identity(KEYS, lambda: NOW)
    for key in KEYS:
        assert _is_tab(identity, _tab_cookie([key]), ID)
    assert not _is_tab(identity, _tab_cookie(["a-key-nobody-has-listed"]), ID)
    assert _is_tab(Identity(KEYS[-1:], lambda: NOW), _tab_cookie(KEYS), ID)
    for key in KEYS[:-1]:
        assert not _is_tab(Identity([key], lambda: NOW), _tab_cookie(KEYS), ID)


def test_a_change_of_keys_logs_nobody_out(make_server: MakeServer) -> None:
    server = make_server()
    tab = log_in(server, "key-change")
    server.terminate()
    server.settings |= {"SECRET_KEY": "the-key-that-follows-it", "SECRET_KEY_FALLBACKS": f'["{SECRET_KEY}"]'}
    server.start()
    page = tab.gets()
    assert page.status == 200
    renewed = f"tab={page.cookies()['tab']}"
    server.terminate()
    del server.settings["SECRET_KEY_FALLBACKS"]
    server.start()
    assert tab.gets().location == "/login"
    assert get(server, tab.path, cookie=renewed).status == 200


def test_every_login_makes_a_new_id_of_128_bits(roomy: Server) -> None:
    ids = {log_in(roomy, "ids").instance for _ in range(20)}
    assert len(ids) == 20
    assert all(len(id) == 34 and int(id, 16) >= 0 for id in ids)
    assert Path(roomy.home / "tim.db").exists()


def test_a_clock_that_is_set_back_makes_no_stranger_of_a_tab_that_was_here() -> None:
    now = [NOW]
    identity = Identity(KEYS, lambda: now[0])
    cookie = _tab_cookie(KEYS, NOW + 1800)
    assert not _is_tab(identity, cookie, ID), "it is dated in the future"
    now[0] += 3600
    assert _is_tab(identity, cookie, ID)
    now[0] -= 3600
    assert _is_tab(identity, cookie, ID)
    assert not _is_tab(identity, _tab_cookie(KEYS, NOW + 3600 + 90), ID)
    assert not _is_tab(Identity(KEYS, lambda: now[0]), cookie, ID), (
        "a process that has begun since knows of no later time"
    )
