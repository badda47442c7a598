"""The session token of the SDK's protocol, frame by frame: it is the credential, the connection is none."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.administrator import Administrator
from tests.support.frames import frame
from tests.support.sdk_script import Script, text_message
from tests.support.server import APP, Server
from tests.support.waiting import PATIENCE, until
from tests.support.wire import get, upgrade
from tests.tencent.conftest import Account
from tests.web.conftest import MakeServer
from tim.web import framing

HELLO, ALIVE, LOGIN = "im_open_status.wshello", "heartbeat.alive", "im_open_status.wslogin"
LOGOUT, REPORT, SEND = "im_open_status.wslogout", "imopenstat.tim_web_report_v2", "openim.sendmsg"
KICK = "im_open_status.stat_forceoffline"

Open = Callable[..., Script]


@pytest.fixture
def script(server: Server) -> Open:
    """`script()`: a connection that is not logged in."""
    return lambda **options: Script(server, **options)


def test_an_answer_that_needs_no_store_leaves_with_the_next(server: Server, account: Account) -> None:
    alice = account("alice")
    head = {"sdkappid": APP, "reqtime": 1, "identifier": alice, "usersig": server.user_sig(alice)}
    asked = [json.dumps({"head": {**head, "servcmd": command, "seq": 1}, "body": {}}) for command in (ALIVE, LOGIN)]
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as line:
        line.sendall(upgrade("/binfo", f"127.0.0.1:{server.port}", headers={}))
        assert line.recv(4096).endswith(b"\r\n\r\n")
        line.sendall(b"".join(frame(framing.BINARY, each.encode()) for each in asked))
        answers = line.recv(4096)
    assert ALIVE.encode() in answers
    assert LOGIN.encode() in answers, "they came apart"


def kick_type(push: dict[str, Any]) -> int:
    found: int = push["EventArray"][0]["C2cNotifyMsgArray"][0]["KickoutMsgNotify"]["KickType"]
    return found


def test_any_connection_may_speak_for_an_instance(script: Open, account: Account) -> None:
    first, other, alice = script(), script(), account("alice")
    first.logs_in(alice)
    other.a2 = first.a2
    assert other.asks(SEND, text_message(alice, "by another line"))["ErrorCode"] == 0
    assert other.asks("recentcontact.page_get")["CompleteFlag"] == 1
    assert script().asks(SEND, text_message(alice, "by nobody"))["ErrorCode"] == 2024


def test_a_login_over_a_new_line_attaches_the_same_session_there(account: Account, make_server: MakeServer) -> None:
    server, alice = make_server(gevent=True), account("alice")
    admin, first, second = Administrator(server), Script(server), Script(server)
    before = first.logs_in(alice)
    second.a2 = first.a2
    for _ in range(3):
        after = second.asks(LOGIN, {"State": "Online"})
        assert (after["ErrorCode"], after["InstId"], after["TinyId"]) == (0, before["InstId"], before["TinyId"])
        assert after["A2Key"] == first.a2
    assert admin.seats(alice) == ["Online"]
    admin.calls("openim/sendmsg", text_message(alice, "hello"))
    second.hears_push("im_open_push.msg_push")
    first.hears_nothing(0.3)
    first.leaves(1001)
    until(lambda: "tim_streams 1.0" in get(server, "/metrics").body, "the server still has the older line")
    assert admin.seats(alice) == ["Online"], "the older line serves nobody any more"


@pytest.mark.parametrize("code", [1000, 4000, 4001])
def test_a_line_that_closes_otherwise_than_by_its_page_keeps_the_seat(
    script: Open, account: Account, admin: Administrator, code: int
) -> None:
    page, alice = script(), account("alice")
    page.logs_in(alice)
    page.leaves(code)
    until(lambda: admin.seats(alice) == ["PushOnline"], lambda: f"{admin.seats(alice)}")
    again = script(a2=page.a2)
    assert again.asks(LOGIN)["ErrorCode"] == 0
    assert admin.seats(alice) == ["Online"]


@pytest.mark.usefixtures("not_quick")
def test_a_dead_session_is_told_its_true_reason_wherever_it_speaks(
    script: Open, account: Account, admin: Administrator
) -> None:
    alice, bob, carol = account("alice"), account("bob"), account("carol")
    evicted, kicked, expired, left = script(), script(), script(), script()
    for page, user in ((evicted, alice), (kicked, bob), (left, account("dave"))):
        page.logs_in(user)
    expired.logs_in(carol, expire=3)
    script().logs_in(alice)
    admin.kicks(bob)
    assert left.asks(LOGOUT, {"wslogout_type": 0})["ErrorCode"] == 0
    until(lambda: admin.seats(carol) == [], lambda: f"{admin.seats(carol)}")
    assert kick_type(evicted.hears_push(KICK)) == 1
    assert kick_type(kicked.hears_push(KICK)) == 3
    for page, code, kind in ((evicted, 1002, 1), (kicked, 1002, 3), (expired, 70001, None), (left, 2024, None)):
        for line in (page, script(a2=page.a2)):
            for command in (HELLO, LOGIN, SEND):
                answer = line.asks(command, text_message(alice, "too late"))
                assert (answer["ErrorCode"], answer.get("KickType")) == (code, kind)
                assert answer["ErrorInfo"]
            for command in (LOGOUT, REPORT):
                assert line.asks(command)["ErrorCode"] == 0
        assert script(a2=page.a2).asks(ALIVE)["ErrorCode"] == 0


def test_what_was_under_way_when_the_kick_came_is_not_a_second_kick(script: Open, account: Account) -> None:
    # The SDK fires KICKED_OUT for each frame that speaks of a kick. It had sent a hello when the kick arrived, which it
    # answers with a wslogout; or it repeats the hello over a new line, and then logs in again.
    page, alice = script(), account("alice")
    page.logs_in(alice)
    script().logs_in(alice)
    assert kick_type(page.hears_push(KICK)) == 1
    for line, behind, kind in ((page, LOGOUT, None), (script(a2=page.a2), LOGIN, 1)):
        line.says(HELLO)
        line.says(behind, {"wslogout_type": 1})
        told, end = line.hears()["body"], line.hears()["body"]
        assert (told["ErrorCode"], told.get("KickType")) == (1002, None)
        assert end.get("KickType") == kind


def test_a_ping_tells_a_live_session_once_that_its_usersig_has_run_out(script: Open, account: Account) -> None:
    page = script()
    page.logs_in(account("alice"), expire=3)
    assert page.asks(ALIVE)["ErrorCode"] == 0
    until(lambda: page.asks(ALIVE)["ErrorCode"] == 70001, "no ping is answered with the end of the UserSig")
    assert [page.asks(ALIVE)["ErrorCode"] for _ in range(2)] == [0, 0]


def test_a_ping_revives_nobody(script: Open, account: Account, admin: Administrator) -> None:
    page, alice = script(), account("alice")
    page.logs_in(alice)
    page.leaves(4001)
    until(lambda: admin.seats(alice) == ["PushOnline"], lambda: f"{admin.seats(alice)}")
    assert script(a2=page.a2).asks(ALIVE)["ErrorCode"] == 0
    assert admin.seats(alice) == ["PushOnline"]


def test_a_token_that_was_altered_or_is_of_another_server_opens_nothing(
    script: Open, account: Account, make_server: MakeServer
) -> None:
    page, alice = script(), account("alice")
    page.logs_in(alice)
    stranger = Script(make_server(SECRET_KEY="another-secret-that-signs-other-tokens"))
    stranger.logs_in(alice)
    altered = [page.a2[:i] + ("x" if page.a2[i] != "x" else "y") + page.a2[i + 1 :] for i in range(len(page.a2))]
    line = script()
    for token in (*altered, stranger.a2, "x", "\ud800", "." * 4000):
        assert line.asks(HELLO, a2=page.a2)["ErrorCode"] == 0, "a valid one before it changes nothing"
        answer = line.asks(HELLO, a2=token)
        assert (answer["ErrorCode"], "log in again" in answer["ErrorInfo"]) == (70001, True)
        assert line.asks(ALIVE, a2=token)["ErrorCode"] == 0


def test_a_session_survives_a_restart_of_the_server(account: Account, make_server: MakeServer) -> None:
    server, alice = make_server(), account("alice")
    page = Script(server)
    before = page.logs_in(alice)
    server.kill()
    server.start()
    again = Script(server, a2=page.a2)
    assert again.asks(LOGIN)["InstId"] == before["InstId"]
    server.terminate()
    assert again.is_closed() == 1012
    server.has_no_traceback()


def test_a_stopping_server_says_goodbye_to_connections_that_are_not_logged_in(make_server: MakeServer) -> None:
    server = make_server()
    waiting = Script(server)
    assert waiting.asks(ALIVE)["ErrorCode"] == 0
    server.terminate()
    assert waiting.is_closed() == 1012


def test_who_was_away_too_long_comes_back_where_there_is_room(account: Account, make_server: MakeServer) -> None:
    server, alice = make_server(DETACH_GRACE="1"), account("alice")
    seats = Administrator(server).seats
    page = Script(server)
    before = page.logs_in(alice)
    page.leaves(4001)
    until(lambda: seats(alice) == [], lambda: f"{seats(alice)}")
    back = Script(server, a2=page.a2)
    assert back.asks(LOGIN)["InstId"] == before["InstId"]
    back.leaves(4001)
    until(lambda: seats(alice) == [], lambda: f"{seats(alice)}")
    Script(server).logs_in(alice)
    refused = Script(server, a2=page.a2).asks(LOGIN)
    assert (refused["ErrorCode"], refused["KickType"]) == (1002, 1)


def test_a_login_that_is_sent_again_over_a_new_line_is_one_login(account: Account, roomy: Server) -> None:
    # Three seats and two are taken. The answer to the third login is lost with its line, and the SDK sends the very
    # same frame over a new one. Were that a fourth login, the oldest instance would have to leave.
    alice, page_id = account("alice"), secrets.token_hex(16)
    others = [Script(roomy), Script(roomy)]
    for other in others:
        other.logs_in(alice)
    frame = {"seq": 77, "reqtime": int(time.time()), "identifier": alice, "usersig": roomy.user_sig(alice)}
    answers = []
    for _ in range(2):
        line = Script(roomy, page_id=page_id)
        line.says(LOGIN, **frame)
        answers.append(line.hears()["body"])
    assert answers[0]["ErrorCode"] == 0
    assert answers[0]["InstId"] == answers[1]["InstId"]
    assert len(Administrator(roomy).seats(alice)) == 3
    for other in others:
        other.hears_nothing(0.2)
    # Once that login has been ended, the same frame is a new login: nobody is kept out.
    assert Script(roomy, a2=answers[0]["A2Key"]).asks(LOGOUT)["ErrorCode"] == 0
    line.says(LOGIN, **frame)
    assert line.hears()["body"]["ErrorCode"] == 0


def test_a_message_that_is_sent_again_before_the_new_login_is_sent_once(
    script: Open, account: Account, admin: Administrator
) -> None:
    page, alice, bob = script(), account("alice"), account("bob")
    page.logs_in(alice)
    admin.imports(bob)
    first = page.sends_text(bob, "hello", seq=5)
    page.leaves(4001)
    until(lambda: admin.seats(alice) == ["PushOnline"], lambda: f"{admin.seats(alice)}")
    again = script(a2=page.a2)
    assert again.sends_text(bob, "hello", seq=5) == first
    assert again.sends_text(bob, "another", seq=6)["ErrorCode"] == 0
    assert again.asks(LOGIN)["ErrorCode"] == 0
    receiver = script()
    receiver.logs_in(bob)
    texts = []
    for _ in range(2):
        row = receiver.hears_push("im_open_push.msg_push")["EventArray"][0]["C2cMsgArray"][0]
        texts.append(row["MsgBody"][0]["MsgContent"]["Text"])
    assert texts == ["hello", "another"]
    receiver.hears_nothing(0.2)


def test_nobody_writes_in_anothers_name(script: Open, account: Account) -> None:
    page, alice = script(), account("alice")
    page.logs_in(alice)
    body = text_message(alice, "I am root")
    assert page.asks(SEND, {**body, "From_Account": "administrator"})["ErrorCode"] == 90008
    assert page.asks(SEND, {**body, "From_Account": alice})["ErrorCode"] == 0


def test_a_login_on_a_line_that_has_one_leaves_no_seat_behind(
    script: Open, account: Account, admin: Administrator
) -> None:
    page, alice, bob = script(), account("alice"), account("bob")
    page.logs_in(alice)
    page.logs_in(bob)
    assert (admin.seats(alice), admin.seats(bob)) == ([], ["Online"])
    page.hears_nothing(0.2)


def test_the_app_is_looked_at_in_each_login(script: Open, account: Account, server: Server) -> None:
    page, alice = script(), account("alice")
    for app in (APP + 1, "1400000000", None, True):
        assert page.tries_to_log_in(alice, server.user_sig(alice), sdkappid=app)["ErrorCode"] == 70020
    assert page.tries_to_log_in("no such id!", "x")["ErrorCode"] == 70402
    assert page.tries_to_log_in(alice, "")["ErrorCode"] == 70002
    for wrong in (7, None, [alice]):
        assert page.asks(LOGIN, identifier=wrong, usersig=wrong)["ErrorCode"] == 70402
