"""The login form: one form is one login, and a login whose cookie does not arrive takes nothing from anybody."""

from __future__ import annotations

import json
import re
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import BrowserContext, Playwright, Response, expect

from tests.support.browser import FLAGS, MILLISECONDS
from tests.support.server import Server
from tests.support.waiting import PATIENCE, always
from tests.support.wire import Answer, ScriptTab, answer_to, browser_cookie, element, get, log_in, post, post_login
from tests.web.conftest import MakePerson, MakeServer, NewWindow


def opened_form(server: Server, user_id: str) -> tuple[str, dict[str, str]]:
    """A login page that a browser has open: its cookie, and what its form will send."""
    page = get(server, f"/login?userID={user_id}")
    number = re.search(r'name="form" value="([0-9a-f]{32})"', page.body)
    assert number
    cookie = f"browser={page.cookies()['browser']}"
    return cookie, {"userID": user_id, "userSig": server.user_sig(user_id), "form": number[1]}


def tab_of(server: Server, answer: Answer, user_id: str, browser: str) -> ScriptTab:
    assert answer.status == 303, answer.body
    return ScriptTab(server, user_id, answer.location.split("/")[-2], answer.cookies()["tab"], browser)


class SlowPost:
    """A form on its way: all but its last byte is sent."""

    def __init__(self, server: Server, cookie: str, form: dict[str, str]) -> None:
        body = urlencode(form).encode()
        head = (
            f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\nCookie: {cookie}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._last = body[-1:]
        self._line = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self._line.sendall(head.encode() + body[:-1])

    def ends(self) -> str:
        """Send the rest; where the answer leads to."""
        with self._line as line:
            line.sendall(self._last)
            said = b""
            while data := line.recv(65536):
                said += data
        place = re.search(rb"(?i)\r\nLocation: (\S+)", said)
        assert place, said
        return place[1].decode()


@pytest.mark.parametrize("gevent", [False, True], ids=["threads", "gevent"])
def test_a_form_that_is_sent_twice_is_one_login(gevent: bool, make_server: MakeServer) -> None:
    server = make_server(gevent=gevent)
    cookie, form = opened_form(server, "double")
    first = SlowPost(server, cookie, form)
    tab = tab_of(server, post(server, "/login", form, cookie=cookie), "double", cookie)
    stream = tab.goes_online()
    assert first.ends() == tab.path
    stream.hears_nothing(0.3)
    assert tab.instances() == {tab.instance: "online"}


def test_a_form_that_is_sent_many_times_at_once_is_one_login(server: Server) -> None:
    cookie, form = opened_form(server, "impatient")
    sent = [SlowPost(server, cookie, form) for _ in range(8)]
    places: list[str] = []
    threads = [threading.Thread(target=lambda one=one: places.append(one.ends())) for one in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(places) == 8 and len(set(places)) == 1


def test_a_double_click_opens_one_tab_that_stays(server: Server, person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.fills_in()
    tab.page.dblclick("#login")
    tab.is_ready()
    tab.stays("ready", 0.5)
    tab.lists("online")
    assert tab.states() in (["not-ready", "ready"], ["ready"])


def test_two_forms_of_one_browser_are_two_logins_and_so_are_two_accounts(roomy: Server) -> None:
    cookie, form = opened_form(roomy, "two-forms")
    _, other = opened_form(roomy, "two-forms")
    bob = form | {"userID": "twice-bob", "userSig": roomy.user_sig("twice-bob")}
    places = {post(roomy, "/login", each, cookie=cookie).location for each in (form, other, bob, form)}
    assert len(places) == 3 and "" not in places


def test_a_form_whose_login_has_ended_says_so_and_the_next_press_logs_in(server: Server) -> None:
    cookie, form = opened_form(server, "reused")
    tab = tab_of(server, post(server, "/login", form, cookie=cookie), "reused", cookie)
    late = SlowPost(server, cookie, form)
    tab.posts("logout")
    used_up = post(server, "/login", form, cookie=cookie)
    assert used_up.status == 400 and not used_up.set_cookies()
    error = element(used_up.body, "login-error")
    assert error and "press Log in again" in error.text
    kept = element(used_up.body, "userSig")
    assert kept and kept.attributes["value"] == form["userSig"]
    number = re.search(r'name="form" value="([0-9a-f]{32})"', used_up.body)
    assert number and number[1] != form["form"]
    again = tab_of(server, post(server, "/login", form | {"form": number[1]}, cookie=cookie), "reused", cookie)
    stream = again.goes_online()
    with pytest.raises(AssertionError, match="400"):
        late.ends()  # what was under way all the time evicts nobody either
    stream.hears_nothing(0.3)


def test_back_to_a_form_that_has_logged_in_logs_in_anew(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    first = tab.instance
    tab.logs_out()
    tab.page.go_back()
    tab.page.go_back()
    tab.is_on_the_login_page()
    tab.page.fill("#userID", alice.user_id)
    tab.page.fill("#userSig", alice.server.user_sig(alice.user_id))
    tab.page.click("#login")
    tab.is_ready()
    assert tab.instance != first


# Cookies that do not arrive


COOKIES: dict[str, Callable[[str], str]] = {
    "none": lambda browser: "",
    "empty": lambda browser: "browser=",
    "altered": lambda browser: browser[:-1],
    "a bare number": lambda browser: f"browser={'0' * 32}",
}


@pytest.mark.parametrize("what", COOKIES)
def test_a_login_whose_cookie_does_not_arrive_says_what_to_do_and_evicts_nobody(what: str, server: Server) -> None:
    tab = log_in(server, "no-cookies")
    stream = tab.goes_online()
    _, form = opened_form(server, "no-cookies")
    cookie = COOKIES[what](browser_cookie(server))
    answer = post(server, "/login", form, cookie=cookie)
    assert answer.status == 400
    error = element(answer.body, "login-error")
    assert error and error.text.startswith("70402") and "allow cookies" in error.text
    assert list(answer.cookies()) == ["browser"], "for a browser that takes it after all"
    stream.hears_nothing(0.2)
    assert tab.instances() == {tab.instance: "online"}
    assert post(server, "/login", form, cookie=f"browser={answer.cookies()['browser']}").status == 303


def test_what_is_wrong_with_a_usersig_is_said_first(server: Server) -> None:
    wrong = server.user_sig("somebody-forged")
    assert post(server, "/login", {"userID": "no-cookies-either", "userSig": wrong}).status == 401


def test_a_browser_that_blocks_cookies_is_told_so(
    server: Server, person: MakePerson, playwright: Playwright, tmp_path: Path
) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    (tmp_path / "Default").mkdir()
    blocking = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(blocking))
    # The headless shell reads no preferences.
    whole = shutil.which("chromium")
    window = playwright.chromium.launch_persistent_context(tmp_path, executable_path=whole, args=FLAGS)
    try:
        blocked = person("blocked", window=window)
        blocked.user_id = alice.user_id
        page = blocked.fills_in().page
        for _ in range(2):
            page.click("#login")
            expect(page.locator("#login-error")).to_contain_text("allow cookies", timeout=MILLISECONDS)
            expect(page.locator("#userSig")).not_to_have_value("")
        assert window.cookies() == []
    finally:
        window.close()
    tab.stays("ready", 0.3)
    tab.lists("online")


def test_a_link_on_another_site_does_not_cost_a_browser_its_cookie(person: MakePerson, server: Server) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    before = {c.get("value") for c in alice.window.cookies() if c.get("name") == "browser"}
    page = alice.window.new_page()
    page.goto(f"data:text/html,<a href='{server.address}/login?userID={alice.user_id}'>log in</a>")
    page.click("a")
    expect(page.locator("#userID")).to_have_value(alice.user_id, timeout=MILLISECONDS)
    assert {c.get("value") for c in alice.window.cookies() if c.get("name") == "browser"} == before
    alice.logs_in_by_script()
    tab.is_kicked_out("multipleAccount")


def test_a_link_on_another_site_opens_the_login_page_of_a_new_browser(new_window: NewWindow, server: Server) -> None:
    page = new_window().new_page()
    page.goto(f"data:text/html,<a href='{server.address}/'>log in</a>")
    page.click("a")
    page.fill("#userID", "by-link")
    page.fill("#userSig", server.user_sig("by-link"))
    page.click("#login")
    expect(page.locator("#sdk-state")).to_have_attribute("data-state", "ready", timeout=MILLISECONDS)


# Without scripts, and without htmx


def _window(kind: str, new_window: NewWindow) -> BrowserContext:
    window = new_window(java_script_enabled=kind != "no JavaScript")
    if kind == "htmx blocked":
        window.route("**/htmx-*.js?*", lambda route: route.abort())
    return window


@pytest.mark.parametrize("kind", ["no JavaScript", "htmx blocked"])
def test_without_its_scripts_a_page_does_what_a_form_can_and_says_the_rest(
    kind: str, server: Server, new_window: NewWindow
) -> None:
    page = _window(kind, new_window).new_page()
    user = f"plain-{kind[:2]}"
    page.goto(f"{server.address}/login?userID={user}")
    page.click("#generate-usersig")
    expect(page.locator("#userSig")).not_to_have_value("")
    expect(page.locator("#userID")).to_have_value(user)
    page.click("#login")
    expect(page.locator("#login-user")).to_have_text(user)
    words = page.locator("noscript .help" if kind == "no JavaScript" else "#no-htmx")
    expect(words).to_be_visible(timeout=MILLISECONDS)
    expect(page.locator("#no-socket")).to_be_hidden()
    page.click("#logout")
    expect(page.locator("#login-form")).to_be_visible()


def test_enter_in_the_form_logs_in_and_makes_no_usersig(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.fills_in()
    asked: list[str] = []
    tab.page.on("response", lambda response: asked.append(_path(response)))
    tab.page.press("#userSig", "Enter")
    tab.is_ready()
    assert "/usersig" not in asked


def _path(response: Response) -> str:
    return "/" + response.url.split("/", 3)[3]


def test_a_tab_whose_socket_does_not_open_says_what_to_do(person: MakePerson, new_window: NewWindow) -> None:
    alice = person("alice", window=new_window(own=True))
    alice.window.route_web_socket("**/events*", lambda socket: None)
    tab = alice.fills_in()
    tab.page.click("#login")
    expect(tab.page.locator("#no-socket")).to_be_visible(timeout=MILLISECONDS)
    expect(tab.page.locator("#no-htmx")).to_have_count(0)
    tab.is_quiet()


def test_a_tab_that_is_ready_shows_no_such_words(person: MakePerson) -> None:
    tab = person("alice").logs_in()
    always(lambda: not tab.page.locator(".help").first.is_visible(), "words of trouble without any", 0.5)
    expect(tab.page.locator("#no-socket")).to_be_hidden()


# Bodies that are none


BODIES = {
    "no size": b"zz\r\nabc\r\n0\r\n\r\n",
    "a size below zero": b"-5\r\nabc",
    "no end of a chunk": b"5\r\nabcdeXX0\r\n\r\n",
    "cut": b"5\r\nab",
    "a huge size": b"fffffffffffffffff\r\nabc",
    "a bad trailer": b"3\r\nabc\r\n0\r\n:::\r\n\r\n",
}


@pytest.mark.parametrize("gevent", [False, True], ids=["threads", "gevent"])
def test_a_body_that_cannot_be_read_is_answered_with_400(gevent: bool, make_server: MakeServer) -> None:
    server = make_server(gevent=gevent)
    for what, body in BODIES.items():
        tab = log_in(server, "chunks")
        for path in ("/login", "/usersig", f"{tab.path}messages"):
            for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
                said = _chunked(server, path, kind, f"{tab.cookie}; {tab.browser}", body)
                assert said.startswith(b"HTTP/1.1 4"), (what, path, kind, said[:200])
    server.has_no_traceback()


def _chunked(server: Server, path: str, kind: str, cookie: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nCookie: {cookie}\r\n"
        f"Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return answer_to(server, head.encode() + body)


def test_a_login_by_a_script_needs_no_number_and_is_each_time_a_new_one(roomy: Server) -> None:
    browser = browser_cookie(roomy)
    assert len({post_login(roomy, "by-script", cookie=browser).location for _ in range(2)}) == 2
