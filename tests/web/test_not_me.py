"""The "That wasn't me" of an evicted tab: its own browser alone says it, once, and the login that displaced it ends."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.support.displaced import Displaced
from tests.support.server import Server
from tests.support.waiting import until
from tests.support.wire import (
    browser_cookie,
    element,
    get,
    log_in,
    login_page_of,
    path_of,
    post,
    switch,
)
from tests.web.conftest import MakePerson, NewWindow
from tim.codes import USERSIG_REVOKED


def text(body: str, id: str) -> str:
    found = element(body, id)
    assert found, body
    return found.text


def test_one_click_ends_the_login_that_displaced_the_tab(person: MakePerson, new_window: NewWindow) -> None:
    alice = person("alice")
    sig = alice.server.user_sig(alice.user_id)
    mine = alice.logs_in("mine")
    thief = person("alice", window=new_window())
    thief.user_id = alice.user_id
    theirs = thief.logs_in("theirs")
    notice = mine.is_kicked_out("multipleAccount")
    notice.locator("#not-me").click()
    expect(mine.page.locator("#disowned h1")).to_have_text("1 session was ended")
    expect(mine.page).to_have_title(re.compile(alice.user_id))
    ended = theirs.is_kicked_out("REST_API_Kick")
    expect(ended).to_contain_text("older session of this account")
    expect(ended.locator(".by-browser")).to_contain_text("on Linux")
    expect(ended.locator("#not-me")).to_have_count(0)
    # Both have the same UserSig, and it opens nothing any more; a new one does.
    theirs.page.fill("#userSig", sig)
    theirs.page.click("#login")
    expect(theirs.page.locator("#login-error")).to_contain_text(str(USERSIG_REVOKED))
    mine.page.fill("#userSig", alice.server.user_sig(alice.user_id))
    mine.page.click("#login")
    mine.is_ready()
    mine.lists("online")
    mine.is_quiet()


def test_the_answer_says_what_is_revoked_and_a_second_press_says_so_again(server: Server) -> None:
    at = Displaced.at(server, "says-it-twice")
    stream = at.thief.goes_online()
    first = at.says()
    assert first.status == 200
    assert "1 session was ended" in text(first.body, "disowned")
    assert stream.is_closed() == 4004
    new = log_in(server, "says-it-twice")
    second = at.says()
    assert second.status == 200
    assert "already said" in text(second.body, "disowned")
    for answer in (first, second):
        assert "Every UserSig of says-it-twice" in text(answer.body, "disowned")
        field = element(answer.body, "userID")
        assert field and field.attributes["value"] == "says-it-twice"
    assert new.instances(), "a second press ends nothing"
    assert server.log().count(f"not-me user=says-it-twice instance={at.owner.instance}") == 1
    again = get(server, path_of(at.owner.gets().location), cookie=at.owner.browser).body
    assert "Every UserSig" in text(again, "kicked-out")
    assert element(again, "not-me") is None
    chinese = get(server, switch(first)[0], cookie=f"{at.owner.browser}; lang=zh").body
    assert "says-it-twice" in text(chinese, "kicked-out")
    assert get(server, "/login/not-me").location == "/login"


def test_only_its_own_browser_says_it_and_with_its_own_proof(server: Server) -> None:
    at, other = Displaced.at(server, "not-anybody"), Displaced.at(server, "not-the-other")
    ticket = path_of(at.owner.gets().location).partition("tab=")[2]
    attempts = {
        "no cookie": at.says(cookie=""),
        "another browser": at.says(cookie=browser_cookie(server)),
        "the thief": at.says(cookie=at.thief.browser),
        "the tab's cookie alone": at.says(cookie=at.owner.cookie),
        "no proof": at.says(proof=""),
        "the proof of another": at.says(proof=other.proof),
        "an altered proof": at.says(proof=at.proof[:-1]),
        "the ticket of its address": at.says(proof=ticket),
        "its id": at.says(proof=at.owner.instance),
    }
    for what, answer in attempts.items():
        assert answer.status == 400, what
        assert "nothing has changed" in text(answer.body, "login-error"), what
        assert element(answer.body, "not-me") is None, what
    assert at.thief.instances() == {at.thief.instance: "detached"}
    log_in(server, "not-anybody", at.sig)
    foreign = {"Origin": "https://evil.example", "Cookie": other.owner.browser}
    assert post(server, "/login/not-me", {"proof": other.proof}, headers=foreign).status == 403


def test_where_the_thief_has_left_the_answer_speaks_of_later_sessions_alone(server: Server) -> None:
    """An older one may be there and stays."""
    at = Displaced.at(server, "has-left")
    at.thief.posts("logout")
    assert "no later session left" in text(at.says().body, "disowned")


def test_no_other_notice_has_the_button(roomy: Server) -> None:
    user = "no-button"
    expired = log_in(roomy, user, roomy.user_sig(user, 4))
    out, signed_out, one = (log_in(roomy, f"{user}-too") for _ in range(3))
    one.posts(f"instances/{signed_out.instance}/logout")
    until(lambda: expired.gets().status == 303, "its UserSig should run out")
    words = {"kicked-out": "Your session has expired", "signed-out": f"{user}-too was signed out in this tab"}
    for tab, id in ((expired, "kicked-out"), (signed_out, "signed-out")):
        page = login_page_of(tab)
        assert words[id] in text(page, id)
        assert element(page, "not-me") is None
        assert 'name="proof"' not in page
    answer = post(roomy, f"{out.path}logout", {}, cookie=f"{out.browser}; {out.cookie}")
    page = get(roomy, answer.location, cookie=f"{out.browser}; notice={answer.cookies()['notice']}").body
    assert "no-button-too has signed out" in text(page, "signed-out")
    assert element(page, "not-me") is None
