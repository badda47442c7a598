"""What a page missed it is told: all, in the order of the log, each once, over any number of cut connections."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.administrator import Administrator
from tests.support.browser import Person
from tests.support.proxy import Proxy
from tests.support.sdk_page import SDKPage
from tests.support.sdk_script import Script, text_message
from tests.support.sdk_site import NEW, SDKS
from tests.support.server import Server
from tests.support.waiting import until
from tests.tencent.conftest import Account, OpenPage
from tests.web.conftest import NewWindow
from tim.mailbox import MAILBOX
from tim.tab import PAGE
from tim.timing import DEFAULT

MakeProxy = Callable[[Server], Proxy]
LOGIN, SEND, SYNC, ALIVE = "im_open_status.wslogin", "openim.sendmsg", "openim.getmsg", "heartbeat.alive"
ARRIVAL = "im_open_push.msg_push"
BACK = 40
"""Seconds within which a page comes back."""


def rows(page: Script) -> list[dict[str, Any]]:
    """The messages it was sent so far, and has not been asked for before."""
    pushes, page.pushes = page.pushes, []
    return [push["body"]["EventArray"][0]["C2cMsgArray"][0] for push in pushes if push["head"]["servcmd"] == ARRIVAL]


def texts(page: Script) -> list[str]:
    return [row["MsgBody"][0]["MsgContent"]["Text"] for row in rows(page)]


def synchronises(page: Script, cookie: str) -> tuple[list[str], str]:
    """It asks for what it missed until that is all; the texts, and its next cookie."""
    told: list[str] = []
    for _ in range(1000):
        answer = page.asks(SYNC, {"Cookie": cookie, "SyncFlag": 0})
        told += texts(page)
        cookie = answer["Cookie"]
        if answer["SyncFlag"] == 2:
            return told, cookie
    raise AssertionError("it never ends")


def has_left(page: Script, admin: Administrator, user: str, seats: list[str]) -> None:
    page.leaves(4001)
    until(lambda: admin.seats(user) == seats, lambda: f"{admin.seats(user)}")


# Which message is which


def test_the_same_numbers_to_two_receivers_and_with_two_texts_are_messages_of_their_own(
    server: Server, account: Account
) -> None:
    alice, bob, carol = (Script(server) for _ in range(3))
    users = [account(name) for name in ("alice", "bob", "carol")]
    for page, user in zip((alice, bob, carol), users, strict=True):
        page.logs_in(user)
    for _ in range(2):
        for to, text in ((users[1], "for bob"), (users[2], "for carol"), (users[1], "for bob too")):
            body = {**text_message(to, text, 5, 6), "MsgClientTime": 1790000000}
            assert alice.asks(SEND, body)["ErrorCode"] == 0
    for page in (bob, carol):
        page.asks(ALIVE)
    told = rows(bob)
    assert [row["MsgBody"][0]["MsgContent"]["Text"] for row in told] == ["for bob", "for bob too"]
    assert len({(row["MsgSeq"], row["MsgRandom"]) for row in told}) == 2, "an SDK would take them for one"
    assert texts(carol) == ["for carol"]


@pytest.mark.parametrize("own", [{}, {"MsgSeq": 5}, {"MsgSeq": 0}], ids=["no MsgSeq", "a MsgSeq", "0"])
def test_what_an_administrator_sends_again_is_one_message_and_another_text_is_another(
    admin: Administrator, server: Server, account: Account, own: dict[str, int]
) -> None:
    page, bob = Script(server), account("bob")
    page.logs_in(bob)
    for text in ("one", "one", "two", "one", "two"):
        body = {key: value for key, value in text_message(bob, text).items() if key != "MsgSeq"}
        assert admin.calls(SEND.replace(".", "/"), {**body, "MsgRandom": 7, **own})["ErrorCode"] == 0
    page.asks(ALIVE)
    told = rows(page)
    assert [row["MsgBody"][0]["MsgContent"]["Text"] for row in told] == ["one", "two"]
    assert len({row["MsgSeq"] for row in told} - {0}) == 2, "an SDK would take them for one"


@pytest.mark.parametrize("to", ["\ud800", "x\ud800", "\x00", 7, None, "", ["bob"], "no such id!", "x" * 65_000])
def test_a_receiver_that_can_be_none_gets_a_code(
    to: Any, admin: Administrator, server: Server, account: Account
) -> None:
    before, page = len(server.log()), Script(server)
    page.logs_in(account("alice"))
    body = {**text_message("x", "hi"), "To_Account": to}
    answers = [admin.calls("openim/sendmsg", body)["ErrorCode"]] if len(str(to)) < 60_000 else []
    answers.append(page.asks(SEND, body)["ErrorCode"])
    assert set(answers) <= {70402, 90003, 20003}
    for text in ("\ud800", "x\udfff", "\ud83d"):
        assert page.asks(SEND, text_message("administrator", text))["ErrorCode"] == 70402
        assert admin.calls("openim/sendmsg", text_message("administrator", text))["ErrorCode"] == 70402
    server.has_no_traceback(since=before)


def test_who_sends_too_much_is_refused_with_a_code_that_says_when(server: Server, account: Account) -> None:
    page, alice = Script(server), account("alice")
    page.logs_in(alice)
    for n in range(100):
        assert page.sends_text(alice, str(n), seq=n + 1)["ErrorCode"] == 0
    refused = page.sends_text(alice, "one more", seq=200)
    assert (refused["ErrorCode"], "seconds" in refused["ErrorInfo"]) == (60007, True)
    assert page.sends_text(alice, "7", seq=8)["ErrorCode"] == 0, "which it had sent before"


# In order


@pytest.mark.usefixtures("not_quick")
def test_a_page_that_comes_back_is_told_in_the_order_of_the_log(roomy: Server, account: Account) -> None:
    admin, alice = Administrator(roomy), account("alice")
    one, other = Script(roomy), Script(roomy)
    for page in (one, other):
        page.logs_in(alice)
    cookie = one.asks(SYNC, {"Cookie": "", "SyncFlag": 0})["Cookie"]
    for page, text, seats in ((one, "m1", ["Online", "PushOnline"]), (other, "m2", ["PushOnline"] * 2)):
        page.leaves(4001)
        until(lambda seats=seats: sorted(admin.seats(alice)) == seats, lambda: f"{admin.seats(alice)}")  # type: ignore[misc]
        admin.calls("openim/sendmsg", text_message(alice, text))
    back = Script(roomy, a2=one.a2)
    assert back.asks(LOGIN)["ErrorCode"] == 0
    admin.calls("openim/sendmsg", text_message(alice, "m3"))
    for command in ("recentcontact.page_get", ALIVE):
        back.asks(command)
    assert texts(back) == [], "it has not said yet what it has"
    told, cookie = synchronises(back, cookie)
    admin.calls("openim/sendmsg", text_message(alice, "m4"))
    back.asks(ALIVE)
    assert told + texts(back) == ["m1", "m2", "m3", "m4"]
    assert synchronises(back, cookie) == ([], str(int(cookie) + 1)), "each once"
    # One that never asks is told what nobody of the account was.
    has_left(back, admin, alice, ["PushOnline"] * 2)
    admin.calls("openim/sendmsg", text_message(alice, "m5"))
    silent = Script(roomy, a2=other.a2)
    silent.asks(LOGIN)
    silent.hears_push(ARRIVAL, DEFAULT.missed_hold + 10)
    admin.calls("openim/sendmsg", text_message(alice, "m6"))
    silent.asks(ALIVE)
    assert texts(silent) == ["m6"]


def test_what_comes_between_two_pages_of_what_was_missed_comes_after_them(
    admin: Administrator, server: Server, account: Account
) -> None:
    page, alice, missed = Script(server), account("alice"), 2 * PAGE + 10
    page.logs_in(alice)
    cookie = page.asks(SYNC, {"Cookie": "", "SyncFlag": 0})["Cookie"]
    has_left(page, admin, alice, ["PushOnline"])
    for n in range(missed):
        admin.calls("openim/sendmsg", text_message(alice, str(n), n + 1))
    back = Script(server, a2=page.a2)
    back.asks(LOGIN)
    first = back.asks(SYNC, {"Cookie": cookie, "SyncFlag": 0})
    assert (first["SyncFlag"], texts(back)) == (1, [str(n) for n in range(PAGE)])
    for n in range(missed, missed + 3):
        admin.calls("openim/sendmsg", text_message(alice, str(n), n + 1))
    # The SDK begins twice when it comes back; what it was told it is not told again.
    again = back.asks(SYNC, {"Cookie": cookie, "SyncFlag": 0})
    told = texts(back)
    rest, _ = synchronises(back, again["Cookie"])
    assert told + rest == [str(n) for n in range(PAGE, missed + 3)]
    # A cookie of long ago brings it all again, a page at a time; one of another log does no harm.
    assert back.asks(SYNC, {"Cookie": "0", "SyncFlag": 0})["SyncFlag"] in (1, 2)
    texts(back)
    for strange in ("9" * 18, "x", 7, None, "-1", "\ud800"):
        assert back.asks(SYNC, {"Cookie": strange})["ErrorCode"] == 0


def test_a_page_that_was_cut_off_before_it_could_ask_is_told_all_since_its_login(
    admin: Administrator, server: Server, account: Account
) -> None:
    page, alice, missed = Script(server), account("alice"), 3 * PAGE
    admin.imports(alice)
    admin.calls("openim/sendmsg", text_message(alice, "before the login"))
    page.logs_in(alice)
    assert page.hears_push(ARRIVAL)
    for n in range(missed):  # into a connection that nobody reads any more
        admin.calls("openim/sendmsg", text_message(alice, str(n), n + 1))
    back = Script(server, a2=page.a2)
    back.asks(LOGIN)
    told, cookie = synchronises(back, "")
    assert told == [str(n) for n in range(missed)]
    assert synchronises(back, cookie) == ([], cookie)


# The real SDKs


def comes_back(page: SDKPage, before: int) -> None:
    until(lambda: page.page.evaluate("1") and logins(page) > before, lambda: f"{page} stays away", BACK)


def logins(page: SDKPage) -> int:
    return len([frame for frame in page.frames if not frame.sent and frame.command == LOGIN])


def has_all(page: SDKPage, number: int) -> None:
    until(lambda: page.told() >= number, lambda: f"{page} was told {page.told()}", BACK)


def test_over_many_cut_connections_each_message_is_told_once_whoever_sent_it(
    open_page: OpenPage, account: Account, roomy: Server, make_proxy: MakeProxy, new_window: NewWindow
) -> None:
    line, alice, admin = make_proxy(roomy), account("alice"), Administrator(roomy)
    pages = [open_page(sdk, on=roomy, through=line) for sdk in SDKS]
    for page in pages:
        page.logs_in(alice)
    other, tab = open_page(NEW, on=roomy), Person(roomy, new_window(), "bob").logs_in()
    other.logs_in(account("carol"))
    told: list[str] = []

    def everybody_writes(when: str) -> None:
        own: dict[str, int]
        for name, own in (("without numbers", {}), ("with numbers", {"MsgSeq": 5})):
            body = {key: value for key, value in text_message(alice, f"{name} {when}").items() if key != "MsgSeq"}
            assert admin.calls("openim/sendmsg", {**body, "MsgRandom": 7, **own})["ErrorCode"] == 0
        assert other.sends(alice, f"by an SDK {when}")["code"] == 0
        tab.sends(alice, f"by a form {when}")
        told.extend(f"{who} {when}" for who in ("without numbers", "with numbers", "by an SDK", "by a form"))
        tab.reads(*[text for text in told if "form" in text])

    def all_is_read() -> None:
        for page in pages:
            page.reads(*told)

    everybody_writes("before")
    all_is_read()
    for n in (1, 2):
        before = [logins(page) for page in pages]
        line.cuts()
        everybody_writes(f"during {n}")
        line.passes()
        for page, count in zip(pages, before, strict=True):
            comes_back(page, count)
        all_is_read()
    everybody_writes("after")
    all_is_read()


def test_pages_that_were_cut_off_one_after_the_other_are_told_all_in_order_however_much(
    open_page: OpenPage, account: Account, roomy: Server, make_proxy: MakeProxy, rounds: int
) -> None:
    lines, alice, admin = [make_proxy(roomy) for _ in SDKS], account("alice"), Administrator(roomy)
    pages = [open_page(sdk, on=roomy, through=line) for sdk, line in zip(SDKS, lines, strict=True)]
    for page in pages:
        page.logs_in(alice)
    before, told = [logins(page) for page in pages], list[str]()
    for n, line in enumerate(lines):
        line.cuts()
        until(lambda n=n: admin.seats(alice).count("PushOnline") > n, "it should be cut off")  # type: ignore[misc]
        told.append(f"m{n}")
        assert admin.calls("openim/sendmsg", text_message(alice, told[-1], n + 1))["ErrorCode"] == 0
    many = [f"n{n}" for n in range(min(8 * PAGE * rounds, MAILBOX + 100))]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda text: admin.calls("openim/sendmsg", text_message(alice, text)), many))
    for line in lines:
        line.passes()
    for page, count in zip(pages, before, strict=True):
        comes_back(page, count)
        has_all(page, len(told) + len(many))
        assert page.texts()[:2] == told
        assert sorted(page.texts()[2:]) == sorted(many)
    assert pages[0].texts() == pages[1].texts()
