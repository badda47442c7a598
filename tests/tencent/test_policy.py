"""The Content-Security-Policy of docs/official-sdk.md blocks the SDK's statistics, and the SDK works under it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import BrowserContext, Route

from tests.support.documents import block
from tests.support.proxy import Proxy
from tests.support.sdk_page import NET_STATE, READY, SDKPage
from tests.support.sdk_site import OLD, SDK, Site
from tests.support.server import Server
from tests.support.waiting import until
from tests.tencent.conftest import Account
from tests.web.conftest import NewWindow

VENDOR = "qcloud.com"
POLICY = block("docs/official-sdk.md", "text", "Content-Security-Policy").strip().partition(": ")[2]
"""Both SDKs open their socket in a worker that they make of a blob, and fail silently without `worker-src`."""
NOTE_VIOLATIONS = """window.stopped = [];
document.addEventListener('securitypolicyviolation', event => stopped.push(event.blockedURI));"""


def requests_abroad(window: BrowserContext) -> list[str]:
    """What the pages of this window send to the vendor from now on; it is caught at the door of the browser.

    A request that a policy has stopped does not get so far.
    """
    seen: list[str] = []

    def catch(route: Route) -> None:
        seen.append(route.request.url)
        route.abort()

    window.route(lambda url: VENDOR in url, catch)
    return seen


def is_cut_off(page: SDKPage, line: Proxy, seconds: float) -> None:
    """The page is ready, and then without a line for so long."""
    line.cuts()
    page.hears(NET_STATE)
    page.page.wait_for_timeout(seconds * 1000)


def test_without_a_policy_the_old_sdk_posts_statistics_while_it_is_cut_off(
    site: Site, server: Server, new_window: NewWindow, account: Account, make_proxy: Callable[[Server], Proxy]
) -> None:
    window, line = new_window(own=True), make_proxy(server)
    abroad = requests_abroad(window)
    page = SDKPage(window, site, OLD, server, line.port)
    page.logs_in(account("alice"))
    assert abroad == []
    is_cut_off(page, line, 0)
    until(lambda: page.page.evaluate("1") and abroad, "it posts nothing", 30)


def test_the_policy_stops_them_and_nothing_else(
    sdk: SDK, server: Server, new_window: NewWindow, account: Account, make_proxy: Callable[[Server], Proxy]
) -> None:
    line = make_proxy(server)
    # The page of these tests has its script in it, hence the 'unsafe-inline'; an application need not have it.
    policy = POLICY.replace(":5000", f":{line.port}") + "; script-src 'self' 'unsafe-inline'"
    guarded, window = Site(policy), new_window(own=True)
    window.add_init_script(NOTE_VIOLATIONS)
    abroad = requests_abroad(window)
    page = SDKPage(window, guarded, sdk, server, line.port)
    page.logs_in(account("alice"))
    assert page.page.evaluate("stopped") == []
    is_cut_off(page, line, 1)
    if sdk == OLD:
        until(lambda: any(VENDOR in uri for uri in page.page.evaluate("stopped")), "nothing was stopped", 30)
    assert abroad == []
    line.passes()
    until(lambda: page.heard(NET_STATE)[-1]["data"]["state"] == "connected", "it stays away", 40)
    assert page.sends(page.user_id, "still here")["code"] == 0
    assert len(page.heard(READY)) == 1
    guarded.close()
