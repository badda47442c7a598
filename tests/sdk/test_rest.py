"""The REST API: who may call it, what it does, and the vendor's code for each mistake."""

from __future__ import annotations

import http.client
import time
from typing import Any

import pytest

from tests.sdk.conftest import Account
from tests.sdk.rest import ADMINISTRATOR, Administrator
from tests.sdk.script import Script, text_message
from tests.web.browser import Person
from tests.web.conftest import MakeServer, NewWindow
from tests.web.server import APP, SDK_KEY, Server, until
from tests.web.wire import log_in
from tim import usersig

OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
KICK, IMPORT = "im_open_login_svc/kick", "im_open_login_svc/account_import"
CHECK, DELETE = "im_open_login_svc/account_check", "im_open_login_svc/account_delete"
QUERY, SEND = "openim/query_online_status", "openim/sendmsg"


# Who may call


def test_only_the_administrator_may_call(make_server: MakeServer) -> None:
    server, now = make_server(), time.time()
    admin = Administrator(server)
    refused: dict[int, dict[str, Any]] = {
        70403: {"identifier": "alice", "usersig": server.user_sig("alice")},
        70001: {"usersig": usersig.make(SDK_KEY, APP, ADMINISTRATOR, now=now - 100, expire=50)},
        70002: {"usersig": ""},
        70003: {"usersig": "nonsense"},
        70009: {"usersig": usersig.make("the key of another app altogether", APP, ADMINISTRATOR, now=now)},
        70013: {"usersig": server.user_sig("alice")},
        70014: {"usersig": usersig.make(SDK_KEY, APP + 1, ADMINISTRATOR, now=now)},
        70020: {"sdkappid": APP + 1},
    }
    for code, query in refused.items():
        for command in (KICK, "no_such_svc/no_such_cmd"):
            assert admin.calls(command, {"UserID": "alice"}, **query)["ErrorCode"] == code
    for command in (KICK, IMPORT, CHECK, DELETE, QUERY, SEND):
        assert admin.calls(command, {}, **refused[70403])["ErrorCode"] == 70403
    assert admin.calls(KICK, {}, identifier="")["ErrorCode"] == 70403
    assert admin.calls(KICK, {}, sdkappid="x")["ErrorCode"] == 70020


def test_a_page_of_another_site_may_not_call(server: Server) -> None:
    line = http.client.HTTPConnection("127.0.0.1", server.port)
    line.request("POST", f"/v4/{KICK}", b"{}", {"Sec-Fetch-Site": "cross-site"})
    assert line.getresponse().status == 403


def test_no_usersig_stands_in_the_log(admin: Administrator, server: Server) -> None:
    secret = server.user_sig(ADMINISTRATOR)
    admin.calls(QUERY, {"To_Account": ["x"]}, usersig=secret)
    assert "usersig=***" in server.log()
    assert secret not in server.log()
    assert secret[:40] not in server.log()


# Mistakes


@pytest.mark.parametrize(
    ("command", "body", "code"),
    [
        ("openim/no_such_cmd", {}, 60009),
        (KICK, b"{", 60003),
        (KICK, b"", 60003),
        (KICK, b"[]", 60003),
        (KICK, b"\xff", 60003),
        (KICK, b"[" * 30_000, 60003),
        (KICK, b"x" * 70_000, 93000),
        (KICK, {}, 70402),
        (KICK, {"UserID": 7}, 70402),
        (KICK, {"UserID": "no such id!"}, 70402),
        (KICK, {"UserID": "\ud800"}, 70402),
        (KICK, {"UserID": "nobody-of-this-name"}, 70107),
        (IMPORT, {}, 70402),
        (IMPORT, {"UserID": "x" * 33}, 70402),
        (CHECK, {}, 70402),
        (CHECK, {"CheckItem": []}, 70402),
        (CHECK, {"CheckItem": ["alice"]}, 70402),
        (CHECK, {"CheckItem": [{"UserID": "x"}] * 101}, 70402),
        (DELETE, {"DeleteItem": {"UserID": "x"}}, 70402),
        (DELETE, {"DeleteItem": [{"UserID": "x"}] * 101}, 70402),
        (QUERY, b"{", 90001),
        (QUERY, {}, 90003),
        (QUERY, {"To_Account": "alice"}, 90003),
        (QUERY, {"To_Account": [7]}, 90003),
        (QUERY, {"To_Account": []}, 90001),
        (QUERY, {"To_Account": ["x"] * 501}, 90011),
        (SEND, b"{", 90001),
        (SEND, {}, 90003),
        (SEND, {"To_Account": "nobody-of-this-name", "MsgRandom": 1}, 90007),
        (SEND, text_message("nobody-of-this-name", "hi"), 20003),
        (SEND, text_message("no such id!", "hi"), 70402),
        (SEND, text_message("administrator", "x" * 12_289), 80002),
        (SEND, {**text_message("x", "hi"), "MsgRandom": "1"}, 90005),
        (SEND, {**text_message("x", "hi"), "MsgBody": [{"MsgType": "TIMFaceElem"}]}, 90010),
        (SEND, {**text_message("x", "hi"), "From_Account": 7}, 90008),
        (SEND, {**text_message("x", "hi"), "From_Account": "nobody-of-this-name"}, 90008),
        (SEND, {**text_message("x", "hi"), "SyncOtherMachine": 3}, 90031),
    ],
)
def test_a_mistake_gets_its_code(admin: Administrator, command: str, body: Any, code: int) -> None:
    assert admin.calls(command, body)["ErrorCode"] == code


