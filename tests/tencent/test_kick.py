"""An account's pages, of the vendor's SDK and of ours, count together and send each other away."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from tests.support.administrator import Administrator
from tests.support.browser import Person
from tests.support.proxy import Proxy
from tests.support.sdk_page import KICKED_OUT
from tests.support.sdk_site import SDK, SDKS
from tests.support.server import Server
from tests.tencent.conftest import Account, OpenPage
from tests.web.conftest import NewWindow

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
    tab.page.click("button.sign-out")
    page.is_kicked_out("multipleDevice")
    tab.lists("online")


def test_a_usersig_that_runs_out_is_told_within_seconds(
    sdk: SDK, open_page: OpenPage, account: Account, admin: Administrator
) -> None:
    page, alice = open_page(sdk), account("alice")
    page.logs_in(alice, expire=4)
    page.is_kicked_out("userSigExpired", patience=4 + 12)
    assert page.sends(alice, "too late")["code"] == 3004
    assert admin.seats(alice) == []
    page.logs_in(alice)


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


def test_a_page_that_was_kicked_while_its_line_was_cut_hears_why(
    sdk: SDK, open_page: OpenPage, server: Server, make_proxy: MakeProxy, admin: Administrator
) -> None:
    lines = [make_proxy(server) for _ in range(3)]
    evicted, kicked, expired = (open_page(sdk, through=line) for line in lines)
    alice, bob, carol = (f"{name}-{secrets.token_hex(4)}" for name in ("alice", "bob", "carol"))
    evicted.logs_in(alice)
    kicked.logs_in(bob)
    expired.logs_in(carol, expire=3)
    for line in lines:
        line.cuts()
    open_page(sdk).logs_in(alice)
    admin.kicks(bob)
    time.sleep(3)
    assert evicted.heard(KICKED_OUT) == kicked.heard(KICKED_OUT) == expired.heard(KICKED_OUT) == []
    for line in lines:
        line.passes()
    evicted.is_kicked_out("multipleAccount", patience=30)
    kicked.is_kicked_out("REST_API_Kick", patience=30)
    expired.is_kicked_out("userSigExpired", patience=30)
    assert admin.seats(alice) == ["Online"], "the page that evicted it was to stay"
