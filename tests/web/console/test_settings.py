"""The settings page: what a change would do is shown first, and no operator undoes unseen what another has saved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.support.accessible import fits_everywhere, passes_axe
from tests.support.console import Operator, open_console, sign_in
from tests.support.displaced import Displaced
from tests.support.server import VIEWER_TOKEN, Server
from tests.support.waiting import until
from tests.support.wire import Answer, element, log_in, login_page_of
from tests.web.conftest import MakeServer, NewWindow
from tim.timing import DEFAULT

LARGE, TELEPHONE = ViewportSize(width=1920, height=1080), ViewportSize(width=360, height=740)
TOKEN = "webhook-secret-4711"


@pytest.fixture(scope="module")
def console(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for these tests alone, as they change what it allows."""
    server = Server(tmp_path_factory.mktemp("settings"), ONLINE_WEB_INSTANCES="2").start()
    yield server
    server.stop()


@pytest.fixture
def admin(console: Server) -> Operator:
    return sign_in(console)


def form(answer: Answer) -> dict[str, str]:
    """What the form of the page, or its next step, would send."""
    fields = {}
    for tag in re.findall(r"<input[^>]*>", answer.body, re.DOTALL):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and value:
            fields[name[1]] = unescape(value[1])
    chosen = r'<select id="([^"]*)"(?:(?!</select>).)*<option value="(\w+)" selected'
    return fields | dict(re.findall(chosen, answer.body, re.DOTALL))


def text(answer: Answer, id: str) -> str:
    found = element(answer.body, id)
    return "" if found is None else " ".join(found.text.split())


def changed(operator: Operator, **changes: str) -> dict[str, str]:
    """The fields of the form with these changes, by names with underscores."""
    return form(operator.gets("/settings")) | {name.replace("_", "-"): value for name, value in changes.items()}


def saves(operator: Operator, **changes: str) -> Answer:
    """Review and save; the answer to saving."""
    reviewed = operator.posts("/settings/review", changed(operator, **changes))
    assert reviewed.status == 200, reviewed.body
    return operator.posts("/settings", form(reviewed) | {"do": "save"})


def shown(operator: Operator, name: str) -> str:
    return form(operator.gets("/settings"))[name]


def test_a_change_is_reviewed_before_it_is_saved_and_holds_for_the_next_login(console: Server, admin: Operator) -> None:
    reviewed = admin.posts("/settings/review", changed(admin, online_web_instances="4"))
    assert re.findall(r'data-setting="([^"]+)"', reviewed.body) == ["online-web-instances"]
    before = shown(admin, "online-web-instances")
    assert before != "4", "nothing is saved yet"
    saved = admin.posts("/settings", form(reviewed) | {"do": "save"})
    assert (saved.status, saved.location) == (303, "/console/settings?done=saved")
    page = admin.gets("/settings?done=saved")
    assert shown(admin, "online-web-instances") == "4"
    assert "saved by console admin" in text(page, "saved-by")
    assert f"Online Web Instances: {before} → 4" in text(page, "saves")
    assert "1 of 4" in log_in(console, "alice").gets().body


@pytest.fixture
def no_lives_after(admin: Operator) -> Iterator[None]:
    """The other tests of this server have none."""
    yield
    saves(admin, session_life="0", idle_life="0")


@pytest.mark.usefixtures("no_lives_after")
def test_lives_that_are_saved_hold_for_the_logins_that_follow(console: Server, admin: Operator) -> None:
    causes = {}
    for session_life, idle_life, cause in (("0", "0", "usersig"), ("3600", "0", "life"), ("3600", "600", "idle")):
        saves(admin, session_life=session_life, idle_life=idle_life)
        causes[log_in(console, f"ends-by-{cause}").instance] = cause
    for page in ("/instances?userID=ends-by-", *(f"/accounts/ends-by-{cause}" for cause in causes.values())):
        shown_there = dict(re.findall(r'id="ends-([^"]+)" data-cause="(\w+)"', admin.gets(page).body))
        assert shown_there
        assert shown_there.items() <= causes.items()


