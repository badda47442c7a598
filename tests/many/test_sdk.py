"""Pages of the vendor's SDK, tabs of ours and an administrator, each at another server: they count together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.administrator import Administrator
from tests.support.fleet import Fleet
from tests.support.sdk_script import Script, text_message
from tests.support.waiting import until
from tests.support.wire import element, log_in, post_login

Account = Callable[[str], str]
HELLO, LOGIN, SEND = "im_open_status.wshello", "im_open_status.wslogin", "openim.sendmsg"
KICK, ARRIVAL = "im_open_status.stat_forceoffline", "im_open_push.msg_push"
ANOTHER_LOGIN, ADMINISTRATOR = 1, 3
"""The kick types of the SDK."""


def kick_type(push: dict[str, Any]) -> int:
    found: int = push["EventArray"][0]["C2cNotifyMsgArray"][0]["KickoutMsgNotify"]["KickType"]
    return found


def test_a_page_of_the_sdk_and_a_tab_at_different_servers_evict_each_other(fleet: Fleet, account: Account) -> None:
    a, b, c = fleet
    alice = account("alice")
    page = Script(a)
    page.logs_in(alice)
    tab = log_in(b, alice)
    stream = tab.at(c).goes_online()
    newer_tab = log_in(c, alice)
    newer_stream = newer_tab.at(b).goes_online()
    assert kick_type(page.hears_push(KICK)) == ANOTHER_LOGIN
    newer_page = Script(b)
    newer_page.logs_in(alice)
    assert stream.is_closed() == 4001
    assert "multipleAccount" in stream.frames[-1]
    assert list(newer_tab.at(a).instances().values()) == ["online", "online"]
    # Who was evicted says nothing more, and hears why, wherever it turns to.
    for server in fleet:
        line = Script(server, a2=page.a2)
        for command in (HELLO, LOGIN, SEND):
            answer = line.asks(command, text_message(alice, "too late"))
            assert (answer["ErrorCode"], answer["KickType"]) == (1002, ANOTHER_LOGIN)
        assert tab.at(server).gets().status == 303
    newer_stream.hears_nothing(0.2)


def test_a_page_of_the_sdk_whose_line_moves_to_another_server_is_the_same_instance(
    fleet: Fleet, account: Account
) -> None:
    a, b, c = fleet
    alice = account("alice")
    tab = log_in(c, alice)
    stream = tab.goes_online()
    line = Script(a)
    first = line.logs_in(alice)
    seats = list(tab.instances())
    for server in (b, c, a):
        newer = Script(server, a2=line.a2)
        again = newer.asks(LOGIN, {"State": "Online"})
        assert (again["ErrorCode"], again["InstId"]) == (0, first["InstId"])
        assert tab.posts("messages", {"to": alice, "text": f"to {server.port}"}).status == 303
        arrived = newer.hears_push(ARRIVAL)["EventArray"][0]["C2cMsgArray"][0]
        assert arrived["MsgBody"][0]["MsgContent"]["Text"] == f"to {server.port}"
        line.leaves(4001)
        line = newer
    assert list(tab.at(b).instances()) == seats
    assert stream.code is None


def test_texts_go_between_pages_of_the_sdk_and_tabs_at_different_servers(fleet: Fleet, account: Account) -> None:
    a, b, c = fleet
    alice, bob = account("alice"), account("bob")
    page = Script(a)
    page.logs_in(alice)
    tab = log_in(b, bob)
    stream = tab.at(c).goes_online()
    assert page.sends_text(bob, "from the page")["ErrorCode"] == 0
    assert f'data-from="{alice}"' in stream.hears("from the page")
    assert tab.at(b).posts("messages", {"to": alice, "text": "from the tab"}).status == 303
    arrived = page.hears_push(ARRIVAL)["EventArray"][0]["C2cMsgArray"][0]
    assert (arrived["From_Account"], arrived["MsgBody"][0]["MsgContent"]["Text"]) == (bob, "from the tab")


def test_an_administrators_kick_at_one_ends_all_and_voids_the_usersigs_at_each(fleet: Fleet, account: Account) -> None:
    a, b, c = fleet
    alice = account("alice")
    user_sig = a.user_sig(alice)
    tab = log_in(b, alice, user_sig)
    stream = tab.at(c).goes_online()
    page = Script(b)
    page.logs_in(alice)
    Administrator(a).kicks(alice)
    assert stream.is_closed() == 4004
    assert kick_type(page.hears_push(KICK)) == ADMINISTRATOR
    for server in fleet:
        assert Administrator(server).seats(alice) == []
        refused = post_login(server, alice, user_sig)
        shown = element(refused.body, "login-error")
        assert refused.status == 401
        assert shown is not None
        assert "70052" in shown.text
        assert Script(server).tries_to_log_in(alice, user_sig)["ErrorCode"] == 70052
        assert tab.at(server).attaches().is_closed() == 4004
        answer = Script(server, a2=page.a2).asks(HELLO)
        assert (answer["ErrorCode"], answer["KickType"]) == (1002, ADMINISTRATOR)
    for server in fleet:
        log_in(server, alice).goes_online()


def test_what_an_administrator_sends_and_sees_at_one_is_what_is_at_the_others(fleet: Fleet, account: Account) -> None:
    a, b, c = fleet
    alice = account("alice")
    Administrator(a).imports(alice)
    stream = log_in(b, alice).at(c).goes_online()
    assert Administrator(a).seats(alice) == ["Online"]
    assert Administrator(a).calls("openim/sendmsg", text_message(alice, "to all of you"))["ErrorCode"] == 0
    stream.hears("to all of you")
    stream.leaves("reset")
    newer = log_in(c, alice)
    newer.at(a).goes_online()
    until(lambda: Administrator(b).seats(alice) == ["PushOnline", "Online"], "one line is cut")
    deleted = Administrator(b).calls("im_open_login_svc/account_delete", {"DeleteItem": [{"UserID": alice}]})
    assert deleted["ResultItem"][0]["ResultCode"] == 0
    for server in fleet:
        asked = {"CheckItem": [{"UserID": alice}]}
        [found] = Administrator(server).calls("im_open_login_svc/account_check", asked)["ResultItem"]
        assert found["AccountStatus"] == "NotImported"
        assert newer.at(server).gets().status == 303
