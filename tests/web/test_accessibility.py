"""The pages for everybody: by keyboard, by screen reader, on a telephone, in the dark."""

from __future__ import annotations

import re
import secrets

import pytest
from playwright.sync_api import Route, ViewportSize, expect

from tests.support import accessible
from tests.support.browser import Tab
from tests.support.server import Server
from tests.support.waiting import until
from tests.web.conftest import MakePerson, NewWindow

DESK, TELEPHONE = ViewportSize(width=1280, height=800), ViewportSize(width=390, height=844)

SHIFTS = """() => {
    window.shifts = [];
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
    }).observe({type: 'layout-shift', buffered: true});
}"""


@pytest.fixture
def roomy_person(roomy: Server, person: MakePerson) -> MakePerson:
    """Somebody with room for three tabs."""
    return lambda name, **more: person(name, on=roomy, **more)


def passes_axe(tab: Tab, where: str) -> None:
    """Axe finds nothing on the page as it is now: on a desk in the light, and on a telephone in the dark."""
    accessible.passes_axe(tab.page, where, DESK, TELEPHONE)


def fits_everywhere(tab: Tab) -> None:
    accessible.fits_everywhere(tab.page, tab.name)


def test_axe_finds_nothing_on_any_page(roomy_person: MakePerson, new_window: NewWindow) -> None:
    alice = roomy_person("alice", window=new_window(has_touch=True))
    tab = alice.opens("/login")
    passes_axe(tab, "login")
    boxes = [tab.page.locator(f"#{id}").bounding_box() for id in ("userID", "userSig")]
    assert [box and round(box["height"]) for box in boxes] == [44, 44], "as large as a finger needs, and alike"
    tab.page.fill("#userID", alice.user_id)
    tab.page.fill("#userSig", "nonsense")
    tab.page.click("#login")
    expect(tab.page.locator("#login-error")).to_be_visible()
    passes_axe(tab, "login refused")
    tab.page.fill("#userSig", alice.server.user_sig(alice.user_id))
    tab.page.click("#login")
    tab.is_ready()
    passes_axe(tab, "tab")
    other = alice.logs_in_by_script()
    stream = other.goes_online()
    tab.lists("online", "online")
    tab.sends(alice.user_id, "a text, and quite a long one: " + "word " * 60)
    tab.reads("a text, and quite a long one: " + "word " * 60)
    other.posts("messages", {"to": alice.user_id, "text": "https://example.org/" + "x" * 300})
    expect(tab.page.locator("[data-message]")).to_have_count(2)
    tab.sends("nobody-at-all", "x")
    expect(tab.page.locator("#send-error")).to_be_visible()
    passes_axe(tab, "tab with two instances, messages and a refused one")
    third = alice.logs_in_by_script()
    lines = [stream, third.goes_online()]
    fourth = alice.logs_in_by_script()
    tab.is_kicked_out("multipleAccount")
    passes_axe(tab, "kicked out")
    tab.page.click("#not-me")
    expect(tab.page.locator("#disowned")).to_be_visible()
    passes_axe(tab, "disowned")
    assert all(line.code in (None, 4004) for line in lines) and fourth.instance


def test_axe_finds_nothing_in_the_states_in_between(roomy: Server, person: MakePerson) -> None:
    alice = person("alice", on=roomy)
    tab = alice.logs_in()
    copy = alice.opens(f"/im/{tab.instance}/", "copy")
    copy.is_ready()
    tab.has_moved()
    passes_axe(tab, "moved")
    # A page whose socket is refused stays as it was made: not ready.
    copy.page.route_web_socket("**/events*", lambda socket: socket.close())
    copy.page.reload()
    expect(copy.page.locator("#sdk-state")).not_to_have_attribute("data-state", "ready")
    passes_axe(copy, copy.state)


