"""Signing in to the console: who may, how often, for how long, and what nobody else learns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from flask import Request, Response
from playwright.sync_api import expect
from werkzeug.test import EnvironBuilder

from tests.support.console import Operator, ends_the_session_of, open_console, sign_in, signs_in_in_another_tab
from tests.support.redis_server import RedisServer
from tests.support.server import ADMIN_TOKEN, VIEWER_TOKEN, Server, copy_of_the_tree
from tests.support.wire import Answer, ask, element, get, path_of, post
from tests.web.conftest import MakeServer, NewWindow
from tim.operators import Role, Session
from tim.rules import SIGN_IN_FAILURES, SIGN_IN_LIFE
from tim.web.identity import Identity

WRONG = "not-the-token-of-this-console"
TOKENS = {"admin": ADMIN_TOKEN, "viewer": VIEWER_TOKEN}


@pytest.fixture(scope="module")
def proxied(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that believes one proxy in front of it, so that a test chooses its address and scheme."""
    server = Server(tmp_path_factory.mktemp("console"), TRUSTED_PROXIES="1").start()
    yield server
    server.stop()


def tries(server: Server, token: str, address: str) -> Answer:
    """One attempt to sign in, from this address."""
    return ask(server, "POST", "/console/sign-in", {"token": token}, headers={"X-Forwarded-For": address})


def is_in(answer: Answer) -> bool:
    return answer.status == 200 and 'id="sign-out"' in answer.body


@pytest.mark.parametrize("role", TOKENS)
def test_each_token_signs_in_by_the_form(role: str, server: Server) -> None:
    form = get(server, "/console/sign-in")
    assert form.status == 200
    field = element(form.body, "token")
    assert field and field.attributes["type"] == "password"
    operator = sign_in(server, TOKENS[role])
    page = operator.gets("")
    assert is_in(page)
    assert (">admin<" in page.body) is (role == "admin")


def test_a_sign_in_leads_to_the_page_that_was_wanted(server: Server) -> None:
    sent = get(server, "/console?x=%26y")
    assert sent.status == 303
    form = get(server, sent.location)
    wanted = element(form.body, "sign-in-form")
    assert wanted
    hidden = re.search(r'name="next" value="([^"]*)"', form.body)
    assert hidden and hidden[1] == "/console?x=%26y"
    answer = post(server, "/console/sign-in", {"token": ADMIN_TOKEN, "next": "/console?x=%26y"})
    (cookie,) = answer.cookies().items()
    landed = get(server, answer.location, cookie="=".join(cookie))
    assert (landed.status, landed.location) == (303, "/console?x=%26y")


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "https://evil.example", "/console//../../im", "/login", "/console\\evil", "/console\r\nX: y",
     "javascript:alert(1)", "/consoles", "/console/sign-out", ""],
)  # fmt: skip
def test_a_sign_in_leads_to_no_other_place(elsewhere: str, server: Server) -> None:
    answer = post(server, "/console/sign-in", {"token": ADMIN_TOKEN, "next": elsewhere})
    (cookie,) = answer.cookies().items()
    landed = get(server, answer.location, cookie="=".join(cookie))
    assert landed.status == 303
    assert re.fullmatch(r"/console(/[^:]*)?", landed.location), landed.location
    assert "evil" not in landed.location.partition("/console")[0]


def test_a_token_in_the_address_is_redirected_away_at_once(server: Server) -> None:
    answer = get(server, f"/console/nowhere?token={ADMIN_TOKEN}&kind=login")
    assert answer.status == 303
    assert "token" not in answer.location
    (cookie,) = answer.cookies().items()
    landed = get(server, answer.location, cookie="=".join(cookie))
    assert landed.location == "/console/nowhere?kind=login"
    assert is_in(get(server, "/console", cookie="=".join(cookie)))


def test_a_wrong_token_in_the_address_is_redirected_away_too(proxied: Server) -> None:
    headers = {"X-Forwarded-For": "192.0.2.9"}
    answer = get(proxied, f"/console?token={WRONG}", headers=headers)
    assert answer.status == 303
    assert WRONG not in answer.location
    assert not answer.set_cookies()
    assert "was not accepted" in get(proxied, answer.location, headers=headers).body


