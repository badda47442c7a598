"""An app that asks: a login at the limit chooses which sessions end, and nothing ends before it has chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.support.accessible import fits_everywhere, passes_axe
from tests.support.server import ADMIN_TOKEN, Server
from tests.support.waiting import until
from tests.support.wire import Answer, ScriptTab, ask, browser_cookie, element, get, log_in, path_of, post
from tests.web.conftest import NewWindow
from tim.rules import ASK, EVICT, REJECT

LARGE, TELEPHONE = ViewportSize(width=1920, height=1080), ViewportSize(width=360, height=740)


def does_at_the_limit(server: Server, policy: str) -> None:
    body = json.dumps({"onlineWebInstances": 2, "policy": policy}).encode()
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    told = json.loads(ask(server, "POST", "/console/api/limit", body=body, headers=headers).body)
    assert (told["onlineWebInstances"], told["policy"]) == (2, policy)


@pytest.fixture(scope="module")
def asking(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for these tests alone, as they change what it does at the limit."""
    server = Server(tmp_path_factory.mktemp("asking"), ONLINE_WEB_INSTANCES="2").start()
    does_at_the_limit(server, ASK)
    yield server
    server.stop()


class Newcomer:
    """A browser that tries to log in to an account, and has an answer."""

    def __init__(self, server: Server, user_id: str, *, life: int = 3600) -> None:
        self.server = server
        self.user_id = user_id
        self.browser = browser_cookie(server)
        self.form = {"userID": user_id, "userSig": server.user_sig(user_id, life), "form": "0" * 31 + "1"}
        self.answer = self.logs_in()

    def logs_in(self) -> Answer:
        return post(self.server, "/login", self.form, cookie=self.browser)

    @property
    def choice(self) -> str:
        """The token of the question."""
        found = re.search(r'name="choice" value="([^"]+)"', self.answer.body)
        assert found, self.answer.body
        return unescape(found[1])

    @property
    def shown(self) -> list[str]:
        """Ids of the sessions of which it may choose."""
        return re.findall(r'name="leave" value="(\w+)"', self.answer.body)

    @property
    def ticked(self) -> list[str]:
        return re.findall(r'name="leave" value="(\w+)" checked', self.answer.body)

    def chooses(self, *leave: str, choice: str = "", browser: str = "") -> Answer:
        body = "&".join([f"leave={id}" for id in leave] + [f"choice={choice or self.choice}", f"userID={self.user_id}"])
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self.answer = ask(
            self.server, "POST", "/login/choose", cookie=browser or self.browser, headers=headers, body=body.encode()
        )
        return self.answer

    def is_in(self) -> ScriptTab:
        """The tab to which the answer has sent it."""
        assert self.answer.status == 303, self.answer.body
        cookies = self.answer.cookies()
        return ScriptTab(self.server, self.user_id, self.answer.location.split("/")[-2], cookies["tab"], self.browser)

    def is_asked(self, words: str = "") -> None:
        assert self.answer.status == 409
        shown = element(self.answer.body, "choose-error")
        assert (shown.text if shown else "").find(words) >= 0
        assert bool(shown) is bool(words)
        assert not self.answer.set_cookies()


def full(server: Server, user_id: str) -> list[ScriptTab]:
    """Two tabs of the account, online: the oldest first."""
    tabs = [log_in(server, user_id) for _ in range(2)]
    for tab in tabs:
        tab.goes_online()
    return tabs


def test_the_question_shows_where_the_account_is_online_and_names_the_oldest(asking: Server) -> None:
    first, second = full(asking, "asked")
    comes = Newcomer(asking, "asked")
    comes.is_asked()
    assert comes.shown == [first.instance, second.instance]
    assert comes.ticked == [first.instance]
    assert comes.form["userSig"] not in comes.answer.body
    assert 'class="language"' not in comes.answer.body, "the question cannot be shown again in another language"
    assert "127.0.0.1" in comes.answer.body
    assert first.instances() == {first.instance: "online", second.instance: "online"}
    second.opened[0].line.close()
    until(lambda: first.instances()[second.instance] == "detached", "the server knows that it is closed")
    comes.answer = comes.logs_in()
    assert comes.ticked == [second.instance], "a closed tab leaves before one that is online"
    assert re.search(r'seat kept until <time datetime="[^"]+" title="[^"]+ UTC">[\d:]+</time>', comes.answer.body)


def test_exactly_the_chosen_ones_end_as_evicted_by_the_newcomer(asking: Server) -> None:
    first, second = full(asking, "chosen")
    comes = Newcomer(asking, "chosen")
    question = comes.choice
    comes.chooses(second.instance)
    tab = comes.is_in()
    assert second.opened[0].is_closed() == 4001
    assert tab.instances().keys() == {first.instance, tab.instance}
    # The same answer again, as its reply was lost, and the same login form: the same tab.
    comes.chooses(first.instance, choice=question)
    assert comes.is_in().instance == tab.instance
    comes.answer = comes.logs_in()
    assert comes.is_in().instance == tab.instance
    assert first.opened[0].code is None