def test_no_page_scrolls_sideways(roomy_person: MakePerson) -> None:
    alice = roomy_person("a-name-of-twenty-one-b")
    tab = alice.opens("/login")
    fits_everywhere(tab)
    tab.page.fill("#userID", alice.user_id)
    tab.page.fill("#userSig", "x" * 500)
    tab.page.click("#login")
    expect(tab.page.locator("#login-error")).to_be_visible()
    fits_everywhere(tab)
    tab.page.fill("#userSig", alice.server.user_sig(alice.user_id))
    tab.page.click("#login")
    tab.is_ready()
    fits_everywhere(tab)
    others = [alice.logs_in_by_script(agent="A-Browser-With-A-Very-Long-Name/1.0 " * 5) for _ in range(2)]
    for text in ("x" * 2000, "words " * 300, "二" * 500):
        tab.sends(alice.user_id, text)
        expect(tab.page.locator("#text")).to_have_value("")
    expect(tab.page.locator("[data-message]")).to_have_count(3)
    fits_everywhere(tab)
    lines = [other.goes_online() for other in others]
    last = alice.logs_in_by_script()
    tab.is_kicked_out("multipleAccount")
    fits_everywhere(tab)
    assert all(line.code is None for line in lines) and last.instance


def test_a_low_window_shows_the_whole_composer_and_a_narrow_one_the_whole_user_id(roomy_person: MakePerson) -> None:
    alice = roomy_person("")
    alice.user_id = secrets.token_hex(16).replace("f", "m")  # nowhere to break, and wide
    tab = alice.logs_in()
    tab.sends(alice.user_id, "text")
    tab.reads("text")
    lines = [alice.logs_in_by_script().goes_online() for _ in range(2)]
    tab.lists(*["online"] * 3)
    tab.page.set_viewport_size({"width": 1280, "height": 600})
    boxes = tab.page.evaluate(
        "['#to', '#text', '#send'].map(id => document.querySelector(id).getBoundingClientRect())"
        ".map(({bottom, height}) => [bottom, height])"
    )
    assert len({tuple(box) for box in boxes}) == 1, boxes
    assert boxes[0][0] <= 600 and boxes[0][1] >= 44
    assert tab.page.evaluate("document.documentElement.scrollHeight") <= 600
    tab.page.set_viewport_size({"width": 360, "height": 640})
    edges: list[float] = tab.page.eval_on_selector_all(
        "[data-message], [data-message] .meta b", "all => all.map(each => each.getBoundingClientRect().right)"
    )
    assert max(edges) == edges[0], "of the bubble, and of the two names in it"
    assert all(line.code is None for line in lines)


def test_everything_can_be_done_by_keyboard(roomy_person: MakePerson) -> None:
    alice = roomy_person("alice")
    tab = alice.opens("/login")
    keys = tab.page.keyboard
    expect(tab.page.locator("#userID")).to_be_focused()
    keys.type(alice.user_id)
    _tab_to(tab, "generate-usersig")
    keys.press("Enter")
    expect(tab.page.locator("#userSig")).not_to_have_value("")
    _tab_to(tab, "login")
    keys.press("Enter")
    tab.is_ready()
    _tab_to(tab, "to")
    keys.type(alice.user_id)
    _tab_to(tab, "text")
    keys.type("typed by hand")
    _tab_to(tab, "send")
    keys.press("Enter")
    tab.reads("typed by hand")
    expect(tab.page.locator("#text")).to_be_focused()  # the message may be shown before the form's answer
    keys.type("by the access key")
    press = {
        "modifiers": 1,
        "key": "s",
        "code": "KeyS",
        "windowsVirtualKeyCode": 83,
        "unmodifiedText": "s",
        "text": "s",
    }
    tab.page.context.new_cdp_session(tab.page).send("Input.dispatchKeyEvent", {"type": "keyDown", **press})  # Alt+S
    tab.reads("typed by hand", "by the access key")
    other = alice.logs_in_by_script()
    other.goes_online()
    tab.lists("online", "online")
    for _ in range(30):
        keys.press("Tab")
        if "sign-out" in tab.page.evaluate("document.activeElement.className"):
            break
    keys.press("Enter")
    tab.lists("online")
    _tab_to(tab, "logout")
    keys.press("Enter")
    tab.is_on_the_login_page()


