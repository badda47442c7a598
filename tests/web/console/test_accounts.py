"""The page of one account: what it shows, and what an operator does there."""

from __future__ import annotations

import html
import re
import secrets
import string
import time
from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote, urlencode

import pytest
from flask import Flask
from playwright.sync_api import ViewportSize, expect

from tests.support.accessible import fits_everywhere, passes_axe
from tests.support.administrator import Administrator
from tests.support.console import Operator, open_console, sign_in
from tests.support.sdk_script import Script
from tests.support.server import ADMINISTRATOR, VIEWER_TOKEN, Server
from tests.support.wire import Answer, element, log_in, login_page_of, post_login
from tests.web.conftest import MakePerson, NewWindow
from tim.web.console import accounts

LARGE, TELEPHONE = ViewportSize(width=1920, height=1080), ViewportSize(width=360, height=740)
STRANGE = (
    ".",
    "..",
    "a/b",
    "/",
    "//",
    "a//b",
    "a/../b",
    "./x",
    "%2e%2e",
    "?done=kicked",
    "#",
    "a;b=c",
    "\\",
    "'\"<&>`",
)
ALPHABET = "".join(chr(number) for number in range(0x21, 0x7F))


@pytest.fixture
def admin(roomy: Server) -> Operator:
    return sign_in(roomy)


@pytest.fixture
def account() -> Callable[[str], str]:
    """`account("alice")`: an account of this test alone."""
    return lambda name: f"{name}-{secrets.token_hex(4)}"


def page_of(operator: Operator, user: str) -> Answer:
    """The page of the account, as the form that opens it finds it."""
    found = operator.gets(f"/accounts?{urlencode({'userID': user})}")
    if found.status == 303:
        assert found.location.startswith("/console/accounts/")
        found = operator.gets(found.location.removeprefix("/console"))
    assert found.status == 200, found.body
    return found


def listed(answer: Answer) -> list[str]:
    return re.findall(r'data-instance="([^"]+)"', answer.body)


def text(answer: Answer, id: str) -> str:
    found = element(answer.body, id)
    return "" if found is None else " ".join(found.text.split())


def done(operator: Operator, action: str, user: str, **form: str) -> Answer:
    """Do something to the account; the page that follows."""
    answer = operator.posts(f"/accounts/{action}", {"userID": user, **form})
    assert answer.status == 303, answer.body
    return operator.gets(answer.location.removeprefix("/console"))


@pytest.mark.parametrize("user", [*STRANGE, ALPHABET[:32], ALPHABET[32:64], ALPHABET[62:]])
def test_each_account_has_a_page_whatever_its_user_id(user: str, admin: Operator, roomy: Server) -> None:
    instance = log_in(roomy, user).instance
    page = page_of(admin, user)
    assert f">{html.escape(user)}</h1>".replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page.body
    assert listed(page) == [instance]
    assert instance in admin.gets(f"/account-status?{urlencode({'userID': user})}").body
    after = admin.posts("/accounts/kick", {"userID": user, "instance": instance})
    assert listed(admin.gets(after.location.removeprefix("/console"))) == []
    assert "does not exist" not in page.body


@pytest.mark.parametrize("wrong", ["a b", "x" * 33, "张三", "", "\x00"])
def test_what_is_no_user_id_is_refused_with_its_rule_and_kept(wrong: str, admin: Operator) -> None:
    refused = admin.gets(f"/accounts?{urlencode({'userID': wrong})}")
    assert refused.status == 400
    assert "userID must be" in text(refused, "userID-hint")
    for path in (f"/accounts/{quote(wrong, safe='')}", f"/account-status?{urlencode({'userID': wrong})}"):
        assert wrong == "" or admin.gets(path).status == 400
    for action in ("kick", "revoke", "block", "unblock"):
        assert admin.posts(f"/accounts/{action}", {"userID": wrong}).status == 400


def test_the_form_opens_the_page_and_an_account_that_does_not_exist_says_so(
    admin: Operator, account: Callable[[str], str]
) -> None:
    assert element(admin.gets("/accounts").body, "userID")
    nobody = page_of(admin, account("nobody"))
    assert "does not exist" in text(nobody, "account-state")
    assert "No instance is logged in." in nobody.body


def test_an_instance_is_shown_by_the_name_that_its_account_has_given_it(
    admin: Operator, roomy: Server, account: Callable[[str], str]
) -> None:
    tab = log_in(roomy, account("alice"))
    tab.posts("name", {"name": "my <laptop>"})
    assert "<bdi>my &lt;laptop&gt;</bdi>" in page_of(admin, tab.user_id).body


