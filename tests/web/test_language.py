"""The language of a page is the browser's, or the one that was chosen with the switch; machines always get English."""

from __future__ import annotations

import re
from collections.abc import Callable
from http.cookies import SimpleCookie

import pytest
from playwright.sync_api import expect

from tests.support.administrator import Administrator
from tests.support.console import open_console, sign_in
from tests.support.proxy import Proxy
from tests.support.server import ADMIN_TOKEN, Server
from tests.support.wire import Answer, Socket, ask, element, elements, get, log_in, post, stream_of, switch
from tests.web.conftest import MakePerson, MakeServer, NewWindow
from tim.web.language import LOCAL, best_of

CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
PAGES = ("", "/instances", "/accounts", "/accounts/nobody", "/audit", "/settings", "/webhook", "/usersig",
         "/overview/minutes")  # fmt: skip
"""Pages of the console."""
READ_OUT = ("aria-label", "title", "placeholder", "data-empty", "data-label")


def tag(answer: Answer) -> str:
    """The language that the page says it is in."""
    found = re.search(r'<html lang="([^"]+)">', answer.body)
    assert found, answer.body[:300]
    return found[1]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh-TW, en-US, en", "zh"),
        ("zh-Hans-SG", "zh"),
        ("ZH", "zh"),
        ("zh-HK;q=0.5, de", "zh"),
        ("de-DE, fr", "en"),
        ("en-GB, zh-CN;q=0.9", "en"),
        ("de, *", "en"),
    ],
)
def test_a_browser_gets_the_first_of_its_languages_that_there_is(accepted: str, language: str) -> None:
    assert best_of(accepted) == language


def test_a_page_is_in_the_language_of_the_browser(server: Server) -> None:
    chinese = get(server, "/login", headers=CHINESE)
    assert tag(chinese) == "zh-Hans" and "<title>登录" in chinese.body
    assert tag(get(server, "/login", headers={"Accept-Language": "zh;q=0.1, en;q=0.5"})) == "en"
    assert tag(get(server, "/login", headers={"Accept-Language": "de, zh;q=0"})) == "en", "refused by the browser"
    assert {"Accept-Language", "Cookie"} <= set(chinese.header("Vary").split(", "))


def test_the_switch_keeps_its_language_in_a_cookie_and_shows_the_page_again(server: Server) -> None:
    page = get(server, "/login?userID=b%26c")
    following, offered = switch(page)
    assert (following, offered) == ("/login?userID=b%26c", "zh")
    chosen = post(server, "/language", {"lang": offered, "next": following})
    assert (chosen.status, chosen.location) == (303, "/login?userID=b%26c")
    (cookie,) = SimpleCookie(chosen.set_cookies()[0]).values()
    assert (cookie.key, cookie.value, cookie["path"], cookie["samesite"]) == ("lang", "zh", "/", "Lax")
    assert int(cookie["max-age"]) == 365 * 86400 and cookie["httponly"] and not cookie["secure"]
    by_htmx = post(server, "/language", {"lang": offered, "next": following}, headers={"HX-Request": "true"})
    assert (by_htmx.status, by_htmx.header("HX-Redirect")) == (200, following)
    assert by_htmx.set_cookies() == chosen.set_cookies()
    again = get(server, chosen.location, cookie="lang=zh", headers={"Accept-Language": "en"})
    assert tag(again) == "zh-Hans" and switch(again)[1] == "en"


@pytest.mark.parametrize("value", ["", "de", "../zh", "zh-Hans"])
def test_an_unknown_language_is_not_chosen(server: Server, value: str) -> None:
    refused = post(server, "/language", {"lang": value, "next": "/login"})
    assert refused.status == 400 and not refused.set_cookies()
    assert tag(get(server, "/login", cookie=f"lang={value}")) == "en"