def _tab_to(tab: Tab, id: str) -> None:
    """Press Tab until the element has the focus, and see that it shows."""
    for _ in range(30):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("document.activeElement.id") == id:
            break
    else:
        raise AssertionError(f"the Tab key never comes to #{id}")
    style, width = tab.page.evaluate(
        "(({outlineStyle, outlineWidth}) => [outlineStyle, outlineWidth])(getComputedStyle(document.activeElement))"
    )
    assert style != "none" and float(width.removesuffix("px")) >= 2, f"#{id} has the focus and does not show it"


def test_the_focus_stays_where_it_was_as_fragments_arrive(roomy_person: MakePerson) -> None:
    alice = roomy_person("alice")
    tab = alice.logs_in()
    tab.page.fill("#to", alice.user_id)
    tab.page.locator("#text").press_sequentially("half a sen")
    other = alice.logs_in_by_script()
    other.goes_online()
    tab.lists("online", "online")
    other.posts("messages", {"to": alice.user_id, "text": "in between"})
    tab.reads("in between")
    assert focus(tab) == "text"
    tab.page.keyboard.type("tence")
    expect(tab.page.locator("#text")).to_have_value("half a sentence")
    assert tab.page.evaluate("document.querySelector('#text').selectionStart") == len("half a sentence")


def focus(tab: Tab) -> str:
    """The id of what has the focus."""
    return str(tab.page.evaluate("document.activeElement.id"))