@pytest.mark.parametrize("role", TOKENS)
def test_a_browser_signs_in_by_address_and_by_form_and_out_again(
    role: str, server: Server, new_window: NewWindow
) -> None:
    for options in ({}, {"java_script_enabled": False}):
        page = open_console(new_window(**options), server, TOKENS[role])
        expect(page).to_have_url(f"{server.address}/console")
        page.go_back()
        assert TOKENS[role] not in page.url
        page.goto(f"{server.address}/console")
        page.click("#sign-out")
        expect(page).to_have_url(f"{server.address}/console/sign-in")
        page.goto(f"{server.address}/console?x=y")
        page.fill("#token", TOKENS[role])
        page.click("#sign-in")
        expect(page).to_have_url(f"{server.address}/console?x=y")
        expect(page.locator("#sign-out")).to_be_visible()


def test_a_link_on_another_site_finds_the_operator_signed_in(server: Server, new_window: NewWindow) -> None:
    page = open_console(new_window(), server)
    page.route("http://elsewhere.example/", lambda route: route.fulfill(
        body=f"<a href='{server.address}/console?x=y'>here</a>", content_type="text/html"
    ))  # fmt: skip
    page.goto("http://elsewhere.example/")
    page.click("a")
    expect(page).to_have_url(f"{server.address}/console?x=y")
    expect(page.locator("#sign-out")).to_be_visible()


def test_a_browser_that_keeps_no_cookie_is_told_so(server: Server) -> None:
    answer = post(server, "/console/sign-in", {"token": ADMIN_TOKEN})
    assert "did not keep the cookie" in get(server, answer.location).body


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
def test_the_cookie_is_out_of_reach_and_of_one_purpose(https: bool, proxied: Server) -> None:
    headers = {"X-Forwarded-Proto": "https"} if https else {}
    answer = ask(proxied, "POST", "/console/sign-in", {"token": ADMIN_TOKEN}, headers=headers)
    ((name, cookie),) = SimpleCookie(answer.set_cookies()[0]).items()
    assert (cookie["httponly"], cookie["samesite"], cookie["domain"]) == (True, "Strict", "")
    assert (name, cookie["path"], bool(cookie["secure"])) == (
        ("__Host-console", "/", True) if https else ("console", "/console", False)
    )
    assert ADMIN_TOKEN not in cookie.value
    # Not the last letter, some of whose bits count for nothing.
    forged = f"{cookie.value[:-5]}{'B' if cookie.value[-5] == 'A' else 'A'}{cookie.value[-4:]}"
    assert not is_in(get(proxied, "/console", cookie=f"{name}={forged}", headers=headers))
    assert is_in(get(proxied, "/console", cookie=f"{name}={cookie.value}", headers=headers))
    other = "console" if https else "__Host-console"
    assert not is_in(get(proxied, "/console", cookie=f"{other}={cookie.value}", headers=headers))


def test_under_a_path_everything_stays_below_it(make_server: MakeServer) -> None:
    server = make_server(gevent=True, prefix="/chat")
    sent = get(server, "/chat/console/usersig?a=b")
    assert sent.location == "/chat/console/sign-in?next=/console/usersig?a%3Db"
    answer = post(server, "/chat/console/sign-in", {"token": ADMIN_TOKEN, "next": "/console/usersig?a=b"})
    assert answer.location.startswith("/chat/console/sign-in?")
    ((name, cookie),) = SimpleCookie(answer.set_cookies()[0]).items()
    assert cookie["path"] == "/chat/console"
    landed = get(server, answer.location, cookie=f"{name}={cookie.value}")
    assert landed.location == "/chat/console/usersig?a=b"
    page = get(server, landed.location, cookie=f"{name}={cookie.value}")
    assert is_in(page)
    inside = re.findall(r'(?:href|action|src|hx-get)="(/[^"]*)"', page.body)
    assert inside and all(address.startswith("/chat/") for address in inside)
    assert get(server, f"/chat/console?token={ADMIN_TOKEN}").location == "/chat/console/sign-in?signed=1"