@pytest.mark.parametrize(
    "elsewhere", ["", "//evil.test", "/\\evil.test", "https://evil.test/", "login", "/a\r\nX: y", "/\tevil", "/a\\b"]
)
def test_the_switch_leads_to_no_other_server(server: Server, elsewhere: str) -> None:
    assert not LOCAL.fullmatch(elsewhere)
    answer = post(server, "/language", {"lang": "zh", "next": elsewhere})
    assert (answer.status, answer.location, answer.header("X")) == (303, "/", "")


def english_in(answer: Answer) -> list[str]:
    """Three English words in a row that the page shows or reads out; the name of a browser has but two."""
    page = elements(answer.body)
    said = [found.text for found in page if found.tag in ("title", "body")]
    said += [str(found.attributes[name]) for found in page for name in READ_OUT if name in found.attributes]
    return [words for text in said for words in re.findall(r"[A-Za-z]{2,}(?: [a-z]{2,}){2,}", text)]


def test_every_page_has_the_switch_and_is_translated_whole(server: Server) -> None:
    tab, admin = log_in(server, "switches"), sign_in(server)
    pages = {
        "/login": get(server, "/login", headers=CHINESE),
        tab.path: get(server, tab.path, cookie=tab.cookie, headers=CHINESE),
        "/console/sign-in": get(server, "/console/sign-in", headers=CHINESE),
        **{f"/console{path}": ask(server, "GET", f"/console{path}", cookie=admin.cookie, headers=CHINESE)
           for path in PAGES},
    }  # fmt: skip
    for path, page in pages.items():
        assert (page.status, tag(page)) == (200, "zh-Hans"), path
        assert switch(page) == (path, "en"), path
        assert english_in(page) == [], path
    assert len(english_in(get(server, "/login"))) > 3, "the control: what is looked for is found in English"


def test_a_page_that_answers_a_form_returns_to_one_that_can_be_opened(server: Server) -> None:
    tab, admin = log_in(server, "answers"), sign_in(server)
    sent = [
        post(server, "/login", {"userID": "someone", "userSig": "x"}),
        post(server, tab.path + "messages", {"to": "", "text": ""}, cookie=tab.cookie),
        post(server, tab.path + "name", {"name": "x" * 65}, cookie=tab.cookie),
        post(server, "/console/sign-in", {"token": "wrong"}),
        admin.posts("/settings/review", {}),
        admin.posts("/instances/kick", {}),
        admin.posts("/accounts/block", {"userID": "someone"}),
        admin.posts("/usersig", {"userSig": "x"}),
    ]
    cookies = f"{tab.cookie}; {admin.cookie}"
    for page in sent:
        following, _ = switch(page)
        assert get(server, following, cookie=cookies).status in (200, 303), following
    assert switch(sent[0])[0] == "/login?userID=someone"


def test_the_switch_of_the_login_page_keeps_the_user_id_that_was_typed(server: Server, new_window: NewWindow) -> None:
    page = new_window(java_script_enabled=False).new_page()
    page.goto(f"{server.address}/login?userID=zoe")
    for typed, language in (("alice&co", "zh-Hans"), ("bob", "en"), ("", "zh-Hans")):
        page.fill("#userID", typed)
        page.fill("#userSig", "a secret")
        page.click(".language button")
        expect(page.locator(f"html[lang={language}] #userID")).to_have_value(typed)
        assert "secret" not in page.url
    page.fill("#userID", "bob")
    page.fill("#userSig", server.user_sig("bob"))
    page.press("#userSig", "Enter")
    expect(page.locator("#login-user")).to_have_text("bob")


def test_below_a_path_the_cookie_and_the_way_back_stay_below_it(make_server: MakeServer) -> None:
    server = make_server(gevent=True, prefix="/chat")
    page = get(server, "/chat/login?userID=alice")
    assert switch(page)[0] == "/chat/login?userID=alice"
    chosen = post(server, "/chat/language", {"lang": "zh", "next": switch(page)[0]})
    (cookie,) = SimpleCookie(chosen.set_cookies()[0]).values()
    assert (chosen.location, cookie["path"]) == ("/chat/login?userID=alice", "/chat/")
    assert post(server, "/chat/language", {"lang": "zh", "next": "//x"}).location == "/chat/"