def test_an_operator_kicks_one_instance_and_then_all(
    admin: Operator, roomy: Server, account: Callable[[str], str]
) -> None:
    alice = account("alice")
    tabs = [log_in(roomy, alice) for _ in range(3)]
    streams = [tab.goes_online() for tab in tabs]
    assert "3 of 3 seats taken" in text(page_of(admin, alice), "account-state")
    after = done(admin, "kick", alice, instance=tabs[1].instance, words="by mistake <3")
    assert listed(after) == [tabs[0].instance, tabs[2].instance]
    assert streams[1].is_closed() == 4004
    assert "it had ended before" in text(done(admin, "kick", alice, instance=tabs[1].instance), "done")
    assert listed(done(admin, "kick", alice)) == []
    assert [stream.is_closed() for stream in streams] == [4004] * 3
    assert log_in(roomy, alice).instance, "a kick revokes no UserSig"


def test_the_page_has_the_audit_of_the_account_newest_first(
    admin: Operator, roomy: Server, account: Callable[[str], str]
) -> None:
    alice = account("alice")
    log_in(roomy, alice)
    done(admin, "kick", alice, words="by mistake")
    done(admin, "block", alice, duration="3600", reason="spam")
    done(admin, "unblock", alice)
    done(admin, "revoke", alice)
    page = page_of(admin, alice)
    assert re.findall(r'data-kind="([^"]+)"', page.body) == ["revoked", "unblocked", "blocked", "kicked", "login"]
    assert page.body.count(">console admin</td>") == 4
    assert "by mistake" in page.body


def test_the_user_reads_the_reason_of_a_kick(admin: Operator, roomy: Server, account: Callable[[str], str]) -> None:
    tab = log_in(roomy, account("alice"))
    stays = log_in(roomy, tab.user_id)
    done(admin, "kick", tab.user_id, words="by mistake <3", instance=tab.instance)
    assert "by mistake &lt;3" in login_page_of(tab)
    assert "ended this session" in login_page_of(tab)
    assert listed(page_of(admin, tab.user_id)) == [stays.instance]


def test_the_only_seat_is_no_plural(server: Server, account: Callable[[str], str]) -> None:
    assert "0 of 1 seat taken" in text(page_of(sign_in(server), account("alice")), "account-state")


def test_a_kick_ends_no_instance_of_another_account(
    admin: Operator, roomy: Server, account: Callable[[str], str]
) -> None:
    alice, bob = account("alice"), account("bob")
    log_in(roomy, alice)
    tab = log_in(roomy, bob)
    done(admin, "kick", alice, instance=tab.instance)
    assert listed(page_of(admin, bob)) == [tab.instance]


def test_a_block_ends_the_instances_and_refuses_logins_at_each_door_until_it_is_lifted(
    admin: Operator, roomy: Server, account: Callable[[str], str]
) -> None:
    alice = account("alice")
    stream = log_in(roomy, alice).goes_online()
    blocked = done(admin, "block", alice, duration="3600", reason="<i>spam</i>")
    assert stream.is_closed() == 4004
    assert "blocked until" in text(blocked, "blocked")
    assert "Blocked by console admin" in blocked.body
    assert "&lt;i&gt;spam&lt;/i&gt;" in blocked.body
    form = post_login(roomy, alice)
    assert (form.status, text(form, "login-error").startswith("70051")) == (403, True)
    socket = Script(roomy).tries_to_log_in(alice, roomy.user_sig(alice))
    assert socket["ErrorCode"] == 70051
    for words in (text(form, "login-error"), socket["ErrorInfo"]):
        assert "(<i>spam</i>)" in words
        assert "until 2" in words
    lifted = done(admin, "unblock", alice)
    assert element(lifted.body, "blocked") is None
    log_in(roomy, alice)


def test_an_administrator_that_is_blocked_calls_nothing_by_rest(make_server: Callable[..., Server]) -> None:
    server = make_server()
    operator = sign_in(server)
    done(operator, "block", ADMINISTRATOR, duration="forever")
    answer = Administrator(server).calls("im_open_login_svc/account_import", {"UserID": "x"})
    assert (answer["ActionStatus"], answer["ErrorCode"]) == ("FAIL", 70051)
    done(operator, "unblock", ADMINISTRATOR)
    assert Administrator(server).calls("im_open_login_svc/account_import", {"UserID": "x"})["ErrorCode"] == 0


