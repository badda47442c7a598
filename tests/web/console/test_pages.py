"""The pages of the console for everybody: by keyboard, by screen reader, on a telephone, in the dark.

The pages are read from the product, so one that is added tomorrow is looked at tomorrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.support.accessible import fits_everywhere, passes_axe, reaches_every_control
from tests.support.browser import MILLISECONDS
from tests.support.console import ends_the_session_of, open_console, sign_in, signs_in_in_another_tab
from tests.support.routes import console_routes
from tests.support.server import VIEWER_TOKEN, Server
from tests.support.wire import log_in, post_login
from tests.web.conftest import MakeServer, NewWindow
from tim.input_rules import MAX_WORDS

pytestmark = pytest.mark.usefixtures("not_quick")

LARGE, TELEPHONE = ViewportSize(width=1920, height=1080), ViewportSize(width=360, height=740)
LONGEST: Final = "W" * 31
PAGES: Final = sorted(
    route.path("0" * 34)
    for route in console_routes()
    if "GET" in route.methods and "/api/" not in route.rule and route.rule != "/console/"
)
"""The addresses that may be read; an account is "x"."""
WIDTHS: Final = "each => [each.offsetWidth, (each.style.width = 'auto', each.offsetWidth)]"
"""Of a field: what it has, and what it needs to show all of its value."""


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which something has happened: logins, refusals, evictions, and accounts with the longest names."""
    server = Server(tmp_path_factory.mktemp("busy"), ONLINE_WEB_INSTANCES="2").start()
    tabs = [log_in(server, user) for user in ("x", "x", "x", *(f"{LONGEST}{n}" for n in range(9)))]
    streams = [tab.goes_online() for tab in tabs[1:]]
    for user_sig in ("nonsense", "", server.user_sig("busy-other")):
        assert post_login(server, "x", user_sig).status == 401
    assert streams[0].code is None
    yield server
    server.stop()


@pytest.fixture
def page(busy: Server, new_window: NewWindow) -> Page:
    """A tab of an admin."""
    return open_console(new_window(), busy)


def is_page(page: Page) -> bool:
    return page.locator("main").count() == 1


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_on_any_page_and_none_scrolls_sideways(
    path: str, busy: Server, new_window: NewWindow
) -> None:
    answer = sign_in(busy).gets(path.removeprefix("/console"))
    if "<html" not in answer.body or answer.status != 200:
        pytest.skip("a fragment, a file, or nothing that is there")
    page = open_console(new_window(), busy, path=path.removeprefix("/console"))
    passes_axe(page, path, LARGE, TELEPHONE)
    fits_everywhere(page, path)
    reaches_every_control(page, path)
    assert page.locator("h1").count() == 1
    assert page.evaluate("sessionStorage.getItem('seen violations')") is None, "what the policy had to stop"


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_the_audit_fits_a_laptop_and_its_times_are_whole(locale: str, busy: Server, new_window: NewWindow) -> None:
    admin = sign_in(busy)
    admin.posts("/accounts/kick", {"userID": f"{LONGEST}0", "words": "a reason of some words"})
    page = open_console(
        new_window(locale=locale), busy, path="/audit?since=2026-11-27T22:00:00&until=2036-11-28T23:59:59"
    )
    page.set_viewport_size({"width": 1280, "height": 800})
    inside, outside = page.evaluate(
        "(({scrollWidth, clientWidth}) => [scrollWidth, clientWidth])(document.querySelector('.table-scroll'))"
    )
    assert inside <= outside
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        for path in ("/audit", "/instances"):
            page.goto(f"{busy.address}/console{path}")
            for field in page.locator("[type=datetime-local]").all():
                given, needed = field.evaluate(WIDTHS)
                assert given >= needed, f"{path}: {given} of {needed} pixels at {width}"


def test_axe_finds_nothing_in_the_states_in_between(busy: Server, new_window: NewWindow) -> None:
    window = new_window()
    page = window.new_page()
    page.goto(f"{busy.address}/console")
    passes_axe(page, "sign-in", None, TELEPHONE)
    page.fill("#token", "not a token of this console")
    page.click("#sign-in")
    expect(page.locator("#sign-in-error")).to_be_visible()
    passes_axe(page, "sign-in refused", None, TELEPHONE)
    page.goto(f"{busy.address}/console/sign-in?signed=1")
    passes_axe(page, "no cookie", None, TELEPHONE)
    page = open_console(window, busy, path="/usersig")
    page.fill("#userSig", "x" * 300)
    page.click("#inspect")
    passes_axe(page, "a refused UserSig", None, TELEPHONE)
    page.fill("#for", LONGEST)
    page.click("#make")
    made = page.input_value("#made")
    passes_axe(page, "a test UserSig", None, TELEPHONE)
    page.fill("#userSig", made)
    page.click("#inspect")
    expect(page.locator("#verdict")).to_have_attribute("data-code", "0")
    passes_axe(page, "a valid UserSig", None, TELEPHONE)
    fits_everywhere(page, "a valid UserSig")
    window.clear_cookies()
    page.click("#inspect")
    expect(page.locator("h1")).to_have_text("Not done")
    passes_axe(page, "a session that is over", None, TELEPHONE)