def test_the_focus_goes_to_what_says_why_a_text_was_not_sent(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    tab.page.fill("#to", alice.user_id)
    for field in ("#send", "#text"):
        tab.page.fill("#text", "漢" * 8000)
        tab.page.focus(field)
        tab.page.evaluate("document.querySelector('#send').click()")
        expect(tab.page.locator("#send-error")).to_contain_text("80002")
        expect(tab.page.locator("#send-error")).to_be_focused()
    held: list[Route] = []
    tab.page.route("**/messages", lambda route: held.append(route))  # noqa: PLW0108 - Playwright wants a function
    tab.page.focus("#send")
    tab.page.keyboard.press("Enter")
    until(lambda: focus(tab) == "" and bool(held), "a disabled button keeps the focus")
    held[0].abort()
    expect(tab.page.locator("#send-error")).to_contain_text("The server did not answer")
    expect(tab.page.locator("#send-error")).to_be_focused()
    expect(tab.page.locator("#no-answer")).to_be_hidden()
    tab.page.focus("#open-another")
    tab.page.route("**/language", lambda route: route.abort())
    tab.page.evaluate("document.querySelector('.language button').click()")
    expect(tab.page.locator("#no-answer")).to_contain_text("The server did not answer")
    expect(tab.page.locator("#open-another")).to_be_focused()


def test_the_focus_goes_to_the_heading_of_the_list_where_what_had_it_goes_away(roomy_person: MakePerson) -> None:
    alice = roomy_person("alice")
    tab = alice.logs_in()
    heading = tab.page.locator("#instances-title")
    for button in (".sign-out", "#sign-it-out", "#it-was-me", "#sign-out-others"):
        other = alice.logs_in_by_script()
        other.goes_online()
        tab.lists("online", "online")
        tab.page.focus(button)
        other.posts("logout")
        tab.lists("online")
        expect(heading).to_be_focused()
        expect(heading).to_contain_text("1 of 3")
    stays, other = alice.logs_in_by_script(), alice.logs_in_by_script()
    tab.lists("online", "detached", "detached")
    expect(heading).to_contain_text("3 of 3")
    for field in ("#text", f"#instance-{stays.instance} .sign-out"):
        tab.page.focus(field)
        other.posts("logout")
        tab.lists("online", "detached")
        other = alice.logs_in_by_script()
        tab.lists("online", "detached", "detached")
        expect(tab.page.locator(field)).to_be_focused()
    tab.is_quiet()


def test_an_answer_that_comes_late_takes_the_focus_from_nothing_that_is_typed_meanwhile(
    roomy_person: MakePerson,
) -> None:
    alice = roomy_person("alice")
    tab = alice.logs_in()
    first, second = alice.logs_in_by_script(), alice.logs_in_by_script()
    tab.lists("online", "detached", "detached")
    held: list[Route] = []
    for address in (f"**/{second.instance}/logout", "**/messages"):
        tab.page.route(address, lambda route: held.append(route))  # noqa: PLW0108 - Playwright wants a function
    tab.page.click(f"#instance-{second.instance} .sign-out")
    until(lambda: bool(held), "it is not asked for")
    tab.page.focus("#text")
    tab.page.keyboard.type("see")
    held.pop().continue_()
    tab.lists("online", "detached")
    tab.page.keyboard.type(" you")
    expect(tab.page.locator("#text")).to_have_value("see you")
    assert list(tab.instances()) == [tab.instance, first.instance]
    tab.page.fill("#to", alice.user_id)
    tab.page.click("#send")
    until(lambda: bool(held), "it is not sent")
    tab.page.click("#own-name")
    tab.page.fill("#name", "My pho")
    held.pop().abort()
    expect(tab.page.locator("#send-error")).to_contain_text("The server did not answer")
    tab.page.keyboard.type("ne")
    expect(tab.page.locator("#name")).to_have_value("My phone")


@pytest.mark.parametrize("size", [DESK, TELEPHONE], ids=["desk", "telephone"])
def test_nothing_jumps_as_fragments_arrive(size: ViewportSize, roomy_person: MakePerson, new_window: NewWindow) -> None:
    window = new_window(viewport=size)
    window.add_init_script(f"({SHIFTS})()")
    alice = roomy_person("alice", window=window)
    tab = alice.logs_in()
    other = alice.logs_in_by_script()
    stream = other.goes_online()
    tab.lists("online", "online")
    for n in range(10):
        other.posts("messages", {"to": alice.user_id, "text": f"text {n} " * 20})
    expect(tab.page.locator("[data-message]")).to_have_count(10)
    stream.leaves()
    tab.lists("online", "detached")
    other.posts("logout")
    tab.lists("online")
    shifts: list[float] = tab.page.evaluate("window.shifts")
    assert sum(shifts) < 0.1, shifts


def test_what_happens_is_announced(roomy_person: MakePerson) -> None:
    alice = roomy_person("alice")
    tab = alice.logs_in()
    assert tab.page.locator("#sdk-state").get_attribute("role") == "status"
    for log in ("#messages", "#events"):
        assert tab.page.locator(log).get_attribute("role") == "log"
    assert tab.page.title().startswith(alice.user_id)
    assert tab.page.locator("html").get_attribute("lang") == "en"
    other = alice.logs_in_by_script()
    other.posts(f"instances/{tab.instance}/logout")
    other.goes_online()
    assert other.posts(f"instances/{tab.instance}/logout").status < 400
    assert tab.is_signed_out().get_attribute("role") == "alert"


def test_the_title_says_which_tab_it_is_and_how_it_is(roomy_person: MakePerson) -> None:
    alice = roomy_person("alice")
    a, b = alice.logs_in("a"), alice.logs_in("b")
    for tab in (a, b):
        until(lambda tab=tab: "Ready" in tab.page.title(), lambda tab=tab: tab.page.title())  # type: ignore[misc]
        expect(tab.page.locator("[data-self]")).to_contain_text("this tab")
        expect(tab.page.locator("[data-self] .name")).to_contain_text("on Linux")
        assert re.fullmatch(rf"{alice.user_id} · Headless Chrome \d+ on Linux · Ready", tab.page.title())


def test_who_wants_no_motion_gets_none(roomy_person: MakePerson, new_window: NewWindow) -> None:
    tab = roomy_person("alice", window=new_window(reduced_motion="reduce")).logs_in()
    moving = tab.page.evaluate("document.getAnimations().length")
    assert moving == 0