def test_the_signature_of_a_cookie_is_valid_for_twelve_hours_and_for_this_purpose() -> None:
    session, now = Session(Role.ADMIN, "0" * 64), [1_750_000_000.0]
    identity, response = Identity(["a-key-of-decent-length"], lambda: now[0]), Response()
    here = Request(EnvironBuilder("/console").get_environ())
    identity.set_console(here, response, session)
    ((name, cookie),) = SimpleCookie(response.headers["Set-Cookie"]).items()

    def read() -> Session | None:
        environ = EnvironBuilder("/console", headers=[("Cookie", f"{name}={cookie.value}")]).get_environ()
        return identity.console(Request(environ))

    assert read() == session
    now[0] += SIGN_IN_LIFE
    assert read() == session
    now[0] += 1
    assert read() is None
    identity.set_tab(here, tab := Response(), "admin:" + "0" * 64)
    cookie.set(name, *[SimpleCookie(tab.headers["Set-Cookie"])["tab"].value] * 2)
    assert read() is None, "a signature for a tab"


def test_a_session_is_over_on_sign_out_and_no_copy_of_its_cookie_opens_it(server: Server) -> None:
    one, other = sign_in(server), sign_in(server)
    answer = one.posts("/sign-out")
    assert (answer.status, answer.location) == (303, "/console/sign-in")
    assert answer.cookies() == {"console": ""}
    assert one.gets("").status == 303
    assert is_in(other.gets(""))


def test_a_viewer_signs_out_too(server: Server) -> None:
    viewer = sign_in(server, VIEWER_TOKEN)
    assert viewer.posts("/sign-out").status == 303
    assert viewer.gets("").status == 303


def test_signing_in_again_ends_the_session_of_before(server: Server) -> None:
    before = sign_in(server)
    post(server, "/console/sign-in", {"token": ADMIN_TOKEN}, cookie=before.cookie)
    assert before.gets("").status == 303


def test_another_token_ends_the_sessions_of_the_one_before(make_server: MakeServer) -> None:
    server = make_server()
    admin, viewer = sign_in(server), sign_in(server, VIEWER_TOKEN)
    server.kill()
    server.start()
    assert is_in(admin.gets("")) and is_in(viewer.gets("")), "the control: the session outlives the process"
    server.kill()
    server.settings["ADMIN_TOKEN"] = "another-token-of-the-admin-under-test"
    server.start()
    assert not is_in(admin.gets(""))
    assert is_in(viewer.gets(""))


def test_a_wrong_token_is_refused_and_not_shown(proxied: Server) -> None:
    answer = tries(proxied, WRONG, "192.0.2.1")
    assert answer.status == 401
    error = element(answer.body, "sign-in-error")
    assert error and "TIM_ADMIN_TOKEN" in error.text
    assert WRONG not in answer.body
    assert not answer.set_cookies()


@pytest.mark.parametrize("token", ["", " ", "ä", "\ud800", "\0", "x" * 60_000, ADMIN_TOKEN[:-1], ADMIN_TOKEN + "x"])
def test_whatever_is_typed_as_a_token_gets_an_answer(token: str, proxied: Server) -> None:
    before = len(proxied.log())
    assert tries(proxied, token, f"2001:db8:{len(token):x}:{ord((token + '.')[0]):x}::1").status in (400, 401)
    proxied.has_no_traceback(since=before)


def test_failed_tokens_are_counted_and_even_the_right_one_waits_at_that_address_alone(proxied: Server) -> None:
    address = "192.0.2.7"
    assert [tries(proxied, WRONG, address).status for _ in range(SIGN_IN_FAILURES)] == [401] * SIGN_IN_FAILURES
    for token in (WRONG, ADMIN_TOKEN):
        answer = tries(proxied, token, address)
        assert answer.status == 429
        assert int(answer.header("Retry-After")) <= 60
        assert "signing in to the console failed too often" in answer.body
    headers = {"X-Forwarded-For": address}
    assert get(proxied, "/console/api/x", headers=headers | {"Authorization": f"Bearer {ADMIN_TOKEN}"}).status == 429
    assert "refused" in get(proxied, f"/console?token={ADMIN_TOKEN}", headers=headers).location
    assert tries(proxied, ADMIN_TOKEN, "192.0.2.8").status == 303


def test_another_site_makes_nobody_wait_with_images_of_wrong_tokens(proxied: Server) -> None:
    address = "192.0.2.77"
    for _ in range(SIGN_IN_FAILURES + 1):
        headers = {"X-Forwarded-For": address, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}
        assert ask(proxied, "GET", f"/console?token={WRONG}", headers=headers).location.endswith("refused=1")
    assert tries(proxied, ADMIN_TOKEN, address).status == 303


