"""An account's pages, of the vendor's SDK and of ours, count together and send each other away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.support.administrator import Administrator
from tests.support.browser import Person
from tests.support.console import sign_in
from tests.support.displaced import Displaced
from tests.support.proxy import Proxy
from tests.support.sdk_page import KICKED_OUT, READY
from tests.support.sdk_script import Script
from tests.support.sdk_site import SDK, SDKS
from tests.support.server import Server
from tests.support.wire import log_in, login_page_of
from tests.tencent.conftest import Account, OpenPage
from tests.web.conftest import MakeServer, NewWindow
from tests.web.console.test_settings import saves

MakeProxy = Callable[[Server], Proxy]


def test_the_oldest_page_is_told_and_may_come_back(sdk: SDK, open_page: OpenPage, account: Account) -> None:
    first, second, alice = open_page(sdk), open_page(SDKS[0]), account("alice")
    first.logs_in(alice)
    second.logs_in(alice)
    first.is_kicked_out("multipleAccount", patience=2)
    assert first.sends(alice, "too late")["code"] == 3003
    assert second.heard(KICKED_OUT) == []
    first.logs_in(alice)
    second.is_kicked_out("multipleAccount")


def test_a_page_of_the_sdk_and_a_tab_of_ours_evict_each_other(
    sdk: SDK, open_page: OpenPage, server: Server, new_window: NewWindow, admin: Administrator
) -> None:
    alice = Person(server, new_window(), "alice")
    tab = alice.logs_in()
    page = open_page(sdk)
    page.logs_in(alice.user_id)
    notice = tab.is_kicked_out("multipleAccount")
    assert "Chrome" in notice.inner_text()
    alice.logs_in("B")
    page.is_kicked_out("multipleAccount")
    assert admin.seats(alice.user_id) == ["Online"]


def test_a_tab_of_ours_signs_a_page_of_the_sdk_out(
    sdk: SDK, open_page: OpenPage, roomy: Server, new_window: NewWindow
) -> None:
    alice = Person(roomy, new_window(), "alice")
    tab = alice.logs_in()
    page = open_page(sdk, on=roomy)
    page.logs_in(alice.user_id)
    tab.lists("online", "online")
    expect(tab.page.locator("#instances .tag")).to_have_text(["this tab", "SDK page"])
    tab.page.click("button.sign-out")
    page.is_kicked_out("multipleDevice")
    tab.lists("online")


def test_a_usersig_that_runs_out_and_an_idle_life_are_told_within_seconds(
    open_page: OpenPage, account: Account, server: Server, make_server: MakeServer
) -> None:
    # Both SDKs at the same time: each finds out with its next ping.
    idle = make_server()
    saves(sign_in(idle), idle_life="4")
    pages = [open_page(sdk, on=on) for sdk in SDKS for on in (server, idle)]
    for page in pages:
        page.logs_in(account("alice"), expire=4 if page.server is server else 86400)
    for page in pages:
        page.is_kicked_out("userSigExpired", patience=4 + 12)
        assert page.sends(page.user_id, "too late")["code"] == 3004
        assert Administrator(page.server).seats(page.user_id) == []
        page.logs_in(page.user_id)


def test_an_administrators_kick_is_told_and_revokes_the_usersigs_made_before(
    sdk: SDK, open_page: OpenPage, account: Account, roomy: Server
) -> None:
    alice = account("alice")
    pages = [open_page(sdk, on=roomy), open_page(sdk, on=roomy)]
    for page in pages:
        page.logs_in(alice)
    old = roomy.user_sig(alice)
    Administrator(roomy).kicks(alice)
    new = roomy.user_sig(alice)
    for page in pages:
        page.is_kicked_out("REST_API_Kick", patience=2)
    assert pages[0].sends(alice, "too late")["code"] == 3006
    refused = pages[0].tries_to_log_in(alice, old)
    assert refused["code"] == 70052
    assert "revoked" in refused["message"]
    assert pages[0].tries_to_log_in(alice, new)["code"] == 0


def test_a_page_that_a_displaced_tab_disowns_is_kicked_out_and_its_usersig_opens_nothing_more(
    sdk: SDK, open_page: OpenPage, account: Account, server: Server
) -> None:
    alice, page = account("alice"), open_page(sdk)
    tab, stolen = log_in(server, alice), server.user_sig(alice)
    assert page.tries_to_log_in(alice, stolen)["code"] == 0
    page.hears(READY)  # the older SDK would otherwise be ready no more
    assert Displaced(tab, tab, stolen, login_page_of(tab)).says().status == 200
    page.is_kicked_out("REST_API_Kick", patience=2)
    assert page.tries_to_log_in(alice, stolen)["code"] == 70052
    page.logs_in(alice)


def test_a_blocked_account_is_kicked_out_and_its_login_is_refused_with_the_reason(
    sdk: SDK, open_page: OpenPage, account: Account, roomy: Server
) -> None:
    alice, operator = account("alice"), sign_in(roomy)
    page = open_page(sdk, on=roomy)
    page.logs_in(alice)
    operator.posts("/accounts/block", {"userID": alice, "duration": "3600", "reason": "spam"})
    page.is_kicked_out("REST_API_Kick", patience=2)
    refused = page.tries_to_log_in(alice, roomy.user_sig(alice))
    assert refused["code"] == 70051
    assert "UTC (spam)" in refused["message"]
    operator.posts("/accounts/unblock", {"userID": alice})
    page.logs_in(alice)


@pytest.fixture(scope="module")
def asking(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lets each login at its limit choose who leaves."""
    server = Server(tmp_path_factory.mktemp("asking")).start()
    operator = sign_in(server)
    saved = operator.posts("/settings", {"policy": "ask", "version": "0"})
    assert saved.status == 303
    yield server
    server.stop()