def test_a_block_ends_when_the_operator_has_said(admin: Operator, account: Callable[[str], str]) -> None:
    alice = account("alice")
    assert text(done(admin, "block", alice, duration="forever"), "blocked") == "blocked without an end"
    at = datetime.fromtimestamp(time.time() + 86400).replace(second=0, microsecond=0)
    page = done(admin, "block", alice, duration="until", until=at.isoformat(timespec="minutes"))
    assert at.strftime("%H:%M:00") in text(page, "blocked")
    assert str(at.day) in text(page, "blocked")


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"duration": "until", "until": ""}, "a date and a time"),
        ({"duration": "until", "until": "yesterday"}, "a date and a time"),
        ({"duration": "until", "until": "2020-01-01T00:00"}, "in the future"),
        ({"duration": "until", "until": "9999-12-31T23:59"}, "a date and a time from 1970 to 9998"),
        ({"duration": "until", "until": "0001-01-01T00:00"}, "a date and a time"),
        ({"duration": "soon"}, "how long"),
        ({}, "how long"),
        ({"duration": "3600", "reason": "x" * 201}, "at most 200 characters"),
        ({"duration": "3600", "reason": "two\nlines"}, "one line"),
    ],
    ids=str,
)
def test_a_block_that_makes_no_sense_is_refused_with_what_was_typed(
    form: dict[str, str], says: str, admin: Operator, account: Callable[[str], str]
) -> None:
    alice = account("alice")
    answer = admin.posts("/accounts/block", {"userID": alice, "reason": "spam", **form})
    assert answer.status == 400
    assert "70402" in text(answer, "problem")
    assert says in text(answer, "problem")
    kept = element(answer.body, "reason")
    assert kept is not None
    assert (kept.attributes["value"] or "").split() == form.get("reason", "spam").split()
    assert element(page_of(admin, alice).body, "blocked") is None


def test_a_block_that_another_operator_has_changed_meanwhile_stays(
    admin: Operator, account: Callable[[str], str]
) -> None:
    alice = account("alice")
    shown = {"userID": alice, "shown": shown_block(page_of(admin, alice))}
    done(admin, "block", alice, duration="forever", reason="theirs")
    mine = {"duration": "3600", "reason": "mine <3"}
    refused = admin.posts("/accounts/block", shown | mine)
    assert refused.status == 409
    assert "was changed meanwhile" in text(refused, "problem")
    assert text(refused, "blocked") == "blocked without an end"
    assert "mine &lt;3" in refused.body
    assert "Reason: theirs" in refused.body
    again = admin.posts("/accounts/block", {"userID": alice, "shown": shown_block(refused)} | mine)
    assert again.status == 303
    # Nor is a block lifted that was set in place of the one that was seen.
    seen = shown_block(page_of(admin, alice))
    done(admin, "block", alice, duration="forever", reason="theirs")
    assert admin.posts("/accounts/unblock", {"userID": alice, "shown": seen}).status == 409
    assert text(page_of(admin, alice), "blocked") == "blocked without an end"


@pytest.mark.parametrize("said", ["nan", "inf", "1e308", "-5"])
def test_what_is_no_time_is_no_block(said: str) -> None:
    with Flask(__name__).test_request_context(method="POST", data={"shown": said}):
        assert accounts._shown() == -1


def shown_block(page: Answer) -> str:
    """What the form says of the block that its page shows."""
    found = re.search(r'<input type="hidden" name="shown" value="([^"]*)"', page.body)
    assert found
    return found[1]


def test_revoked_usersigs_open_no_login_and_instances_stay(
    admin: Operator, roomy: Server, account: Callable[[str], str]
) -> None:
    alice = account("alice")
    tab, old = log_in(roomy, alice), roomy.user_sig(alice)
    page = done(admin, "revoke", alice)
    assert listed(page) == [tab.instance]
    assert "are revoked" in text(page, "account-state")
    refused = post_login(roomy, alice, old)
    assert text(refused, "login-error").startswith("70052")
    assert post_login(roomy, alice).status == 303


def test_a_viewer_sees_the_account_and_no_button(admin: Operator, roomy: Server, account: Callable[[str], str]) -> None:
    alice = account("alice")
    instance = log_in(roomy, alice).instance
    page = page_of(sign_in(roomy, VIEWER_TOKEN), alice)
    assert listed(page) == [instance]
    assert not re.findall(r'<button(?! id="sign-out"| class="quiet" name="lang")', page.body)