def test_a_choice_of_too_few_or_from_an_old_list_ends_nobody_and_is_asked_again(asking: Server) -> None:
    first, second = full(asking, "again")
    comes, other = Newcomer(asking, "again"), Newcomer(asking, "again")
    before = comes.choice
    comes.chooses()
    comes.is_asked("choose at least 1")
    assert comes.ticked == []
    comes.chooses("0" * 34)
    comes.is_asked("choose at least 1")
    other.chooses(first.instance)
    third = other.is_in()
    comes.chooses(second.instance, choice=before)
    comes.is_asked("others than a moment ago")
    assert comes.shown == [second.instance, third.instance]
    assert third.instances().keys() == {second.instance, third.instance}
    comes.chooses(second.instance, third.instance)
    tab = comes.is_in()
    assert tab.instances().keys() == {tab.instance}


def test_where_there_is_room_meanwhile_nobody_ends(asking: Server) -> None:
    first, second = full(asking, "room")
    comes = Newcomer(asking, "room")
    second.posts("logout")
    comes.chooses(first.instance)
    assert comes.is_in().instances().keys() == {first.instance, comes.is_in().instance}


def test_a_choice_that_is_altered_or_of_another_browser_leads_back_to_the_login_page(asking: Server) -> None:
    first, second = full(asking, "forged")
    comes = Newcomer(asking, "forged")
    token = comes.choice
    other = Newcomer(asking, "forged")
    forged = [f"{token[:-1]}{'A' if token[-1] != 'A' else 'B'}", f"x{token}", "nonsense", first.value]
    refused = [comes.chooses(first.instance, choice=one) for one in forged]
    refused.append(comes.chooses(first.instance, choice=token, browser=other.browser))
    refused.append(post(asking, "/login/choose", {"leave": first.instance, "userID": "forged"}, cookie=comes.browser))
    for answer in refused:
        assert answer.status == 400
        error, user_id = element(answer.body, "login-error"), element(answer.body, "userID")
        assert error and "nothing has changed" in error.text
        assert user_id and user_id.attributes["value"] == "forged"
    assert first.instances().keys() == {first.instance, second.instance}
    assert get(asking, "/login/choose").location == "/login"


def test_a_usersig_that_expires_meanwhile_admits_nobody(asking: Server) -> None:
    first, second = full(asking, "expires")
    comes = Newcomer(asking, "expires", life=3)
    before = comes.choice
    until(lambda: comes.chooses(choice=before).status == 401, "its UserSig should expire")
    error = element(comes.answer.body, "login-error")
    assert error and error.text.startswith("70001")
    comes.chooses(first.instance, choice=before)
    assert comes.answer.status == 401
    assert first.instances().keys() == {first.instance, second.instance}


def test_a_policy_that_is_saved_meanwhile_ends_nobody_but_the_chosen(asking: Server) -> None:
    first, second = full(asking, "meanwhile")
    comes = Newcomer(asking, "meanwhile")
    token = comes.choice
    try:
        does_at_the_limit(asking, REJECT)
        refused = comes.chooses(second.instance, choice=token)
        error = element(refused.body, "login-error")
        assert (refused.status, error and error.text[:5]) == (409, "70053")
        assert first.instances().keys() == {first.instance, second.instance}
        does_at_the_limit(asking, EVICT)
        comes.chooses(second.instance, choice=token)
        assert comes.is_in().instances().keys() == {first.instance, comes.is_in().instance}, "not the oldest ended"
    finally:
        does_at_the_limit(asking, ASK)


def test_a_login_that_is_rejected_is_told_where_the_account_is_online(asking: Server) -> None:
    full(asking, "rejected")
    try:
        does_at_the_limit(asking, REJECT)
        refused = Newcomer(asking, "rejected").answer
    finally:
        does_at_the_limit(asking, ASK)
    error = element(refused.body, "login-error")
    assert refused.status == 409
    assert error and error.text.startswith("70053") and error.text.count("127.0.0.1") == 2


def test_a_person_chooses_by_keyboard_and_without_javascript(asking: Server, new_window: NewWindow) -> None:
    first, second = full(asking, "keys")
    page = new_window(java_script_enabled=False).new_page()
    page.goto(f"{asking.address}/login?userID=keys")
    page.fill("#userSig", asking.user_sig("keys"))
    page.press("#userSig", "Enter")
    expect(page.locator("#choose-form input:checked")).to_have_value(first.instance)
    page.press(f'input[value="{first.instance}"]', "Space")
    page.click("#choose")
    expect(page.locator("#choose-error")).to_contain_text("choose at least 1")
    expect(page.locator("#choose-form input").first).to_be_focused()
    page.press(f'input[value="{second.instance}"]', "Space")
    page.press(f'input[value="{second.instance}"]', "Enter")
    expect(page.locator("#login-user")).to_have_text("keys")
    assert second.opened[0].is_closed() == 4001
    assert first.opened[0].code is None


def test_who_cancels_is_at_the_login_page_and_nobody_has_ended(asking: Server, new_window: NewWindow) -> None:
    first, second = full(asking, "cancels")
    page = new_window().new_page()
    page.goto(f"{asking.address}/login?userID=cancels")
    page.fill("#userSig", asking.user_sig("cancels"))
    page.click("#login")
    expect(page.locator("#choose-form")).to_be_visible()
    passes_axe(page, "the choice", LARGE, TELEPHONE)
    fits_everywhere(page, "the choice")
    page.click("#cancel")
    expect(page.locator("#userID")).to_have_value("cancels")
    assert path_of(page.url) == "/login?userID=cancels"
    assert first.instances().keys() == {first.instance, second.instance}