@pytest.mark.usefixtures("no_lives_after")
@pytest.mark.parametrize(
    ("life", "words"), [("session_life", "lasts only for a while"), ("idle_life", "Nothing was done")]
)
def test_a_tab_whose_life_is_over_is_told_which(console: Server, admin: Operator, life: str, words: str) -> None:
    saves(admin, **{life: "1"})
    tab = log_in(console, "carol")
    until(lambda: tab.gets().status == 303, "it goes on")
    notice = login_page_of(tab)
    assert 'data-type="userSigExpired"' in notice
    assert words in notice


def test_from_the_review_one_goes_back_with_what_was_typed(admin: Operator) -> None:
    reviewed = admin.posts("/settings/review", changed(admin, failures_per_account="17", webhook_token=TOKEN))
    back = admin.posts("/settings", form(reviewed) | {"do": "edit"})
    assert (form(back)["failures-per-account"], form(back)["webhook-token"]) == ("17", TOKEN)
    assert shown(admin, "failures-per-account") != "17"


def test_the_second_of_two_operators_is_told_and_loses_nothing(console: Server) -> None:
    first, second = sign_in(console), sign_in(console)
    mine = first.posts("/settings/review", changed(first, failures_per_address="111"))
    theirs = second.posts("/settings/review", changed(second, failures_per_address="222", failures_per_account="33"))
    assert first.posts("/settings", form(mine) | {"do": "save"}).status == 303
    refused = second.posts("/settings", form(theirs) | {"do": "save"})
    assert refused.status == 409
    assert "by console admin" in text(refused, "conflict")
    kept = form(refused)
    assert (kept["failures-per-address"], kept["failures-per-account"]) == ("222", "33")
    assert text(refused, "failures-per-address-hint") == "Saved now: 111"
    assert shown(first, "failures-per-address") == "111"
    # A second look, and it is saved.
    again = second.posts("/settings/review", kept)
    assert second.posts("/settings", form(again) | {"do": "save"}).status == 303
    assert shown(first, "failures-per-address") == "222"


def reviewed_settings(answer: Answer) -> list[str]:
    return re.findall(r'data-setting="([^"]+)"', answer.body)


def test_what_an_operator_has_not_touched_follows_what_another_one_saves(console: Server) -> None:
    first, second = sign_in(console), sign_in(console)
    saves(first, messages_a_minute="77", failures_per_account="50")
    opened = form(second.gets("/settings"))
    saves(first, messages_a_minute="76", failures_per_account="51")
    mine = opened | {"help-text": "mine", "failures-per-account": "52"}
    reviewed = second.posts("/settings/review", mine)
    assert reviewed_settings(reviewed) == ["failures-per-account", "help-text"]
    assert "by console admin" in text(reviewed, "conflict")
    assert "saved meanwhile; it was 50" in row(reviewed, "failures-per-account")
    assert "meanwhile" not in row(reviewed, "help-text")
    assert second.posts("/settings", form(reviewed) | {"do": "save"}).status == 303
    now = form(first.gets("/settings"))
    assert (now["messages-a-minute"], now["failures-per-account"], now["help-text"]) == ("76", "52", "mine")
    saves(first, help_text="")


def test_of_a_token_that_another_operator_has_changed_too_the_review_says_so_and_shows_neither(console: Server) -> None:
    first, second = sign_in(console), sign_in(console)
    saves(first, webhook_url="https://example.com/a", webhook_token="the-token-of-before")
    opened = form(second.gets("/settings"))
    mine = opened | {"webhook-token": TOKEN}
    saves(first, messages_a_minute="75")
    reviewed = second.posts("/settings/review", mine)
    assert element(reviewed.body, "conflict")
    assert "meanwhile" not in row(reviewed, "webhook-token"), "the token is that of before"
    saves(first, webhook_token="the-token-of-theirs")
    reviewed = second.posts("/settings/review", mine)
    assert "the saved one was changed meanwhile" in row(reviewed, "webhook-token")
    assert "the-token" not in reviewed.body
    assert "the-token" not in str(opened)
    # A token that was left alone stays as it is saved.
    assert reviewed_settings(second.posts("/settings/review", opened | {"messages-a-minute": "74"})) == [
        "messages-a-minute"
    ]
    saves(first, webhook_url="")