def test_a_login_at_the_limit_is_rejected_with_where_the_account_is_online(
    sdk: SDK, open_page: OpenPage, account: Account, asking: Server
) -> None:
    alice = account("alice")
    first, second = open_page(sdk, on=asking), open_page(sdk, on=asking)
    first.logs_in(alice)
    refused = second.tries_to_log_in(alice, asking.user_sig(alice))
    assert refused["code"] == 70053
    assert "at 127.0.0.1 since" in refused["message"]
    assert first.sends(alice, "still here")["code"] == 0
    assert first.heard(KICKED_OUT) == []
    assert second.heard(KICKED_OUT) == []
    first.logs_out()
    assert second.tries_to_log_in(alice, asking.user_sig(alice))["code"] == 0


def test_a_page_that_was_kicked_while_its_line_was_cut_hears_why(
    open_page: OpenPage, account: Account, server: Server, make_proxy: MakeProxy, admin: Administrator
) -> None:
    line = make_proxy(server)
    # Both SDKs at the same time: each comes back with its next hello.
    evicted, kicked, expired = ([open_page(sdk, through=line) for sdk in SDKS] for _ in range(3))
    for page in (*evicted, *kicked):
        page.logs_in(account("alice"))
    for page in expired:
        page.logs_in(account("carol"), expire=3)
    line.cuts()
    newer = [Script(server) for _ in evicted]
    for script, page in zip(newer, evicted, strict=True):
        script.logs_in(page.user_id)
    for page in kicked:
        admin.kicks(page.user_id)
    time.sleep(3)
    assert [page.heard(KICKED_OUT) for page in (*evicted, *kicked, *expired)] == [[]] * 6
    line.passes()
    for pages, why in ((evicted, "multipleAccount"), (kicked, "REST_API_Kick"), (expired, "userSigExpired")):
        for page in pages:
            page.is_kicked_out(why, patience=30)
    for page in evicted:
        assert admin.seats(page.user_id) == ["Online"], "who evicted it was to stay"
