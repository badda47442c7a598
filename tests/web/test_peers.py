"""What an account decides about its instances from the page of one: names, sign-outs, and whose a new login is."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support import accessible
from tests.support.server import Server
from tests.support.wire import Answer, ScriptTab, get, log_in, post
from tests.web.conftest import MakePerson
from tests.web.test_accessibility import DESK, TELEPHONE
from tim.input_rules import MAX_NAME

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def whole(tab: ScriptTab) -> str:
    """The Cookie header of its browser: its own cookie too, which a script alone does not send."""
    return f"{tab.browser}; {tab.cookie}"


def new_login(html: str) -> str:
    """The notice of a new login in a page or fragment; empty without one."""
    found = re.search(r'<div id="new-login">.*?<p>(.*?)</p>.*?action="[^"]*/instances/(\w+)/', html, re.DOTALL)
    return "" if found is None else f"{re.sub('<[^>]*>', '', found[1])} {found[2]}"


def posts(tab: ScriptTab, path: str, form: dict[str, str] | None = None, *, htmx: bool = False) -> Answer:
    """One of its forms, as its browser sends it."""
    headers = {"HX-Request": "true"} if htmx else {}
    return post(tab.server, tab.path + path, form or {}, cookie=whole(tab), headers=headers)


def page(tab: ScriptTab) -> str:
    """Its page, as its browser gets it."""
    return get(tab.server, tab.path, cookie=whole(tab)).body


# Names


def test_without_a_name_an_instance_is_shown_by_its_browser(roomy: Server) -> None:
    tab = log_in(roomy, "unnamed", headers={"User-Agent": FIREFOX})
    assert "<title>unnamed · Firefox 140 on Windows · Not ready</title>" in tab.gets().body
    assert "<bdi>Firefox 140 on Windows</bdi>" in tab.gets().body


def test_a_new_name_is_shown_by_every_tab_of_the_account_and_in_the_title_of_its_own(roomy: Server) -> None:
    tab, other = log_in(roomy, "named"), log_in(roomy, "named")
    streams = tab.goes_online(), other.goes_online()
    assert tab.posts("name", {"name": "  my <laptop> "}).location.endswith(tab.path)
    for stream in streams:
        assert "<bdi>my &lt;laptop&gt;</bdi>" in stream.hears("my &lt;laptop&gt;")
    assert "<title>named · my &lt;laptop&gt; · Ready</title>" in streams[0].frames[-1]
    assert "my &lt;laptop&gt; ·" not in streams[1].frames[-1], "the title of the other is its own"
    tab.posts("name", {"name": ""})
    streams[0].hears("<title>named · unknown browser · Ready</title>")


@pytest.mark.parametrize("htmx", [True, False])
def test_a_name_that_is_too_long_is_refused_beside_the_list_and_stays_typed(roomy: Server, htmx: bool) -> None:
    tab = log_in(roomy, f"long-{htmx}")
    answer = tab.posts("name", {"name": "x" * 65}, htmx=htmx)
    assert answer.status == 400
    assert "<strong>70402</strong> name must be one line of at most 64 characters" in answer.body
    assert ('id="sdk-state"' in answer.body) is not htmx, "htmx needs the refusal alone; what was typed is still there"
    assert htmx or f'value="{"x" * 65}"' in answer.body
    assert htmx or re.search(r'<input id="name" [^>]*aria-invalid="true"', answer.body)
    assert "x" * 65 not in tab.gets().body


def test_an_instance_that_ends_within_a_day_says_when(roomy: Server) -> None:
    week = log_in(roomy, "ends", roomy.user_sig("ends", 7 * 86400))
    assert ">in " not in week.gets().body
    log_in(roomy, "ends", roomy.user_sig("ends", 2 * 3600 + 60))
    assert re.search("ends <time [^>]*>in 2 hours</time>", week.gets().body)


# Signing out


def test_all_others_are_signed_out_at_once(roomy: Server) -> None:
    tab, *others = (log_in(roomy, "the-others") for _ in range(3))
    streams = [other.goes_online() for other in others]
    mine = tab.goes_online()
    assert "Sign out 2 others" in tab.gets().body
    assert tab.posts("instances/logout").status == 303
    assert [stream.is_closed() for stream in streams] == [4005, 4005]
    assert tab.instances() == {tab.instance: "online"}
    assert "sign-out-others" not in tab.gets().body, "there is no other"
    assert mine.code is None
    assert others[0].posts("instances/logout").location.startswith("/login"), "it decides nothing any more"


def test_no_instance_decides_about_those_of_another_account(roomy: Server) -> None:
    mallory, victim = log_in(roomy, "mallory-too"), log_in(roomy, "victim-too")
    for verb in ("vouch", "logout"):
        for htmx in (True, False):
            answer = mallory.posts(f"instances/{victim.instance}/{verb}", htmx=htmx)
            assert (answer.status, "no such instance" in answer.body) == (404, True)
    assert list(victim.instances()) == [victim.instance]


# New logins


def test_the_tabs_that_stay_are_told_of_a_new_login_until_it_is_known(roomy: Server) -> None:
    tab, also = log_in(roomy, "told"), log_in(roomy, "told")
    posts(tab, f"instances/{also.instance}/vouch")
    stream = tab.goes_online()
    assert new_login(page(tab)) == ""
    stranger = log_in(roomy, "told", headers={"User-Agent": FIREFOX})
    for html in (stream.hears('id="new-login"'), page(tab), page(also)):
        told = new_login(html)
        assert told == f"Firefox 140 on Windows · 127.0.0.1 · just now {stranger.instance}"
    assert new_login(page(stranger)) == "", "an older login is not new"
    # That it comes back, or is named, changes nothing.
    stranger.goes_online().leaves()
    posts(also, f"instances/{stranger.instance}/vouch")
    assert new_login(page(also)) == ""
    assert new_login(page(tab)) != "", "a younger one, which may be a stranger itself, does not speak for an older one"
    answer = posts(tab, f"instances/{stranger.instance}/vouch", htmx=True)
    assert (answer.status, new_login(answer.body)) == (200, "")
    stream.hears('<div id="new-logins" role="status"></div>')
    stranger.goes_online()
    assert new_login(page(tab)) == ""


def test_a_login_of_the_same_browser_is_not_new_and_its_oldest_tab_knows_whom_the_others_know(roomy: Server) -> None:
    first = log_in(roomy, "one-browser")
    second = log_in(roomy, "one-browser", browser=first.browser)
    assert new_login(page(first)) == ""
    stranger = log_in(roomy, "one-browser")
    assert new_login(page(first)).endswith(stranger.instance)
    posts(second, f"instances/{stranger.instance}/vouch")
    assert [new_login(page(tab)) for tab in (first, second)] == ["", ""]


def test_of_several_new_logins_the_oldest_is_shown_first(roomy: Server) -> None:
    tab, older, newer = (log_in(roomy, "several") for _ in range(3))
    assert "1 of 2" in page(tab)
    assert new_login(page(tab)).endswith(older.instance)
    answer = posts(tab, f"instances/{older.instance}/vouch", htmx=True)
    assert new_login(answer.body).endswith(newer.instance)
    buttons = re.findall(r'<button id="(sign-it-out|it-was-me)"', answer.body)
    assert buttons == ["it-was-me", "sign-it-out"], "one press too many ends nothing"
    assert "autofocus" not in answer.body


# In a browser


def test_a_new_login_is_shown_without_taking_the_focus_and_is_signed_out(roomy: Server, person: MakePerson) -> None:
    alice = person("alice", on=roomy)
    tab = alice.logs_in()
    tab.page.focus("#text")
    stranger, another = alice.logs_in_by_script(agent=FIREFOX), alice.logs_in_by_script()
    stream = stranger.goes_online()
    notice = tab.page.locator("#new-login")
    expect(notice).to_contain_text("Firefox 140 on Windows")
    expect(notice).to_contain_text("127.0.0.1")
    assert tab.page.evaluate("document.activeElement.id") == "text"
    assert tab.page.locator("#new-logins").get_attribute("role") == "status"
    accessible.passes_axe(tab.page, "a new login", DESK, TELEPHONE)
    accessible.fits_everywhere(tab.page, "a new login")
    tab.page.focus("#sign-it-out")
    tab.page.keyboard.press("Enter")
    assert stream.is_closed() == 4005
    expect(tab.page.locator(f"#instance-{stranger.instance}")).to_have_count(0)
    expect(tab.page.locator("#instances-title")).to_be_focused()
    below = tab.page.locator(f"#instance-{another.instance} .sign-out")
    assert below.evaluate("button => button.offsetHeight") >= 44
    tab.page.click("#it-was-me")
    expect(notice).to_have_count(0)
    expect(tab.page.locator("#instances-title")).to_be_focused()
    tab.page.focus("#sign-out-others")
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#sign-out-others")).to_have_count(0)
    expect(tab.page.locator("#instances-title")).to_be_focused()
    tab.is_quiet()


def test_the_field_of_a_name_cuts_none_that_fits_and_a_longer_one_is_refused(person: MakePerson) -> None:
    tab = person("alice").logs_in()
    name, refused = tab.page.locator("#name"), tab.page.locator("#refused")
    tab.page.click("#own-name")
    for typed in ("😀" * MAX_NAME + "!", "😀" * MAX_NAME):
        name.fill("")
        name.focus()
        tab.page.keyboard.insert_text(typed)
        expect(name).to_have_value(typed)
        name.press("Enter")
        if len(typed) > MAX_NAME:
            expect(refused).to_contain_text(f"at most {MAX_NAME} characters")
            expect(name).to_be_focused()
    expect(tab.page.locator("#tab-name")).to_have_text("😀" * MAX_NAME)
    expect(refused).to_be_hidden()


def test_a_tab_is_renamed_by_keyboard_while_others_come_and_go(roomy: Server, person: MakePerson) -> None:
    alice = person("alice", on=roomy)
    tab = alice.logs_in()
    keys = tab.page.keyboard
    tab.page.focus("#own-name")
    keys.press("Enter")
    keys.press("Tab")
    keys.type("my ")
    other = alice.logs_in_by_script()
    other.goes_online()
    tab.lists("online", "online")
    expect(tab.page.locator("#name")).to_be_focused()
    keys.type("laptop")
    other.posts("logout")
    tab.lists("online")
    expect(tab.page.locator("#name")).to_have_value("my laptop")
    keys.press("Enter")
    expect(tab.page.locator("[data-self] .name")).to_contain_text("my laptop")
    expect(tab.page.locator("#tab-name")).to_have_text("my laptop")
    expect(tab.page).to_have_title(f"{alice.user_id} · my laptop · Ready")
    expect(tab.page.locator("#own-name")).to_be_focused()
    expect(tab.page.locator("#rename")).to_be_hidden()
    tab.page.reload()
    tab.is_ready()
    expect(tab.page.locator("[data-self] .name")).to_contain_text("my laptop")
    tab.is_quiet()