def test_a_token_for_which_no_address_is_left_is_refused_at_its_field(console: Server) -> None:
    first, second = sign_in(console), sign_in(console)
    saves(first, webhook_url="https://example.com/a", webhook_token="the-token-of-before")
    mine = changed(second, webhook_token=TOKEN)
    reviewed = second.posts("/settings/review", mine)
    saves(first, webhook_url="")
    for path, fields in (("/settings/review", mine), ("/settings", form(reviewed) | {"do": "save"})):
        refused = second.posts(path, fields)
        assert refused.status == 400
        assert "needs an address" in text(refused, "webhook-token-hint")
        assert "by console admin" in text(refused, "conflict")
        assert form(refused)["webhook-token"] == TOKEN
    assert saves(second, webhook_url="https://example.com/b", webhook_token=TOKEN).status == 303
    saves(first, webhook_url="")


def test_a_save_that_comes_too_late_leaves_what_was_not_touched_as_the_other_operator_has_saved_it(
    console: Server,
) -> None:
    first, second = sign_in(console), sign_in(console)
    saves(first, messages_a_minute="77")
    reviewed = second.posts("/settings/review", changed(second, help_url="https://example.com/"))
    assert element(reviewed.body, "conflict") is None
    saves(first, messages_a_minute="76")
    refused = second.posts("/settings", form(reviewed) | {"do": "save"})
    assert refused.status == 409
    again = second.posts("/settings/review", form(refused))
    assert reviewed_settings(again) == ["help-url"]
    assert element(again.body, "conflict") is None, "it was told before"


def row(answer: Answer, name: str) -> str:
    """What the review says of a setting."""
    html = answer.body.partition(f'data-setting="{name}"')[2].partition("</tr>")[0]
    return " ".join(re.sub("<[^>]*>", " ", html).split())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("online-web-instances", "0"),
        ("online-web-instances", "11"),
        ("online-web-instances", "two"),
        ("online-web-instances", "²"),
        ("online-web-instances", "1" * 5000),
        ("failures-per-account", ""),
        ("failures-per-address", "1000001"),
        ("messages-a-minute", "0"),
        ("messages-a-minute", "1000001"),
        ("webhook-url", "example.com"),
        ("webhook-url", "javascript:alert(1)"),
        ("webhook-token", "a b"),
        ("policy", "Evict"),
        ("session-life", ""),
        ("session-life", "-1"),
        ("idle-life", "8h"),
        ("idle-life", "315360001"),
        ("not-me", "maybe"),
        ("help-text", "x" * 201),
        ("help-url", "example.com"),
        ("help-url", "javascript:alert(1)"),
        ("help-url", "https://example.com/" + "x" * 1000),
    ],
)
@pytest.mark.parametrize("path", ["/settings/review", "/settings"])
def test_a_bad_value_is_refused_beside_its_field_and_kept(path: str, name: str, value: str, admin: Operator) -> None:
    fields = changed(admin, webhook_url="https://example.com/", webhook_token=TOKEN)
    answer = admin.posts(path, fields | {name: value, "do": "save"})
    assert answer.status == 400
    assert "must be" in answer.body
    assert "must be" in text(answer, f"{name}-hint")
    assert name in ("policy", "not-me") or form(answer)[name] == value
    assert shown(admin, "webhook-url") != "https://example.com/"


def test_what_an_account_has_to_say_is_set_and_reviewed_in_words(console: Server, admin: Operator) -> None:
    wanted = {
        "policy": "ask",
        "session-life": "43200",
        "idle-life": "5430",
        "not-me": "off",
        "help-text": "Ask the <desk>, floor 3",
        "help-url": "https://example.com/new?a=1&b=2",
    }
    reviewed = admin.posts("/settings/review", changed(admin) | wanted)
    assert set(re.findall(r'data-setting="([^"]+)"', reviewed.body)) == set(wanted)
    for words in ("Ask: the login", "no end", "12 hours", "1 hour 30 minutes 30 seconds", "Ask the &lt;desk&gt;"):
        assert words in reviewed.body
    assert admin.posts("/settings", form(reviewed) | {"do": "save"}).status == 303
    page = admin.gets("/settings")
    assert form(page) | wanted == form(page)
    assert text(page, "idle-life-hint").endswith("Saved now: 1 hour 30 minutes 30 seconds")
    assert "A login at the limit: Evict: the oldest has to leave → Ask: the login chooses who leaves" in page.body
    assert "How to get a new UserSig: — → Ask the &lt;desk&gt;, floor 3" in page.body
    chinese = admin.gets("/audit?kind=settings", Accept_Language="zh").body
    assert "登录最长时长（秒）：不限 → 12小时" in chinese
    assert "session-life" not in chinese
    exported = admin.gets("/audit/export?form=jsonl&kind=settings").body
    assert "session-life 0 → 43200" in exported
    assert r"help-text: \"\" → \"Ask the <desk>, floor 3\"" in exported
    again = admin.posts(
        "/settings/review", changed(admin, policy="evict", not_me="on", session_life="0", idle_life="0")
    )
    assert admin.posts("/settings", form(again) | {"do": "save"}).status == 303


