"""Limit reached: who logs in is in, who has to leave is told why, at once, and stays out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.support.browser import seconds_since
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.waiting import always
from tests.support.wire import ask_for_socket, browser_cookie, element, get, log_in, login_page_of, path_of, post
from tests.web.conftest import MakePerson, MakeServer, NewWindow
from tim.ends import CLOSE_RESTART

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def test_the_second_login_sends_the_first_tab_to_the_login_page(person: MakePerson) -> None:
    alice = person("alice")
    first = alice.logs_in(tab="A")
    second = alice.fills_in(tab="B")
    clicked = time.monotonic()
    second.page.click("#login")
    first.is_kicked_out("multipleAccount")
    assert seconds_since(clicked) < 3
    assert first.states() == ["not-ready", "ready", "kicked-out"]
    assert first.events() == ["sdkStateReady", "kickedOut", "sdkStateNotReady"]
    second.is_ready()
    second.lists("online")
    second.stays("ready", 1)
    assert second.events() == ["sdkStateReady"]


def test_the_notice_says_when_and_from_which_browser_and_address(person: MakePerson) -> None:
    alice = person("alice")
    first = alice.logs_in()
    before = datetime.now(UTC)
    alice.logs_in_by_script(agent=FIREFOX)
    notice = first.is_kicked_out("multipleAccount")
    expect(notice.locator(".by-browser")).to_have_text("Firefox 140 on Windows")
    expect(notice.locator(".by-address")).to_have_text("127.0.0.1")
    said = datetime.fromisoformat(notice.locator("time").get_attribute("datetime") or "")
    assert -1 <= (said - before).total_seconds() <= 5
    whole = re.compile(r"\d\d:\d\d:\d\d UTC")
    expect(notice.locator("time")).to_have_text("just now")
    expect(notice.locator("time")).to_have_attribute("title", whole)
    expect(notice).to_contain_text(whole)  # stays true while the page stays open
    expect(notice).to_contain_text(alice.user_id)


def test_under_the_notice_stands_the_form_to_log_in_again(person: MakePerson) -> None:
    alice = person("alice")
    first = alice.logs_in()
    second = alice.logs_in_by_script()
    stream = second.goes_online()
    first.is_kicked_out("multipleAccount")
    first.page.click("#log-in-again")
    expect(first.page.locator("#userID")).to_have_value(alice.user_id)
    expect(first.page).to_have_title(re.compile(f"^{alice.user_id} was signed out"))
    first.is_kicked_out("multipleAccount")
    first.page.fill("#userSig", alice.server.user_sig(alice.user_id))
    first.page.click("#login")
    first.is_ready()
    assert stream.is_closed() == 4001


def test_with_two_places_the_third_login_sends_the_oldest_away(
    shared_server: Callable[[int], Server], person: MakePerson
) -> None:
    alice = person("alice", on=shared_server(2))
    a1, a2 = alice.logs_in("a1"), alice.logs_in("a2")
    a1.is_ready()
    a1.lists("online", "online")
    a3 = alice.logs_in("a3")
    a1.is_kicked_out("multipleAccount")
    for tab in (a2, a3):
        tab.lists("online", "online")
        tab.stays("ready", 0.5)
        assert tab.events() == ["sdkStateReady"]


def test_back_leads_an_evicted_tab_to_its_reason_and_nowhere_else(person: MakePerson) -> None:
    alice = person("alice")
    first = alice.logs_in("A")
    old_address = first.page.url
    second = alice.logs_in("B")
    first.is_kicked_out("multipleAccount")
    first.page.go_back()
    first.is_on_the_login_page()
    first.page.goto(old_address)
    first.is_kicked_out("multipleAccount")
    first.page.reload()
    first.is_kicked_out("multipleAccount")
    assert first.states() == ["not-ready", "ready", "kicked-out"]
    second.stays("ready", 0.5)
    second.lists("online")


def test_the_old_cookie_of_an_evicted_tab_opens_no_route(server: Server) -> None:
    old = log_in(server, "replayed")
    old.goes_online()
    new = log_in(server, "replayed")
    stream = new.goes_online()
    answers = {
        "page": old.gets(),
        "page without slash": get(server, old.path[:-1], cookie=old.cookie),
        "messages": old.posts("messages", {"to": "replayed", "text": "from the past"}),
        "messages by htmx": old.posts("messages", {"to": "replayed", "text": "from the past"}, htmx=True),
        "sign out the new one": old.posts(f"instances/{new.instance}/logout"),
        "sign out itself": old.posts(f"instances/{old.instance}/logout"),
        "logout": old.posts("logout"),
    }
    for what, answer in answers.items():
        place = answer.header("HX-Redirect") or answer.location
        assert answer.status in (200, 303, 308), (what, answer.status)
        assert path_of(place).startswith(("/login", old.path)), (what, place)
        assert "tab" not in answer.cookies() or answer.cookies()["tab"] == "", what
        assert "from the past" not in answer.body, what
    line = old.attaches()
    assert line.is_closed() == 4001
    assert not any('data-state="ready"' in frame for frame in line.frames)
    stream.hears_nothing(0.5)
    assert new.instances() == {new.instance: "online"}
    # Its reason stays the first one, also after all that.
    assert 'data-type="multipleAccount"' in login_page_of(old)


def test_the_reason_is_shown_to_nobody_without_the_cookie_of_its_browser(server: Server) -> None:
    old, other = log_in(server, "discreet"), log_in(server, "indiscreet")
    log_in(server, "discreet", headers={"User-Agent": FIREFOX})
    log_in(server, "indiscreet")
    assert element(login_page_of(old), "kicked-out")
    place = path_of(old.gets().location)
    bare = f"/login?userID=discreet&tab={old.instance}"
    others = path_of(other.gets().location)
    value = old.browser.partition("=")[2]
    for path, cookie in (
        (place, ""),
        (place, "browser="),
        (place, other.browser),
        (place, f"browser={old.value}"),  # made for another purpose
        (place, f"browser={value[:-1]}"),
        (place, f"tab={old.value}"),
        (bare, old.browser),
        (bare, f"{old.browser}; {old.cookie}"),
        (place[:-1], old.browser),
        (others, old.browser),
    ):
        page = get(server, path, cookie=cookie).body
        assert element(page, "kicked-out") is None, (path, cookie)
        assert "Firefox 140" not in page, (path, cookie)
    assert get(server, old.path).location == "/login"
    assert get(server, old.path, cookie=other.browser).location == "/login"
    assert not get(server, old.path).cookies()


def test_the_reason_is_told_again_when_the_tab_s_cookie_is_gone(server: Server) -> None:
    old = log_in(server, "asks-twice")
    log_in(server, "asks-twice")
    assert element(login_page_of(old), "kicked-out")
    again = get(server, old.path, cookie=old.browser)
    assert (again.status, again.cookies()) == (303, {})
    assert element(get(server, path_of(again.location), cookie=old.browser).body, "kicked-out")


def test_the_end_of_a_tab_is_in_a_cookie_that_its_own_notice_alone_uses_and_once(server: Server) -> None:
    browser = browser_cookie(server)
    old, other = (log_in(server, user, browser=browser) for user in ("carried", "carried-too"))
    for user in ("carried", "carried-too"):
        log_in(server, user, headers={"User-Agent": FIREFOX})
    ended, others = (get(server, tab.path, cookie=f"{browser}; {tab.cookie}") for tab in (old, other))
    [header] = [each for each in ended.headers["set-cookie"] if each.startswith("notice=")]
    assert all(word in header for word in ("; Path=/login", "; HttpOnly", "; SameSite=Strict", "; Max-Age=60"))
    own, anothers = (f"notice={each.cookies()['notice']}" for each in (ended, others))
    place = path_of(ended.location)

    shown = get(server, place, cookie=f"{browser}; {own}")
    assert element(shown.body, "kicked-out")
    assert "Firefox 140" in shown.body
    assert shown.cookies() == {"notice": ""}
    for cookie in (browser, f"{browser}; {anothers}", f"{browser}; {own[:-9]}", f"{browser}; notice={old.value}"):
        again = get(server, place, cookie=cookie)
        assert element(again.body, "kicked-out"), "it reads the store"
        assert "notice" not in again.cookies()
    strangers = (own, f"{own}; {browser_cookie(server)}", f"{own}; {old.cookie}")
    for path, cookies in ((place, strangers), ("/login", (f"{browser}; {own}",))):
        for cookie in cookies:
            assert "Firefox 140" not in get(server, path, cookie=cookie).body, (path, cookie)


def test_a_hidden_tab_is_told_at_once(person: MakePerson) -> None:
    alice = person("alice")
    first = alice.logs_in("A")
    # Headless Chromium shows every page; so the page is told that it is hidden, as a tab in the background is.
    first.page.evaluate(
        """() => {
            Object.defineProperty(document, 'visibilityState', {get: () => 'hidden'});
            Object.defineProperty(document, 'hidden', {get: () => true});
            document.dispatchEvent(new Event('visibilitychange', {bubbles: true}));
        }"""
    )
    first.stays("ready", 1)
    alice.logs_in_by_script()
    first.is_kicked_out("multipleAccount", patience=3)


@pytest.mark.parametrize("failure", ["cuts", "swallows"])
def test_a_tab_that_was_cut_off_while_it_was_evicted_hears_why_when_it_is_back(
    failure: str, make_server: MakeServer, make_proxy: Callable[[Server], Proxy], person: MakePerson
) -> None:
    server = make_server()
    proxy = make_proxy(server)
    alice = person("alice", on=server, through=proxy.address)
    first = alice.logs_in("A")
    getattr(proxy, failure)()
    if failure == "cuts":
        first.is_reconnecting()
    second = alice.logs_in_by_script()
    stream = second.goes_online()
    always(lambda: first.page.locator("#kicked-out").count() == 0, "told over a dead line", 1)
    proxy.passes()
    first.is_kicked_out("multipleAccount")
    assert "ready" not in first.states()[2:], first.states()
    stream.hears_nothing(1)
    assert second.instances() == {second.instance: "online"}


def test_a_usersig_that_runs_out_ends_the_tab_with_that_reason(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in(expire=4)
    assert tab.events() == ["sdkStateReady"]
    tab.is_kicked_out("userSigExpired", patience=4 + 10 + 3)
    assert tab.events() == ["sdkStateReady", "kickedOut", "sdkStateNotReady"]
    expect(tab.page.locator("#kicked-out .by-browser")).to_have_count(0)


def test_a_kicked_page_never_comes_back_by_itself(make_server: MakeServer, person: MakePerson) -> None:
    server = make_server()
    alice = person("alice", on=server)
    first = alice.logs_in("A")
    # Kept from the login page, it is a kicked page that stays open: it must open no socket again.
    first.page.route("**/im/*/", lambda route: route.abort())
    sockets: list[str] = []
    first.page.on("websocket", lambda socket: sockets.append(socket.url))
    second = alice.logs_in("B")
    first.shows("kicked-out")
    first.stays("kicked-out", 4)
    assert sockets == []
    second.is_ready()
    assert second.states() == ["not-ready", "ready"]
    # Once it gets there, it stays there: through a restart as well.
    first.page.unroute("**/im/*/")
    first.is_kicked_out("multipleAccount")
    server.terminate()
    server.start()
    second.is_ready()
    always(lambda: first.page.locator("#kicked-out").count() == 1, "left the login page", 2)


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(("end", "code"), [("kick", 4001), ("expiry", 4003), ("logout", 4005), ("remote logout", 4005)])
def test_the_end_of_an_instance_closes_its_stream_for_good(roomy: Server, end: str, code: int) -> None:
    user = f"ends-by-{end.replace(' ', '-')}"
    tab = log_in(roomy, user, roomy.user_sig(user, 3) if end == "expiry" else None)
    stream = tab.goes_online()
    if end == "kick":
        others = [log_in(roomy, user) for _ in range(2)]
        assert [other.goes_online().status for other in others] == [101, 101]
        others.append(log_in(roomy, user))
    elif end == "logout":
        tab.posts("logout")
    elif end == "remote logout":
        other = log_in(roomy, user)
        other.posts(f"instances/{tab.instance}/logout")
    assert stream.is_closed() == code
    # Whoever asks again hears the same, every time.
    for _ in range(2):
        again = tab.attaches()
        assert again.is_closed() == code
        assert not any('data-state="ready"' in frame for frame in again.frames)


def test_the_event_comes_before_the_close(server: Server) -> None:
    tab = log_in(server, "in-order")
    stream = tab.goes_online()
    log_in(server, "in-order")
    assert stream.is_closed() == 4001
    assert 'data-event="kickedOut"' in stream.frames[-1]
    assert stream.frames[-1].index("kickedOut") < stream.frames[-1].index("sdkStateNotReady")


def test_in_greenlets_too_the_second_login_ends_the_first(make_server: MakeServer, person: MakePerson) -> None:
    server = make_server(gevent=True)
    alice, bob = person("alice", on=server), person("bob", on=server)
    first, script = alice.logs_in("first"), bob.logs_in_by_script()
    stream = script.goes_online()
    second = alice.logs_in("second")
    bob.logs_in_by_script()
    first.is_kicked_out("multipleAccount")
    second.stays("ready", 1)
    assert stream.is_closed() == 4001
    server.has_no_traceback()


def test_two_tabs_that_evict_each_other_leave_no_trace_in_their_browser(
    server: Server, person: MakePerson, rounds: int
) -> None:
    alice = person("alice")
    tabs = [alice.opens(f"/login?userID={alice.user_id}", name) for name in "AB"]
    sig = server.user_sig(alice.user_id)
    for n in range(4 * rounds):
        tab, other = tabs[n % 2], tabs[1 - n % 2]
        tab.page.fill("#userSig", sig)
        tab.page.click("#login")
        tab.is_ready()
        if n:
            other.is_kicked_out("multipleAccount")
    kept = sorted((str(cookie.get("name")), str(cookie.get("path"))) for cookie in alice.window.cookies())
    assert kept == [("browser", "/"), ("tab", f"/im/{tabs[1].instance}")]


def test_after_a_restart_code_a_tab_comes_back(make_server: MakeServer, person: MakePerson) -> None:
    server = make_server(ONLINE_WEB_INSTANCES="2")
    alice = person("alice", on=server)
    tab, script = alice.logs_in(), alice.logs_in_by_script()
    stream = script.goes_online()
    server.terminate()
    assert stream.is_closed() == CLOSE_RESTART
    tab.is_reconnecting()
    server.start()
    tab.is_ready()


def test_a_login_evicts_a_closed_tab_before_any_live_one(
    shared_server: Callable[[int], Server], person: MakePerson
) -> None:
    alice = person("alice", on=shared_server(2))
    old, young = alice.logs_in("old"), alice.logs_in("young")
    young.closes()
    old.lists("online", "detached")
    new = alice.logs_in("new")
    new.lists("online", "online")
    old.stays("ready", 1)
    assert old.instance in new.instances()


def test_an_account_evicts_only_its_own_tabs(person: MakePerson, new_window: NewWindow) -> None:
    window = new_window()
    alice, bob = person("alice", window=window), person("bob", window=window)
    hers, his = alice.logs_in(), bob.logs_in()
    alice.logs_in_by_script()
    hers.is_kicked_out("multipleAccount")
    his.stays("ready", 0.5)


def test_a_refused_login_evicts_nobody(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    for sig in ("", "nonsense", alice.server.user_sig("another")):
        assert post(alice.server, "/login", {"userID": alice.user_id, "userSig": sig}).status == 401
    tab.stays("ready", 0.5)
    tab.lists("online")


def test_an_evicted_tab_is_let_in_to_hear_why_and_a_stranger_is_not(server: Server) -> None:
    tab = log_in(server, "told")
    log_in(server, "told")
    headers = {"Origin": server.address, "Cookie": tab.cookie}
    assert ask_for_socket(server, tab.path + "events", headers).startswith(b"HTTP/1.1 101")
    stranger = {"Origin": server.address}
    assert b" 403 " in ask_for_socket(server, tab.path + "events", stranger).split(b"\r\n")[0]