@pytest.mark.usefixtures("not_quick")
def test_processes_count_failed_tokens_together_and_share_sessions(
    make_redis: Callable[..., RedisServer], make_server: MakeServer
) -> None:
    redis = make_redis()
    here, there = (make_server(STORE=redis.url) for _ in range(2))
    operator = sign_in(here)
    assert is_in(Operator(there, operator.cookie).gets(""))
    for n in range(SIGN_IN_FAILURES):
        assert post((here, there)[n % 2], "/console/sign-in", {"token": WRONG}).status == 401
    assert [post(server, "/console/sign-in", {"token": WRONG}).status for server in (here, there)] == [429] * 2
    assert [post(server, "/console/sign-in", {"token": ADMIN_TOKEN}).status for server in (here, there)] == [429] * 2
    Operator(there, operator.cookie).posts("/sign-out")
    assert not is_in(operator.gets(""))


def test_a_session_that_is_over_keeps_what_was_typed_and_leads_back(server: Server) -> None:
    operator = sign_in(server)
    operator.posts("/sign-out")
    answer = operator.posts("/nowhere", {"reason": "typed with care"})
    assert answer.status == 401
    assert "what you typed is still there" in answer.body


@pytest.mark.parametrize(
    ("path", "field", "button"),
    [
        ("/settings", "#help-text", "#review"),
        ("/accounts/alice", "#reason", "#block"),
        ("/accounts/alice", "#words", "#kick-all"),
        ("/instances", "#words", "#kick-all"),
        ("/usersig", "#userID", "#inspect"),
    ],
)
def test_after_a_session_that_is_over_back_has_what_was_typed(
    path: str, field: str, button: str, server: Server, new_window: NewWindow
) -> None:
    page = open_console(new_window(own=True), server, path=path)
    if path == "/usersig":
        page.fill("#userSig", "a secret")
    page.fill(field, "typed with care")
    ends_the_session_of(page, server)
    page.click(button)
    expect(page.locator("h1")).to_have_text("Not done")
    signs_in_in_another_tab(page)
    page.go_back()
    expect(page.locator(field)).to_have_value("typed with care")
    if path == "/usersig":
        expect(page.locator("#userSig")).to_have_value("")


def test_no_secret_is_kept_by_a_browser(server: Server) -> None:
    admin = sign_in(server)
    for path, name in (("/settings", "webhook-token"), ("/usersig", "userSig")):
        secret = element(admin.gets(path).body, name)
        assert secret and secret.attributes["autocomplete"] == "off"


def test_a_poll_without_a_session_says_so_in_place_of_what_it_would_show(server: Server) -> None:
    operator, page = sign_in(server), {"HX_Request": "true", "HX_Target": "div#live"}
    operator.posts("/sign-out")
    answers = [operator.gets(path, **page) for path in ("/overview", "/account-status?userID=alice", "/nowhere")]
    assert [answer.status for answer in answers] == [401] * 3
    assert 'href="/console/sign-in"' in answers[0].body
    assert {answer.body for answer in answers} == {answers[0].body}, "they tell routes apart"
    assert not any(answer.header("HX-Redirect") for answer in answers)


POLLED = {
    "/overview": "",
    "/instances/live?userID=a&state=online&shown=": "/instances",
    "/account-status?userID=a%2Fb": "/accounts",
    "/audit/entries?userID=a": "/audit",
    "/webhook/live": "/webhook",
    "/settings/job": "/settings",
}


@pytest.mark.parametrize("path", POLLED)
def test_each_poll_of_a_page_of_another_role_says_so_and_has_its_address(path: str, server: Server) -> None:
    for role, other in (("admin", "viewer"), ("viewer", "admin")):
        operator = sign_in(server, TOKENS[role])
        said = operator.gets(path, HX_Request="true", HX_Target="div#live", Page_Role=other)
        assert said.status == 409
        assert element(said.body, "other-role")
        link = re.search(r'href="([^"]*)"', said.body)
        assert link
        query = path.partition("?")[2]
        assert unescape(link[1]) == f"/console{POLLED[path]}{f'?{query}' if query else ''}"
        assert operator.gets(path, HX_Request="true", HX_Target="div#live", Page_Role=role).status == 200
    assert operator.gets("/nowhere", HX_Request="true", Page_Role="viewer").status == 404