def test_a_form_without_its_version_saves_nothing(admin: Operator) -> None:
    fields = changed(admin, failures_per_account="44")
    for version in ("", "x", "-1", "²", "9" * 400):
        assert admin.posts("/settings", fields | {"version": version, "do": "save"}).status == 409
    assert shown(admin, "failures-per-account") != "44"


def test_the_token_of_the_webhook_is_never_shown_and_kept_where_none_is_typed(console: Server, admin: Operator) -> None:
    assert saves(admin, webhook_url="https://example.com/a?b=<c>", webhook_token=TOKEN).status == 303
    viewer = sign_in(console, VIEWER_TOKEN)
    for operator in (admin, viewer):
        page = operator.gets("/settings")
        assert TOKEN not in page.body
        assert "example.com" in page.body
        assert ("/a?b=&lt;c&gt;" in page.body) is (operator is admin), "the path may be a secret"
    assert saves(admin, webhook_url="https://example.com/b").status == 303
    assert "keep the one that is saved" in text(admin.gets("/settings"), "webhook-token-hint")
    assert saves(admin, webhook_url="").status == 303
    assert "keep the one" not in text(admin.gets("/settings"), "webhook-token-hint")
    refused = admin.posts("/settings/review", changed(admin, webhook_url="https://example.com/c"))
    assert "is needed" in text(refused, "webhook-token-hint")
    assert TOKEN not in console.log()


def test_a_viewer_reads_the_settings_and_cannot_type(console: Server) -> None:
    page = sign_in(console, VIEWER_TOKEN).gets("/settings")
    assert page.body.count("<fieldset") == page.body.count("disabled>")
    assert element(page.body, "review") is None


def dry_run(answer: Answer) -> tuple[int, int]:
    """How many instances of how many accounts a review says it would sign out."""
    panel = element(answer.body, "dry-run")
    assert panel is not None
    return int(panel.attributes["data-instances"] or ""), int(panel.attributes["data-accounts"] or "")


def test_a_lower_limit_is_tried_dry_then_saved_and_then_applied_to_the_oldest(make_server: MakeServer) -> None:
    server = make_server(ONLINE_WEB_INSTANCES="3")
    admin = sign_in(server)
    tabs = {user: [log_in(server, user) for _ in range(n)] for user, n in (("c", 3), ("a", 3), ("b/1", 2), ("d", 1))}
    streams = [tab.goes_online() for tab in tabs["a"]]
    reviewed = admin.posts("/settings/review", changed(admin, online_web_instances="1"))
    assert dry_run(reviewed) == (5, 3)
    assert re.findall(r'href="/console/accounts/([^"]+)"', text_of(reviewed, "dry-run")) == ["a", "b/1", "c"]
    assert admin.posts("/settings", form(reviewed) | {"do": "save"}).location.endswith("done=saved")
    assert all(stream.code is None for stream in streams)
    assert element(admin.gets("/settings").body, "job") is None
    again = admin.posts("/settings/review", changed(admin))
    assert dry_run(again) == (5, 3)
    assert "Nothing: these are the settings" in again.body
    applied = admin.posts("/settings", form(again) | {"do": "apply"})
    assert applied.location.endswith("done=applied")
    assert [stream.is_closed() for stream in streams[:2]] == [4001, 4001]
    assert "in more places than the app allows now" in login_page_of(tabs["a"][0])
    until(lambda: 'data-state="finished"' in admin.gets("/settings/job").body, "the job should finish")
    assert "5 instances ended" in text(admin.gets("/settings"), "job")
    assert all(list(of.instances()) == [of.instance] for of in (user_tabs[-1] for user_tabs in tabs.values()))
    assert streams[2].code is None
    assert dry_run(admin.posts("/settings/review", changed(admin))) == (0, 0)