# Accounts


def test_accounts_are_imported_checked_and_deleted(admin: Administrator, account: Account) -> None:
    alice, bob = account("alice"), account("bob")
    assert admin.calls(IMPORT, {"UserID": alice, "Nick": "Alice", "FaceUrl": "http://x"}) == OK
    assert admin.calls(IMPORT, {"UserID": alice}) == OK
    items = [{"UserID": alice}, {"UserID": bob}, {"UserID": "\ud800"}]
    checked = admin.calls(CHECK, {"CheckItem": items})["ResultItem"]
    assert checked[:2] == [
        {"UserID": alice, "ResultCode": 0, "ResultInfo": "", "AccountStatus": "Imported"},
        {"UserID": bob, "ResultCode": 0, "ResultInfo": "", "AccountStatus": "NotImported"},
    ]
    deleted = admin.calls(DELETE, {"DeleteItem": items})["ResultItem"]
    assert [item["ResultCode"] for item in deleted] == [0, 70107, 70402]
    assert admin.calls(CHECK, {"CheckItem": items})["ResultItem"][0]["AccountStatus"] == "NotImported"


def test_deleting_an_account_ends_its_instances(admin: Administrator, account: Account, server: Server) -> None:
    page, alice = Script(server), account("alice")
    page.logs_in(alice)
    admin.calls(DELETE, {"DeleteItem": [{"UserID": alice}]})
    push = page.hears_push("im_open_status.stat_forceoffline")
    assert push["EventArray"][0]["C2cNotifyMsgArray"][0]["KickoutMsgNotify"]["KickType"] == 3
    assert page.asks("im_open_status.wshello")["KickType"] == 3


def test_an_accounts_status_is_that_of_its_best_instance(roomy: Server, account: Account) -> None:
    admin, alice, bob = Administrator(roomy), account("alice"), account("bob")
    admin.imports(alice)
    asked = {"To_Account": [alice, bob], "IsNeedDetail": 1}

    def status() -> dict[str, Any]:
        answer = admin.calls(QUERY, asked)
        assert answer["ErrorList"] == [{"To_Account": bob, "ErrorCode": 70107}]
        found: dict[str, Any] = answer["QueryResult"][0]
        return found

    assert status() == {"To_Account": alice, "Status": "Offline"}
    log_in(roomy, alice)
    detached = {"Platform": "Web", "Status": "PushOnline"}
    assert status() == {"To_Account": alice, "Status": "PushOnline", "Detail": [detached]}
    Script(roomy).logs_in(alice)
    attached = {"Platform": "Web", "Status": "Online"}
    assert status() == {"To_Account": alice, "Status": "Online", "Detail": [detached, attached]}
    assert "Detail" not in admin.calls(QUERY, {"To_Account": [alice]})["QueryResult"][0]
    assert len(admin.calls("openim/querystate", {"To_Account": [alice] * 500})["QueryResult"]) == 500


# Kick


def test_a_kick_ends_every_instance_on_every_face(roomy: Server, account: Account, new_window: NewWindow) -> None:
    admin = Administrator(roomy)
    alice = Person(roomy, new_window(), "alice")
    tab, page, away = alice.logs_in(), Script(roomy), log_in(roomy, alice.user_id)
    page.logs_in(alice.user_id)
    bob = Script(roomy)
    bob.logs_in(account("bob"))
    assert admin.calls(KICK, {"UserID": alice.user_id}) == OK
    tab.is_kicked_out("REST_API_Kick")
    page.hears_push("im_open_status.stat_forceoffline")
    assert away.gets().status == 303
    assert admin.seats(alice.user_id) == []
    assert bob.asks("im_open_status.wshello")["ErrorCode"] == 0