def test_a_page_whose_role_has_changed_in_another_tab_says_so_until_it_changes_back(
    server: Server, new_window: NewWindow
) -> None:
    window = new_window(own=True)
    page = open_console(window, server, path="/accounts/role/of?x")
    changed = page.locator("#other-role")
    page.fill("#reason", "typed with care")
    open_console(window, server, VIEWER_TOKEN)
    expect(changed).to_contain_text("to read only now")
    expect(page.locator("#instances")).to_have_count(0)
    open_console(window, server)
    expect(page.locator("#instances")).to_have_count(1)
    expect(changed).to_have_count(0)
    expect(page.locator("#reason")).to_have_value("typed with care")
    open_console(window, server, VIEWER_TOKEN)
    changed.get_by_role("link").click()
    expect(page.locator(".operator .tag")).to_have_text("read-only")
    expect(page.locator("h1")).to_have_text("role/of")


# Without a token


def test_without_a_token_there_is_no_console_and_the_start_says_so(make_server: MakeServer) -> None:
    server = make_server(tokens=False)
    assert server.log().count('console-off hint="set TIM_ADMIN_TOKEN ') == 1
    nowhere = get(server, "/nowhere")
    for path in ("/console", "/console/", "/console/sign-in", "/console?x=y", "/console/x", "/console/api/kick"):
        for headers in ({}, {"Authorization": f"Bearer {ADMIN_TOKEN}"}):
            answer = get(server, f"{path}?token={ADMIN_TOKEN}", headers=headers)
            assert (answer.status, answer.body) == (404, nowhere.body), path
            assert not answer.set_cookies()
    assert post(server, "/console/sign-in", {"token": ADMIN_TOKEN}).status == 404


def test_a_console_with_the_viewer_s_token_alone_only_shows(make_server: MakeServer) -> None:
    server = make_server(tokens=False, VIEWER_TOKEN=VIEWER_TOKEN)
    assert "the console is" not in server.log()
    assert is_in(sign_in(server, VIEWER_TOKEN).gets(""))
    assert post(server, "/console/sign-in", {"token": ADMIN_TOKEN}).status == 401


def test_the_demo_app_prints_the_address_that_signs_in_and_keeps_its_token(
    tmp_path: Path, make_server: MakeServer
) -> None:
    app = copy_of_the_tree(tmp_path / "tree")
    server = make_server(app=app, demo=True)
    found = re.search(
        r"^tim: the console is at (http://127\.0\.0\.1:\d+)(/console\?token=[0-9a-f]{64})$", server.log(), re.M
    )
    assert found, server.log()
    assert found[1] == server.address
    file = app.parent / "instance" / "admin_token"
    assert file.stat().st_mode & 0o077 == 0
    token = file.read_text().strip()
    answer = get(server, found[2])
    (cookie,) = answer.cookies().items()
    assert is_in(get(server, "/console", cookie="=".join(cookie)))
    assert server.log().count(token) == 1, "in the line of the start, and in none of a request"


def test_that_address_is_a_line_of_json_where_the_log_is(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(app=copy_of_the_tree(tmp_path / "tree"), demo=True, LOG="json")
    # `flask run` itself prints on stdout.
    lines = [json.loads(line) for line in server.log().splitlines() if not line.startswith(" * ")]
    [said] = [line["message"] for line in lines if "the console is at" in line.get("message", "")]
    assert re.fullmatch(r"the console is at http://127\.0\.0\.1:\d+/console\?token=[0-9a-f]{64}", said)


def test_no_token_stands_in_a_log_or_an_address(make_server: MakeServer, new_window: NewWindow) -> None:
    server = make_server()
    window = new_window(own=True)
    addresses: list[str] = []
    window.on("request", lambda request: addresses.append(request.url))
    page = open_console(window, server)
    page.click("#sign-out")
    page.fill("#token", ADMIN_TOKEN)
    page.click("#sign-in")
    expect(page.locator("#sign-out")).to_be_visible()
    ((cookie,),) = [[c["value"] for c in window.cookies(f"{server.address}/console") if c["name"] == "console"]]
    get(server, "/console", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    for address in ("/console?x=1&TOKEN=", "/console?to%6ben=", "/nowhere?token="):
        get(server, address + ADMIN_TOKEN)
    server.terminate()
    assert len(server.log()) > 500
    assert ADMIN_TOKEN not in server.log()
    assert cookie.rpartition(".")[2] not in server.log()
    assert [address for address in addresses if ADMIN_TOKEN in address] == [
        f"{server.address}/console?token={ADMIN_TOKEN}"
    ]
    assert path_of(page.url) == "/console"