def test_a_stream_is_in_the_language_of_its_handshake(server: Server) -> None:
    tab = log_in(server, "listens-in-chinese")
    stream = Socket(server, tab.path + "events", cookie=f"{tab.cookie}; lang=zh")
    assert "在线实例" in stream.hears('id="instances"')
    assert "已就绪" in stream.hears('data-state="ready"')
    stream.leaves()


def test_what_an_open_page_asks_for_is_in_the_language_of_that_page(server: Server) -> None:
    tab = log_in(server, "two-languages")
    cookie = f"{tab.cookie}; lang=en"

    def refused(**more: str) -> str:
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        return post(server, tab.path + "messages", {"to": ""}, cookie=cookie, headers=headers).body

    chinese = {"Page_Language": "zh-Hans"}
    assert ">发送</button>" in refused(HX_Request="true", **chinese)
    assert ">Send</button>" in refused(HX_Request="true")
    assert ">Send</button>" in refused(HX_Request="true", Page_Language="zz")
    assert ">Send</button>" in refused(**chinese), "a new page is in the language of the switch"
    page = get(server, tab.path, cookie=f"{tab.cookie}; lang=zh")
    stream = Socket(server, stream_of(page.body), cookie=cookie)
    assert "在线实例" in stream.hears('id="instances"')
    stream.leaves()


def test_an_open_page_keeps_its_language_while_another_one_is_switched(
    roomy: Server, make_proxy: Callable[[Server], Proxy], person: MakePerson, new_window: NewWindow
) -> None:
    proxy = make_proxy(roomy)
    alice = person("alice", on=roomy, through=proxy.address, window=new_window(locale="zh-CN"))
    tab, other = alice.logs_in("A"), alice.logs_in("B")
    admin = open_console(alice.window, roomy)
    expect(admin.locator("#live")).to_contain_text("在线")
    other.page.click(".language button")
    expect(other.page.locator("html")).to_have_attribute("lang", "en")
    other.is_ready()
    tab.sends("nobody-at-all", "x")
    expect(tab.page.locator("#send-error")).to_contain_text("20003")
    expect(tab.page.locator("#send")).to_have_text("发送")
    proxy.cuts()
    tab.is_reconnecting()
    proxy.passes()
    for page, language, ready in ((tab, "zh-Hans", "已就绪"), (other, "en", "Ready")):
        page.is_ready()
        expect(page.page.locator("html")).to_have_attribute("lang", language)
        expect(page.page.locator("#sdk-state")).to_have_text(ready)
    expect(tab.page.locator("#instances-title")).to_contain_text("在线实例")
    with admin.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true") as polled:
        pass
    assert "在线" in polled.value.text()


def test_an_error_is_in_the_language_of_the_page_and_in_english_for_machines(server: Server) -> None:
    form = {"userID": "half translated", "userSig": "x"}
    alert = element(post(server, "/login", form, headers=CHINESE).body, "login-form")
    assert alert and "userID 须为 1 到 32 个英文字母、数字或 ASCII 符号" in alert.text
    english = element(post(server, "/login", form).body, "login-form")
    assert english and "userID must be 1 to 32 letters, digits or ASCII signs" in english.text
    bearer = {"Authorization": f"Bearer {ADMIN_TOKEN}"} | CHINESE
    machine = ask(server, "POST", "/console/api/usersig", body=b'{"userID": "a b"}', headers=bearer)
    assert machine.status == 400 and "must be 1 to 32 letters" in machine.body
    rest = Administrator(server).calls("im_open_login_svc/kick", {"UserID": "a b"}, headers=CHINESE)
    assert "must be 1 to 32 letters" in rest["ErrorInfo"]


@pytest.mark.parametrize("path", ["/nowhere", "/language"])
def test_the_page_of_an_error_is_in_the_language_of_the_browser_too(server: Server, path: str) -> None:
    page = get(server, path, headers=CHINESE | {"Accept": "text/html"})
    assert page.status in (404, 405) and tag(page) == "zh-Hans"
    assert english_in(page) == [] and switch(page) == (path, "en")
