"""A tab keeps its place through reloads, sleep and bad lines, and gives it up when it is gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Playwright, expect

from tests.support.browser import CHROMIUM, FLAGS, RECORDER, Person, Tab
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.waiting import always, until
from tests.support.wire import ScriptTab, get, log_in
from tests.web.conftest import MakePerson, MakeServer, NewWindow
from tim.timing import Timing

OwnBrowser = Callable[..., Browser]


@pytest.fixture
def own_browser(playwright: Playwright) -> Iterator[OwnBrowser]:
    """A browser that a test may stop, kill or start with other flags."""
    made: list[Browser] = []

    def make(*, without: list[str] | None = None) -> Browser:
        made.append(playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, ignore_default_args=without))
        return made[-1]

    yield make
    for browser in made:
        browser.close()


@pytest.fixture
def two_places(shared_server: Callable[[int], Server]) -> Server:
    return shared_server(2)


def processes_of(browser: Browser, kind: str) -> list[int]:
    """The processes of a browser that are its `renderer`s, or the `browser` itself."""
    answer = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
    return [int(one["id"]) for one in answer["processInfo"] if one["type"] == kind]


# Reload


def test_reloads_at_the_limit_evict_nobody_and_keep_the_place(
    two_places: Server, person: MakePerson, rounds: int
) -> None:
    alice = person("alice", on=two_places)
    other, tab = alice.logs_in("other"), alice.logs_in("reloaded")
    instance, since = tab.instance, tab.since()
    for _ in range(8 * rounds):
        tab.reloads()
        tab.is_ready()
    assert (tab.instance, tab.since()) == (instance, since)
    other.lists("online", "online")
    assert other.states() == ["not-ready", "ready"]
    assert other.events() == ["sdkStateReady"]
    assert set(tab.states()) == {"not-ready", "ready"}
    assert tab.events() == ["sdkStateReady"] * (8 * rounds + 1)


def test_reloads_that_interrupt_each_other_keep_the_place(two_places: Server, person: MakePerson) -> None:
    alice = person("alice", on=two_places)
    other, tab = alice.logs_in("other"), alice.logs_in("reloaded")
    instance, since = tab.instance, tab.since()
    for _ in range(10):
        with suppress(Error):  # the page was left before it answered, which is the point
            tab.page.reload(wait_until="commit")
    tab.is_ready()
    assert (tab.instance, tab.since()) == (instance, since)
    other.lists("online", "online")
    assert other.events() == ["sdkStateReady"]
    tab.stays("ready", 1)


def test_a_stream_that_closes_late_takes_nothing_from_the_one_after_it(server: Server) -> None:
    tab = log_in(server, "late-close")
    old, new = tab.goes_online(), tab.goes_online()
    assert old.is_closed() == 4008
    old.leaves()
    new.hears_nothing(0.5)
    assert tab.instances() == {tab.instance: "online"}


# Duplicate


def duplicated(person: Person) -> tuple[Tab, Tab]:
    """A tab that logged in, and the page that the browser makes of it when it duplicates the tab."""
    original = person.logs_in("original")
    copy = Tab(person.window.new_page(), person.server, "copy", person.user_id)
    copy.page.goto(original.page.url)
    return original, copy


def test_a_duplicated_tab_is_one_instance_and_one_live_stream(person: MakePerson) -> None:
    alice = person("alice")
    original, copy = duplicated(alice)
    copy.is_ready()
    original.has_moved()
    sockets: list[str] = []
    for tab in (original, copy):
        tab.page.on("websocket", lambda socket: sockets.append(socket.url))
    copy.stays("ready", 3)
    original.stays("moved", 1)
    assert sockets == [], "the two pages fight for the stream"
    copy.lists("online")
    assert copy.events() == ["sdkStateReady"]
    assert "kickedOut" not in original.events()

    original.page.click("#use-here")
    original.is_ready()
    copy.has_moved()
    sockets.clear()
    original.stays("ready", 2)
    copy.stays("moved", 1)
    assert sockets == [], "the two pages fight for the stream"
    original.lists("online")


def test_the_moved_page_is_sent_away_with_its_tab(person: MakePerson) -> None:
    alice = person("alice")
    original, copy = duplicated(alice)
    copy.is_ready()
    original.has_moved()
    alice.logs_in_by_script()
    copy.is_kicked_out("multipleAccount")
    # The moved page has no stream; it asks every ten seconds whether its tab is still one.
    original.page.wait_for_url("**/login?*", timeout=20_000)
    original.is_kicked_out("multipleAccount")


def test_what_takes_a_moved_tab_back_is_a_button(person: MakePerson) -> None:
    alice = person("alice")
    original, _ = duplicated(alice)
    original.has_moved()
    original.page.get_by_role("button", name="Use it here").click()
    original.is_ready()


def test_a_moved_page_that_takes_its_tab_back_has_all_messages_and_what_was_typed_in_it(person: MakePerson) -> None:
    alice = person("alice")
    original, copy = duplicated(alice)
    copy.is_ready()
    original.has_moved()
    original.page.fill("#text", "half a sen")
    for text in ("one", "two"):
        copy.sends(alice.user_id, text)
        expect(copy.page.locator("#text")).to_have_value("")
    copy.reads("one", "two")
    original.page.focus("#use-here")
    original.page.keyboard.press("Enter")
    original.is_ready()
    copy.has_moved()
    original.reads("one", "two")
    expect(original.page.locator("#text")).to_have_value("half a sen")
    expect(original.page.locator("#instances-title")).to_be_focused()
    original.sends(alice.user_id, "three")
    original.reads("one", "two", "three")
    original.is_quiet()


# Two accounts


def test_two_accounts_in_two_tabs_of_one_browser_never_mix(person: MakePerson, new_window: NewWindow) -> None:
    window = new_window(own=True)
    alice, bob = person("alice", window=window), person("bob", window=window)
    hers, his = alice.logs_in(), bob.logs_in()
    sent: list[tuple[str, str]] = []
    window.on("request", lambda request: sent.append((request.url, request.all_headers().get("cookie", ""))))
    for tab in (hers, his, hers):
        tab.reloads()
        tab.is_ready()
        tab.lists("online")
    hers.sends(bob.user_id, "from alice")
    his.reads("from alice")
    his.sends(alice.user_id, "from bob")
    hers.reads("from alice", "from bob")
    assert his.page.locator("[data-message]").nth(1).get_attribute("data-from") == bob.user_id
    for tab, stranger in ((hers, his), (his, hers)):
        seen = [cookie for url, cookie in sent if f"/im/{tab.instance}" in url]
        assert seen and all(cookie.startswith(f"tab={tab.instance}.") for cookie in seen), seen
        assert all(cookie.count("tab=") == 1 and cookie.count(";") == 1 and "; browser=" in cookie for cookie in seen)
        # And what one tab has opens nothing of the other.
        assert get(alice.server, f"/im/{tab.instance}/", cookie=f"tab={stranger.cookie()}").location == "/login"
    hers.logs_out()
    his.stays("ready", 0.5)


# Gone


def test_a_closed_tab_is_detached_at_once(two_places: Server, person: MakePerson) -> None:
    alice = person("alice", on=two_places)
    stays, closes = alice.logs_in("stays"), alice.logs_in("closes")
    stays.lists("online", "online")
    closes.closes()
    started = time.monotonic()
    stays.lists("online", "detached")
    assert time.monotonic() - started < 3


def test_a_closed_tab_is_out_of_the_list_after_the_grace_time(make_server: MakeServer, person: MakePerson) -> None:
    server = make_server(ONLINE_WEB_INSTANCES="2", DETACH_GRACE="2")
    alice = person("alice", on=server)
    stays, closes = alice.logs_in("stays"), alice.logs_in("closes")
    address = closes.page.url
    script = closes.as_script()
    closes.closes()
    stays.lists("online", "detached")
    stays.lists("online")
    # Nobody has taken its place, so it may have it back: as a new seat, with no login.
    back = Tab(alice.window.new_page(), server, "back", alice.user_id)
    back.page.goto(address)
    back.is_ready()
    assert back.instance == script.instance
    stays.lists("online", "online")


def test_a_tab_that_was_away_and_lost_its_place_is_told_so(make_server: MakeServer, person: MakePerson) -> None:
    server = make_server(DETACH_GRACE="1")
    alice = person("alice", on=server)
    closes = alice.logs_in("closes")
    address, script = closes.page.url, closes.as_script()
    closes.closes()
    until(lambda: script.instances() == {}, "a closed tab keeps its place")
    new = alice.logs_in("new")
    back = Tab(alice.window.new_page(), server, "back", alice.user_id)
    back.page.goto(address)
    back.is_kicked_out("multipleAccount")
    assert "ready" not in back.states()
    new.stays("ready", 1)


def test_a_browser_killed_outright_is_detached_and_gives_up_its_place(
    make_server: MakeServer, own_browser: OwnBrowser
) -> None:
    server = make_server(ONLINE_WEB_INSTANCES="2", DETACH_GRACE="2")
    browser = own_browser()
    alice = Person(server, browser.new_context(), "alice")
    alice.window.add_init_script(RECORDER)
    doomed = alice.logs_in("doomed")
    witness = alice.logs_in_by_script()
    witness.goes_online()
    id = doomed.instance
    for pid in processes_of(browser, "browser"):
        os.kill(pid, signal.SIGKILL)
    until(lambda: witness.instances().get(id) != "online", "a dead browser's tab is online")
    until(lambda: witness.instances() == {witness.instance: "online"}, "a dead browser's tab keeps its place")


# Asleep


@pytest.mark.parametrize("meanwhile", ["nothing", "evicted", "signed out"])
def test_a_page_in_the_back_forward_cache_ends_in_the_true_state(
    meanwhile: str, two_places: Server, own_browser: OwnBrowser
) -> None:
    browser = own_browser(without=["--disable-back-forward-cache"])
    alice = Person(two_places, browser.new_context(), "alice")
    alice.window.add_init_script(RECORDER)
    tab = alice.logs_in()
    id, since = tab.instance, tab.since()
    tab.sends(alice.user_id, "before it was left")
    tab.reads("before it was left")
    tab.page.goto(alice.address + "/healthz")
    elsewhere = alice.logs_in_by_script()
    stream = elsewhere.goes_online()
    until(lambda: elsewhere.instances().get(id) == "detached", "a page that was left is still online")
    if meanwhile == "evicted":
        others = [stream, alice.logs_in_by_script().goes_online()]
        assert [one.status for one in others] == [101, 101]
    elif meanwhile == "signed out":
        elsewhere.posts(f"instances/{id}/logout")
    assert elsewhere.posts("messages", {"to": alice.user_id, "text": "meanwhile"}).status == 303
    tab.page.go_back(wait_until="commit")
    if meanwhile == "nothing":
        tab.is_ready()
        tab.reads("before it was left", "meanwhile")
        assert (tab.instance, tab.since()) == (id, since)
        until(lambda: elsewhere.instances().get(id) == "online", "shows ready and is not online")
        tab.stays("ready", 1)
    else:
        tab.is_kicked_out("multipleAccount") if meanwhile == "evicted" else tab.is_signed_out()
        assert tab.states().count("ready") == 1, tab.states()


@pytest.mark.parametrize("evicted", [False, True])
def test_a_frozen_page_keeps_its_place_or_hears_the_truth_when_it_thaws(evicted: bool, person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    id, script = tab.instance, tab.as_script()
    line = alice.window.new_cdp_session(tab.page)
    line.send("Page.setWebLifecycleState", {"state": "frozen"})
    if evicted:
        new = alice.logs_in_by_script()
        new.goes_online()
    else:
        always(lambda: script.instances() == {id: "online"}, "a frozen page lost its place", 3)
    line.send("Page.setWebLifecycleState", {"state": "active"})
    if evicted:
        tab.is_kicked_out("multipleAccount")
        assert tab.states().count("ready") == 1
    else:
        tab.stays("ready", 1)
        assert tab.events() == ["sdkStateReady"]


@pytest.mark.parametrize("evicted", [False, True])
def test_a_stopped_renderer_keeps_its_place_or_hears_the_truth_when_it_goes_on(
    evicted: bool, server: Server, own_browser: OwnBrowser
) -> None:
    browser = own_browser()
    alice = Person(server, browser.new_context(), "alice")
    alice.window.add_init_script(RECORDER)
    tab = alice.logs_in()
    id, script = tab.instance, tab.as_script()
    renderers = processes_of(browser, "renderer")
    assert renderers
    for pid in renderers:
        os.kill(pid, signal.SIGSTOP)
    try:
        if evicted:
            new = alice.logs_in_by_script()
            new.goes_online()
            assert new.instances() == {new.instance: "online"}
        else:
            always(lambda: script.instances() == {id: "online"}, "a stopped page lost its place", 3)
    finally:
        for pid in renderers:
            os.kill(pid, signal.SIGCONT)
    if evicted:
        tab.is_kicked_out("multipleAccount")
        assert tab.states().count("ready") == 1
    else:
        tab.stays("ready", 1)
        assert tab.instance == id


# Bad lines


def test_a_tab_says_that_its_line_is_dead_and_comes_back_by_itself(
    server: Server, make_proxy: Callable[[Server], Proxy], person: MakePerson
) -> None:
    proxy = make_proxy(server)
    alice = person("alice", through=proxy.address)
    tab = alice.logs_in()
    id, since = tab.instance, tab.since()
    for _ in range(2):
        proxy.cuts()
        tab.is_reconnecting(patience=5)
        expect(tab.page.locator("#sdk-state")).to_contain_text("Reconnecting")
        tab.stays("reconnecting", 1)
        proxy.passes()
        tab.is_ready()
    assert (tab.instance, tab.since()) == (id, since)
    assert tab.states() == ["not-ready", *["ready", "reconnecting"] * 2, "ready"]
    assert tab.events() == ["sdkStateReady"] * 3
    assert "kickedOut" not in tab.events()


def test_what_came_while_the_line_was_dead_is_there_when_it_is_back(
    two_places: Server, make_proxy: Callable[[Server], Proxy], person: MakePerson
) -> None:
    proxy = make_proxy(two_places)
    alice = person("alice", on=two_places, through=proxy.address)
    tab = alice.logs_in()
    proxy.cuts()
    tab.is_reconnecting()
    bob = log_in(two_places, f"bob-{alice.user_id}")
    bob.goes_online()
    assert bob.posts("messages", {"to": alice.user_id, "text": "while you were out"}).status in (200, 303)
    proxy.passes()
    tab.is_ready()
    tab.reads("while you were out")


def test_tabs_that_lost_their_line_together_do_not_come_back_together(
    server: Server, make_proxy: Callable[[Server], Proxy], person: MakePerson, new_window: NewWindow
) -> None:
    window = new_window()
    proxies = [make_proxy(server) for _ in range(4)]
    tabs = [person(f"p{n}", window=window, through=proxy.address).logs_in() for n, proxy in enumerate(proxies)]
    for proxy in proxies:
        proxy.cuts()
    cut = time.monotonic()
    for tab in tabs:
        tab.is_reconnecting()
    # Each attempt at another moment: the third one of each, say, with the page's own timers as the witness.
    third: dict[int, float] = {}
    before = [proxy.accepted for proxy in proxies]

    def look() -> bool:
        for n, proxy in enumerate(proxies):
            if n not in third and proxy.accepted >= before[n] + 3:
                third[n] = time.monotonic() - cut
        return len(third) == len(proxies)

    until(look, lambda: f"attempts to come back: {[proxy.accepted for proxy in proxies]}")
    assert max(third.values()) - min(third.values()) > 0.1, third
    for proxy in proxies:
        proxy.passes()
    for tab in tabs:
        tab.is_ready()


def test_a_line_that_goes_silent_is_noticed_and_replaced(
    tmp_path: Path, make_server: MakeServer, make_proxy: Callable[[Server], Proxy], person: MakePerson
) -> None:
    # A page gives up on a line after 50 seconds without the sign of life that is due every 25; here 4 and 2.
    server = make_server(timing=Timing(ping_period=2))
    proxy = make_proxy(server)
    alice = person("alice", on=server, through=proxy.address)
    tab = alice.logs_in()
    tab.stays("ready", 6)
    proxy.swallows()
    tab.is_reconnecting()
    proxy.passes()
    tab.is_ready()
    assert tab.states() == ["not-ready", "ready", "reconnecting", "ready"]


def test_the_place_of_a_script_that_went_away_is_seen_by_its_account(two_places: Server) -> None:
    stays: ScriptTab = log_in(two_places, "resets")
    drops = log_in(two_places, "resets")
    stays.goes_online()
    line = drops.goes_online()
    line.leaves("reset")
    until(lambda: stays.instances()[drops.instance] == "detached", "a dropped line is still online")
