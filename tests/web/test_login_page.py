"""The login page: who gets in, and what everybody else is told."""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.server import APP, SDK_KEY, Server, copy_of_the_tree
from tests.support.waiting import until
from tests.support.wire import ask, browser_cookie, element, get, log_in, post, switch
from tests.web.conftest import MakePerson, MakeServer
from tim import usersig

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(scope="module")
def proxied(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that believes one proxy in front of it, so that a test may come from any address."""
    server = Server(tmp_path_factory.mktemp("proxied"), TRUSTED_PROXIES="1").start()
    yield server
    server.stop()


def _packed(claims: object) -> str:
    packed = zlib.compress(claims if isinstance(claims, bytes) else json.dumps(claims).encode())
    return base64.b64encode(packed).decode().translate(str.maketrans("+/=", "*-_"))


def _sig(
    *, key: str = SDK_KEY, app: int = APP, of: str = "", age: float = 0, expire: int = 100
) -> Callable[[str], str]:
    return lambda user: usersig.make(key, app, of or user, now=time.time() - age, expire=expire)


REFUSED: dict[str, tuple[str, Callable[[str], str], int, str]] = {
    "no UserSig": ("refused", lambda user: "", 401, "70002"),
    "only spaces": ("refused", lambda user: "   ", 401, "70002"),
    "nonsense": ("refused", lambda user: "nonsense", 401, "70003"),
    "half of one": ("refused", lambda user: _sig()(user)[:-20], 401, "70003"),
    "too long": ("refused", lambda user: "e" * 5000, 401, "70003"),
    "a bomb": ("refused", lambda user: _packed(b"\0" * 2_000_000), 401, "70003"),
    "no ticket": ("refused", lambda user: _packed({"hello": "world"}), 401, "70003"),
    "another alphabet": ("refused", lambda user: "пароль", 401, "70003"),
    "expired": ("refused", _sig(age=1000), 401, "70001"),
    "from the future": ("refused", _sig(age=-500), 401, "70001"),
    "another key": ("refused", _sig(key="another-key-of-another-app"), 401, "70009"),
    "another user": ("refused", _sig(of="somebody-else"), 401, "70013"),
    "another app": ("refused", _sig(app=APP + 1), 401, "70014"),
    "no UserID": ("", _sig(of="x"), 400, "70402"),
    "a UserID that cannot be": ("a b", _sig(), 400, "70402"),
    "a UserID too long": ("x" * 33, _sig(), 400, "70402"),
    "a UserID in Chinese": ("张三", _sig(), 400, "70402"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_a_refused_login_says_its_code_and_keeps_what_was_typed(what: str, htmx: bool, proxied: Server) -> None:
    name, make, status, code = REFUSED[what]
    user = f"{name}-{list(REFUSED).index(what)}-{htmx}" if name == "refused" else name  # as attempts are counted
    sig = make(user)
    headers = {"HX-Request": "true"} if htmx else {}
    answer = post(proxied, "/login", {"userID": user, "userSig": sig}, headers=headers)
    assert answer.status == status
    error = element(answer.body, "login-error")
    assert error and error.text.startswith(code) and len(error.text) > len(code) + 10
    typed, kept = element(answer.body, "userID"), element(answer.body, "userSig")
    assert typed and kept
    assert (typed.attributes["value"], kept.attributes["value"]) == (user, sig.strip())
    assert not answer.set_cookies()
    assert SDK_KEY not in answer.body


def test_the_page_shows_the_code_and_the_reason(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.opens("/login")
    tab.page.fill("#userID", alice.user_id)
    tab.page.fill("#userSig", "nonsense")
    tab.page.click("#login")
    expect(tab.page.locator("#login-error")).to_contain_text("70003")
    expect(tab.page.locator("#userID")).to_have_value(alice.user_id)
    expect(tab.page.locator("#userSig")).to_have_value("nonsense")
    tab.page.fill("#userSig", alice.server.user_sig(alice.user_id))
    tab.page.click("#login")
    tab.is_ready()


def test_what_is_wrong_with_a_field_stands_at_it(server: Server) -> None:
    refusals = {
        "userID": ({"userID": "a b", "userSig": "x"}, browser_cookie(server)),
        "userSig": ({"userID": "at-its-field", "userSig": "nonsense"}, browser_cookie(server)),
        "": ({"userID": "at-its-field", "userSig": server.user_sig("at-its-field")}, ""),  # no cookie
    }
    for wrong, (form, cookie) in refusals.items():
        body = post(server, "/login", form, cookie=cookie).body
        assert body.count('id="login-error"') == 1
        for name in ("userID", "userSig"):
            field = element(body, name)
            assert field
            assert ("aria-invalid" in field.attributes) is (name == wrong), (name, wrong)
            assert ("login-error" in str(field.attributes.get("aria-describedby"))) is (name == wrong)


def test_the_page_says_what_a_login_ends_and_names_it_to_a_browser_that_has_it(server: Server, roomy: Server) -> None:
    def says(at: Server, path: str, cookie: str) -> str:
        found = element(get(at, path, cookie=cookie).body, "expected")
        assert found
        return found.text

    tab = log_in(server, "expects", headers={"User-Agent": FIREFOX})
    place = "/login?userID=expects"
    assert "ends another session of this account: Firefox 140 on Windows" in says(server, place, tab.browser)
    for cookie in ("", browser_cookie(server)):
        assert "may have 1 session at a time: logging in here ends" in says(server, place, cookie)
    tab = log_in(roomy, "expects")
    assert "1 of 3 sessions: logging in here ends none" in says(roomy, place, tab.browser)
    assert "may have 3 sessions at a time" in says(roomy, place, "")
    assert "may have 3 sessions at a time" in says(roomy, "/login?userID=%20", tab.browser)


def test_a_tab_that_has_logged_out_says_so_once_and_to_its_own_browser(server: Server) -> None:
    tab = log_in(server, "says-goodbye")
    answer = post(server, f"{tab.path}logout", {}, cookie=f"{tab.browser}; {tab.cookie}")
    assert answer.location == "/login?userID=says-goodbye"
    notice = f"notice={answer.cookies()['notice']}"
    shown = get(server, answer.location, cookie=f"{tab.browser}; {notice}")
    found = element(shown.body, "signed-out")
    assert found and "says-goodbye has signed out" in found.text
    assert shown.cookies() == {"notice": ""}
    for path, cookie in (
        (answer.location, tab.browser),
        (answer.location, f"{browser_cookie(server)}; {notice}"),
        ("/login?userID=another", f"{tab.browser}; {notice}"),
    ):
        assert element(get(server, path, cookie=cookie).body, "signed-out") is None, (path, cookie)
    chinese = element(get(server, switch(shown)[0], cookie=f"{tab.browser}; lang=zh").body, "signed-out")
    assert chinese and "says-goodbye 已登出" in chinese.text


def test_missing_fields_are_refused_like_empty_ones(server: Server) -> None:
    before = len(server.log())
    assert post(server, "/login", {}).status == 400
    assert post(server, "/login", {"userID": "only-a-name"}).status == 401
    assert ask(server, "POST", "/login").status == 400
    for body, kind in ((b"\xff\xfe\x00", "application/x-www-form-urlencoded"), (b"{}", "application/json")):
        answer = ask(server, "POST", "/login", body=body, headers={"Content-Type": kind})
        assert answer.status == 400
    answer = ask(
        server, "POST", "/login", body=b"--x\r\nbroken", headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert answer.status == 400
    server.has_no_traceback(since=before)


def test_too_many_failures_stop_that_account_from_there_and_nobody_else(proxied: Server) -> None:
    here, elsewhere = {"X-Forwarded-For": "2001:db8:1::1"}, {"X-Forwarded-For": "2001:db8:2::1"}
    bad = {"userID": "guessed", "userSig": proxied.user_sig("somebody-else")}
    for n in range(20):
        assert post(proxied, "/login", bad, headers=here).status == 401, n
    stopped = post(proxied, "/login", bad, headers=here)
    assert stopped.status == 429
    assert 1 <= int(stopped.header("Retry-After")) <= 60
    error = element(stopped.body, "login-error")
    assert error and error.text.startswith("70050")
    neighbour = {"X-Forwarded-For": "[2001:0db8:1:0::ffff]:20001"}
    assert post(proxied, "/login", bad, headers=neighbour).status == 429, "one client has many addresses and ports"
    # What verifies is let in, and other places are told what is wrong.
    assert log_in(proxied, "guessed", headers=here).gets().status == 200
    assert post(proxied, "/login", bad, headers=elsewhere).status == 401
    assert log_in(proxied, "unhindered", headers=elsewhere).gets().status == 200
    assert log_in(proxied, "unhindered-too", headers=here).gets().status == 200


def test_too_many_failures_from_one_address_stop_that_address_alone(proxied: Server) -> None:
    here, elsewhere = {"X-Forwarded-For": "2001:db8:3::1"}, {"X-Forwarded-For": "2001:db8:4::1"}
    sig = proxied.user_sig("somebody-other")
    statuses = [post(proxied, "/login", {"userID": f"g-{n}", "userSig": sig}, headers=here).status for n in range(101)]
    assert statuses == [401] * 100 + [429]
    assert log_in(proxied, "innocent", headers=here).gets().status == 200
    assert post(proxied, "/login", {"userID": "g-0", "userSig": sig}, headers=elsewhere).status == 401


def test_logins_that_succeed_do_not_count(proxied: Server) -> None:
    for _ in range(25):
        log_in(proxied, "diligent", headers={"X-Forwarded-For": "2001:db8:5::1"})


def test_what_is_no_address_is_not_shown(proxied: Server) -> None:
    body = log_in(proxied, "garbled", headers={"X-Forwarded-For": "<b>198.51.100.9</b>"}).gets().body
    assert "&lt;b&gt;" not in body
    assert "unknown" in body


def test_an_address_is_believed_only_from_a_proxy_that_is_trusted(server: Server, proxied: Server) -> None:
    forged = {"X-Forwarded-For": "203.0.113.77", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    tab = log_in(server, "not-proxied", headers=forged)
    assert "203.0.113.77" not in tab.gets().body
    page = get(server, "/login", headers=forged)
    assert "evil.example" not in page.body + str(page.headers)
    assert not page.header("Strict-Transport-Security")
    assert "203.0.113.77" in log_in(proxied, "proxied", headers={"X-Forwarded-For": "203.0.113.77"}).gets().body


def test_the_login_page_is_prefilled(server: Server, person: MakePerson) -> None:
    field = element(get(server, "/login?userID=alice_1-b").body, "userID")
    assert field and field.attributes["value"] == "alice_1-b"
    tab = person("alice").logs_in()
    with tab.page.context.expect_page() as opening:
        tab.page.click("#open-another")
    opened = opening.value
    expect(opened.locator("#userID")).to_have_value(tab.user_id)
    assert opened.evaluate("window.opener") is None
    tab.stays("ready", 0.3)


def test_logging_in_answers_htmx_in_its_own_way(server: Server) -> None:
    form = {"userID": "by-htmx", "userSig": server.user_sig("by-htmx")}
    answer = post(server, "/login", form, headers={"HX-Request": "true"}, cookie=browser_cookie(server))
    assert 200 <= answer.status < 300
    assert not answer.location
    place = answer.header("HX-Redirect")
    assert place.startswith("/im/")
    cookie = f"tab={answer.cookies()['tab']}"
    assert get(server, place, cookie=cookie).status == 200
    out = post(server, f"{place}logout", {}, headers={"HX-Request": "true", "Cookie": cookie})
    assert 200 <= out.status < 300
    assert out.header("HX-Redirect") == "/login?userID=by-htmx"
    gone = get(server, place, cookie=cookie, headers={"HX-Request": "true"})
    assert gone.header("HX-Redirect").startswith("/login?")
    assert get(server, place, headers={"HX-Request": "true"}).header("HX-Redirect") == "/login"


def test_home_leads_to_the_login_page(server: Server) -> None:
    answer = get(server, "/")
    assert (answer.status, answer.location) == (303, "/login")


@pytest.mark.parametrize("path", ["/login", "/usersig"])
def test_a_request_over_its_size_is_refused(path: str, server: Server) -> None:
    before = len(server.log())
    assert post(server, path, {"userID": "x", "userSig": "y" * 70_000}).status == 413
    many = {f"field{n}": "x" for n in range(3000)}
    assert post(server, path, many).status in (400, 401, 413)
    server.has_no_traceback(since=before)


# The generator of test UserSigs


@pytest.mark.parametrize(
    ("settings", "on"),
    [
        ({"SDK_SECRET_KEY": SDK_KEY}, False),
        ({"SDK_SECRET_KEY": SDK_KEY, "TEST_USERSIG": "0"}, False),
        ({"SDK_SECRET_KEY": SDK_KEY, "TEST_USERSIG": "1"}, True),
        ({"SDK_SECRET_KEY": SDK_KEY, "SDK_APP_ID": "1400000001"}, False),
        ({}, True),
        ({"TEST_USERSIG": "0"}, False),
    ],
    ids=lambda value: " ".join(f"{k}={v[:1]}" for k, v in value.items()) if isinstance(value, dict) else None,
)
def test_test_usersigs_are_made_for_the_demo_app_or_where_asked_for(
    settings: dict[str, str], on: bool, tmp_path: Path, make_server: MakeServer
) -> None:
    server = make_server(app=copy_of_the_tree(tmp_path / "tree"), demo=True, **settings)
    page = get(server, "/login").body
    assert (element(page, "generate-usersig") is not None) is on
    assert ("For tests:" in page) is on
    answer = post(server, "/usersig", {"userID": "alice"})
    if not on:
        assert answer.status == 404
        return
    assert answer.status == 200
    field = element(answer.body, "userSig")
    assert field and field.attributes["name"] == "userSig"
    log_in(server, "alice", field.attributes["value"])
    assert post(server, "/usersig", {"userID": "no such name"}).status == 400
    assert post(server, "/usersig", {}).status == 400


def test_three_clicks_from_one_tab_to_the_next(tmp_path: Path, make_server: MakeServer, person: MakePerson) -> None:
    """The whole of "log in from several tabs" on the demo app, with nothing configured."""
    server = make_server(app=copy_of_the_tree(tmp_path / "tree"), demo=True)
    alice = person("alice", on=server)
    first = alice.opens("/")
    first.page.fill("#userID", "no such name")
    first.page.click("#generate-usersig")
    expect(first.page.locator("#userid-error")).to_contain_text("70402")
    expect(first.page.locator("#userID")).to_have_value("no such name")
    first.page.fill("#userID", alice.user_id)
    first.page.click("#generate-usersig")
    expect(first.page.locator("#userSig")).not_to_have_value("")
    expect(first.page.locator("#userid-error")).to_have_count(0)
    first.page.click("#login")
    first.is_ready()
    with alice.window.expect_page() as opening:
        first.page.click("#open-another")
    second = opening.value
    second.click("#generate-usersig")
    expect(second.locator("#userSig")).not_to_have_value("")
    second.click("#login")
    expect(second.locator("#sdk-state")).to_have_attribute("data-state", "ready")
    first.is_kicked_out("multipleAccount")
    until(lambda: second.locator("[data-instance]").count() == 1, "the second tab lists more than itself")


def test_a_browser_with_no_script_gets_in_too(server: Server, person: MakePerson) -> None:
    tab = log_in(server, "by-hand")
    page = tab.gets()
    assert page.status == 200
    form = element(page.body, "send-form")
    assert form and form.attributes["method"] == "post"
    assert tab.posts("logout").status == 303
    alice = person("alice")
    alice.window.close()