def text_of(answer: Answer, id: str) -> str:
    """The HTML from the element on."""
    return answer.body.partition(f'id="{id}"')[2].partition("</div>")[0]


def test_applying_a_limit_shows_how_far_it_is_and_is_stopped(make_server: MakeServer, new_window: NewWindow) -> None:
    # After its first five accounts the job pauses for longer than this test takes.
    server = make_server(ONLINE_WEB_INSTANCES="2", timing=replace(DEFAULT, job_pause=600.0))
    tabs = {f"user-{n}": [log_in(server, f"user-{n}") for _ in range(2)] for n in range(6)}
    page = open_console(new_window(), server, path="/settings")
    page.fill("#online-web-instances", "1")
    page.click("#review")
    expect(page.locator("#dry-run")).to_contain_text("6 instances of 6 accounts")
    passes_axe(page, "a dry run", LARGE, TELEPHONE)
    fits_everywhere(page, "a dry run")
    page.click("#apply")
    job = page.locator("#job")
    expect(job).to_contain_text("Applying the limit of 1")
    expect(job).to_contain_text("5 of 6 instances ended")
    assert element(sign_in(server, VIEWER_TOKEN).gets("/settings").body, "stop-job") is None
    second = sign_in(server)
    busy = second.posts("/settings", changed(second, online_web_instances="2") | {"do": "save"})
    assert busy.status == 303, "settings are saved meanwhile"
    passes_axe(page, "a limit that is applied", LARGE, TELEPHONE)
    page.click("#stop-job")
    expect(page.locator("#done")).to_contain_text("Stopped")
    expect(job).to_contain_text("Stopped by console admin")
    expect(job).to_contain_text("5 instances ended")
    assert sorted(len(of[-1].instances()) for of in tabs.values()) == [1, 1, 1, 1, 1, 2]


def test_an_operator_saves_in_a_browser(console: Server, new_window: NewWindow) -> None:
    page = open_console(new_window(), console, path="/settings")
    page.fill("#online-web-instances", "3")
    page.press("#online-web-instances", "Enter")
    expect(page.locator("#changes")).to_contain_text("Online Web Instances")
    page.click("#edit")
    expect(page.locator("#online-web-instances")).to_have_value("3")
    page.fill("#failures-per-account", "19")
    page.click("#review")
    expect(page.locator("[data-setting]")).to_have_count(2)
    page.click("#save")
    expect(page.locator("#done")).to_contain_text("Saved")
    expect(page.locator("#online-web-instances")).to_have_value("3")


def test_back_undoes_no_choice_that_another_operator_has_saved(console: Server, new_window: NewWindow) -> None:
    first = sign_in(console)
    saves(first, policy="evict")
    page = open_console(new_window(), console, path="/settings")
    page.fill("#help-text", "mine")
    page.click("#review")
    expect(page.locator("h1")).to_have_text("Review the change")
    saves(first, policy="reject")
    page.go_back()
    expect(page.locator("#help-text")).to_have_value("mine")
    expect(page.locator("#policy")).to_have_value("reject")
    saves(first, policy="evict")


def test_who_has_disowned_a_login_reads_the_operators_words_and_off_takes_the_button_away(
    console: Server, admin: Operator
) -> None:
    words = {"help_text": "Ask <b>the desk</b> & wait", "help_url": "https://help.example/?a=1&b=2"}
    saves(admin, online_web_instances="1", not_me="on", **words)
    before, after = Displaced.at(console, "needs-help"), Displaced.at(console, "comes-late")
    said = before.says().body
    assert "Ask &lt;b&gt;the desk&lt;/b&gt; &amp; wait" in said
    assert '<a href="https://help.example/?a=1&amp;b=2" rel="noopener noreferrer">' in said
    saves(admin, not_me="off", help_text="", help_url="")
    assert after.says().status == 404
    assert 'id="not-me"' not in login_page_of(after.owner)
    assert after.thief.gets().status == 200