def test_the_page_follows_the_account_and_keeps_what_is_typed(
    roomy: Server, new_window: NewWindow, person: MakePerson
) -> None:
    alice = person("alice", on=roomy)
    tab = alice.logs_in()
    page = open_console(new_window(), roomy, path=f"/accounts/{alice.user_id}")
    expect(page.locator("[data-instance]")).to_have_count(1)
    page.fill("#words", "typed and not lost")
    page.press("#words", "Enter")  # kicks nobody
    other = alice.logs_in_by_script()
    expect(page.locator(f"[data-instance='{other.instance}']")).to_be_visible()
    expect(page.locator("#words")).to_have_value("typed and not lost")
    page.locator(f"[data-instance='{tab.instance}'] button.kick").click()
    tab.is_kicked_out("REST_API_Kick")
    expect(page.locator("#done")).to_contain_text("Kicked out")
    expect(page.locator("[data-instance]")).to_have_count(1)
    page.select_option("#duration", "604800")
    page.fill("#reason", "spam")
    page.press("#reason", "Enter")
    expect(page.locator("#blocked")).to_contain_text("blocked until")
    expect(page.locator("[data-instance]")).to_have_count(0)
    passes_axe(page, "a blocked account", LARGE, TELEPHONE)
    fits_everywhere(page, "a blocked account")
    refused = alice.opens("/login")
    refused.page.fill("#userID", alice.user_id)
    refused.page.fill("#userSig", roomy.user_sig(alice.user_id))
    refused.page.click("#login")
    expect(refused.page.locator("#login-error")).to_contain_text("70051")
    expect(refused.page.locator("#login-error")).to_contain_text("(spam)")
    page.click("#unblock")
    expect(page.locator("#done")).to_contain_text("Unblocked")


def test_the_forms_follow_the_block_and_no_notice_contradicts_it(
    admin: Operator, roomy: Server, new_window: NewWindow, account: Callable[[str], str]
) -> None:
    alice = account("alice")
    page = open_console(new_window(), roomy, path=f"/accounts/{alice}")
    expect(page.locator("#block")).to_have_text("Block")
    expect(page.locator("#unblock")).to_have_count(0)
    page.select_option("#duration", "604800")
    page.fill("#reason", "half a rea")
    done(admin, "block", alice, duration="forever")
    expect(page.locator("#block")).to_have_text("Change the block")
    expect(page.locator("#reason")).to_be_focused()
    expect(page.locator("#reason")).to_have_value("half a rea")
    expect(page.locator("#duration")).to_have_value("604800")
    page.click("#unblock")
    expect(page.locator("#done")).to_contain_text("Unblocked.")
    done(admin, "block", alice, duration="3600")
    expect(page.locator("#blocked")).to_contain_text("blocked until")
    expect(page.locator("#done")).to_have_count(0)
    page.focus("#block")
    done(admin, "unblock", alice)
    expect(page.locator("#block")).to_have_text("Block")
    expect(page.locator("#block")).to_be_focused()
    expect(page.locator("#unblock")).to_have_count(0)


def test_a_heading_gets_the_focus_of_what_a_poll_takes_away(
    admin: Operator, roomy: Server, new_window: NewWindow, account: Callable[[str], str]
) -> None:
    alice = account("alice")
    done(admin, "block", alice, duration="forever")
    page = open_console(new_window(), roomy, path=f"/accounts/{alice}")
    page.focus("#unblock")
    done(admin, "block", alice, duration="3600")
    expect(page.locator("#blocked")).to_contain_text("blocked until")
    expect(page.locator("#unblock")).to_be_focused()
    done(admin, "unblock", alice)
    expect(page.locator("#unblock")).to_have_count(0)
    expect(page.locator("#block-title")).to_be_focused()
    expect(page.locator("#block-title")).to_have_text("Block the account")
    goes, stays = log_in(roomy, alice), log_in(roomy, alice)
    page.focus(f"#instance-{goes.instance} .kick")
    goes.posts("logout")
    expect(page.locator("[data-instance]")).to_have_count(1)
    expect(page.locator("#title")).to_be_focused()
    expect(page.locator("#title")).to_have_text(alice)
    page.focus(f"#instance-{stays.instance} .kick")
    goes = log_in(roomy, alice)
    expect(page.locator("[data-instance]")).to_have_count(2)
    goes.posts("logout")
    expect(page.locator("[data-instance]")).to_have_count(1)
    expect(page.locator(f"#instance-{stays.instance} .kick")).to_be_focused()
    page.focus("#reason")
    done(admin, "block", alice, duration="forever")
    expect(page.locator("[data-instance]")).to_have_count(0)
    done(admin, "unblock", alice)
    expect(page.locator("#unblock")).to_have_count(0)
    expect(page.locator("#reason")).to_be_focused()


assert set(string.printable[:94]) == set(ALPHABET)