def test_axe_finds_nothing_for_a_viewer_and_in_forced_colours(busy: Server, new_window: NewWindow) -> None:
    page = open_console(new_window(forced_colors="active"), busy, VIEWER_TOKEN)
    passes_axe(page, "overview", LARGE, None)
    page.goto(f"{busy.address}/console/usersig")
    passes_axe(page, "usersig", None, TELEPHONE)


@pytest.mark.parametrize(
    ("path", "field", "button"),
    [
        ("/accounts", "#userID", "#open-account"),
        ("/accounts/x", "#words", "#kick-all"),
        ("/accounts/x", "#reason", "#block"),
        ("/instances", "#words", "#kick-all"),
        ("/audit", "#userID", "#find"),
        ("/settings", "#help-text", "#review"),
        ("/usersig", "#for", "#make"),
    ],
)
def test_a_field_that_was_refused_has_the_focus_and_the_reason(path: str, field: str, button: str, page: Page) -> None:
    page.goto(f"{page.url.partition('/console')[0]}/console{path}")
    page.fill(field, "two words\u200d")
    page.click(button)
    expect(page.locator(field)).to_have_attribute("aria-invalid", "true")
    expect(page.locator(field)).to_be_focused()
    expect(page.locator(f"{field}-hint")).to_contain_text("must be")


@pytest.mark.parametrize(
    ("path", "field"),
    [("/accounts/x", "words"), ("/accounts/x", "reason"), ("/instances", "words"), ("/settings", "help-text")],
)
def test_a_field_for_words_cuts_none_that_fit(path: str, field: str, page: Page, busy: Server) -> None:
    page.goto(f"{busy.address}/console{path}")
    page.locator(f"#{field}").fill("")
    page.locator(f"#{field}").focus()
    page.keyboard.insert_text("😀" * MAX_WORDS)
    expect(page.locator(f"#{field}")).to_have_value("😀" * MAX_WORDS)


def test_it_is_read_and_left_by_keyboard(page: Page, busy: Server) -> None:
    keys = page.keyboard
    keys.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    expect(page.locator(".skip")).to_be_in_viewport()
    keys.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.goto(f"{busy.address}/console")
    for _ in range(20):
        keys.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip() == "UserSig":
            break
    style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert style != "none", "what has the focus shows it"
    keys.press("Enter")
    expect(page.locator("h1")).to_have_text("UserSig")
    expect(page.locator("nav [aria-current=page]")).to_have_text("UserSig")
    for _ in range(20):
        keys.press("Tab")
        if page.evaluate("document.activeElement.id") == "sign-out":
            break
    keys.press("Enter")
    expect(page.locator("#sign-in-form")).to_be_visible()


def test_the_overview_is_live_and_leaves_the_focus_where_it_is(make_server: MakeServer, new_window: NewWindow) -> None:
    server = make_server()
    page = open_console(new_window(), server)
    expect(page.locator("#online")).to_have_text("0")
    page.focus(".table-scroll")
    stream = log_in(server, "alice").goes_online()
    expect(page.locator("#online")).to_have_text("1", timeout=MILLISECONDS)
    assert "table-scroll" in page.evaluate("document.activeElement.className")
    stream.leaves()
    expect(page.locator("#online")).to_have_text("0", timeout=MILLISECONDS)


LIVE: Final = {
    "": "#online",
    "/instances": "#number",
    "/accounts/x": "#account-state",
    "/audit?watch=1": "#entries",
    "/webhook": "#waiting",
}
"""Pages with a part that is live, and what that part shows. Another one of the settings is there while a job runs."""


@pytest.mark.parametrize(("path", "shown"), LIVE.items())
def test_a_page_whose_session_is_over_says_so_and_goes_on_after_a_sign_in_in_another_tab(
    path: str, shown: str, busy: Server, new_window: NewWindow
) -> None:
    page = open_console(new_window(own=True), busy, path=path)
    typed = page.locator("main input:is([type=text], [type=url]):visible")
    for field in typed.all():
        field.fill("typed with care")
    ends_the_session_of(page, busy)
    expect(page.locator("#signed-out")).to_contain_text("session in the console is over", timeout=MILLISECONDS)
    expect(page.locator(shown)).to_have_count(0)
    link = page.locator("#signed-out a")
    link.focus()
    with page.expect_response(lambda response: response.status == 401):
        pass  # the next poll
    expect(link).to_be_focused()
    if path == "":
        passes_axe(page, "a live part whose session is over", LARGE, TELEPHONE)
    signs_in_in_another_tab(page)
    expect(page.locator(shown)).to_be_visible(timeout=MILLISECONDS)
    expect(page.locator("#signed-out")).to_have_count(0)
    assert page.url == f"{busy.address}/console{path}"
    for field in typed.all():
        expect(field).to_have_value("typed with care")