@pytest.mark.parametrize("into_the_second", [0.02, 0.5, 0.95])
def test_in_the_second_of_the_kick_older_usersigs_are_void_and_newer_ones_work_at_once(
    admin: Administrator, account: Account, server: Server, into_the_second: float
) -> None:
    alice = account("alice")
    admin.imports(alice)
    time.sleep((into_the_second - time.time()) % 1)
    before = server.user_sig(alice)
    start = time.monotonic()
    admin.kicks(alice)
    assert time.monotonic() - start < 1.5
    after = server.user_sig(alice)
    page = Script(server)
    refused = page.tries_to_log_in(alice, before)
    assert (refused["ErrorCode"], "void" in refused["ErrorInfo"]) == (70001, True)
    assert page.tries_to_log_in(alice, after)["ErrorCode"] == 0


def test_what_is_void_stays_void_over_a_restart(account: Account, make_server: MakeServer) -> None:
    server, alice = make_server(), account("alice")
    admin = Administrator(server)
    admin.imports(alice)
    old = server.user_sig(alice)
    admin.kicks(alice)
    server.kill()
    server.start()
    assert Script(server).tries_to_log_in(alice, old)["ErrorCode"] == 70001


def test_an_administrator_who_is_kicked_needs_a_new_usersig_too(make_server: MakeServer) -> None:
    server = make_server()
    admin, old = Administrator(server), server.user_sig(ADMINISTRATOR)
    admin.imports(ADMINISTRATOR)
    admin.kicks(ADMINISTRATOR)
    assert admin.calls(KICK, {"UserID": "x"}, usersig=old)["ErrorCode"] == 70001
    assert admin.calls(KICK, {"UserID": "x"})["ErrorCode"] == 70107


# Messages


def test_a_message_in_anothers_name_reaches_both(roomy: Server, account: Account, new_window: NewWindow) -> None:
    admin, bob = Administrator(roomy), account("bob")
    alice = Person(roomy, new_window(), "alice")
    tab = alice.logs_in()
    page = Script(roomy)
    page.logs_in(bob)
    body = {**text_message(bob, "in her name"), "From_Account": alice.user_id}
    answer = admin.calls(SEND, body)
    assert abs(answer["MsgTime"] - time.time()) < 5
    assert answer["MsgKey"] == f"1_2_{answer['MsgTime']}"
    assert admin.calls(SEND, body) == answer
    row = page.hears_push("im_open_push.msg_push")["EventArray"][0]["C2cMsgArray"][0]
    assert (row["From_Account"], row["MsgSeq"], row["MsgRandom"]) == (alice.user_id, 1, 2)
    tab.reads("in her name")
    admin.calls(SEND, {**text_message(bob, "only to him", 3), "From_Account": alice.user_id, "SyncOtherMachine": 2})
    page.hears_push("im_open_push.msg_push")
    page.hears_nothing(0.2)
    tab.reads("in her name")


def test_a_message_waits_for_an_account_that_was_only_imported(
    admin: Administrator, account: Account, server: Server
) -> None:
    alice = account("alice")
    admin.imports(alice)
    assert admin.calls(SEND, text_message(alice, "welcome"))["ErrorCode"] == 0
    page = Script(server)
    page.logs_in(alice)
    page.hears_push("im_open_push.msg_push")
    until(lambda: admin.seats(alice) == ["Online"], "it is online")


def test_the_same_numbers_in_another_second_are_another_message(admin: Administrator, account: Account) -> None:
    alice = account("alice")
    admin.imports(alice)
    keys = []
    for text in ("first", "second"):
        element = {"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}
        body = {"To_Account": alice, "MsgSeq": 93847636, "MsgRandom": 1287657, "MsgBody": [element]}
        start = int(time.time())
        keys.append(admin.calls("openim/sendmsg", body)["MsgTime"])
        until(lambda start=start: int(time.time()) > start, "the clock stands")  # type: ignore[misc]
    assert keys[0] < keys[1]


def test_the_administrator_is_an_account_from_the_start(make_server: MakeServer, account: Account) -> None:
    admin = Administrator(make_server())
    checked = admin.calls("im_open_login_svc/account_check", {"CheckItem": [{"UserID": ADMINISTRATOR}]})
    assert checked["ResultItem"][0]["AccountStatus"] == "Imported"


@pytest.mark.parametrize("command", ["im_open_login_svc/no_such", "kick", "a/b/c", "im_open_login_svc/kick/"])
def test_what_is_no_command_is_said_to_be_none(admin: Administrator, command: str) -> None:
    assert admin.calls(command, {"UserID": "alice"})["ErrorCode"] == 60009
