"""The REST API: who may call it, what it does, and the vendor's code for each mistake."""

from __future__ import annotations

import http.client
import logging
import time
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from timsdk import HttpClient, TimClient

from tests.support.administrator import Administrator
from tests.support.browser import Person
from tests.support.sdk_script import Script, text_message
from tests.support.server import ADMINISTRATOR, APP, SDK_KEY, Server
from tests.support.waiting import until
from tests.support.wire import answer_to, log_in
from tests.tencent.conftest import Account
from tests.web.conftest import MakeServer, NewWindow
from tim import usersig
from tim.web.logs import CleanLine
from tim.web.tencent.rest_commands import COMMANDS

OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
KICK, IMPORT = "im_open_login_svc/kick", "im_open_login_svc/account_import"
CHECK, DELETE = "im_open_login_svc/account_check", "im_open_login_svc/account_delete"
QUERY, SEND = "openim/query_online_status", "openim/sendmsg"
FIELDS = [
    *("UserID", "Identifier", "Instid", "Accounts", "AccountList", "CheckItem", "DeleteItem"),
    *("To_Account", "From_Account", "MsgBody", "MsgSeq", "MsgRandom", "MsgContent", "MsgType", "Text"),
    *("SyncOtherMachine", "IsNeedDetail"),
]
MANY, BATCH = "im_open_login_svc/multiaccount_import", "openim/batchsendmsg"


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
    with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as line:
        line.request("POST", f"/v4/{KICK}", b"{}", {"Sec-Fetch-Site": "cross-site"})
        assert line.getresponse().status == 403


def test_no_usersig_stands_in_the_log(make_server: MakeServer) -> None:
    server = make_server()  # flask run, which logs each request
    secret = server.user_sig(ADMINISTRATOR)
    Administrator(server).calls(QUERY, {"To_Account": ["x"]}, usersig=secret)
    assert "usersig=***" in server.log()
    assert secret not in server.log()
    assert secret[:40] not in server.log()


@pytest.mark.parametrize("gevent", [False, True], ids=["werkzeug", "gunicorn"])
def test_nor_does_one_in_a_request_line_that_cannot_be_read(make_server: MakeServer, gevent: bool) -> None:
    server = make_server(gevent=gevent)
    first, second = "eJwtzFELgjAUhuH", "-L7kOPWdupzm6KCKFAG"
    whole = 2 * (first + second)
    lines = [
        f"POST /v4/{KICK}?usersig ={whole} HTTP/1.1",
        f"POST /v4/{KICK}?usersig={first} HTTP/{second} HTTP/1.1",
        f"POST /v4/{KICK}?usersig+={whole}&%2575sersig={whole} HTTP/1.1",
        f"POST /v4/usersig/{whole} HTTP/1.1",
        f"POST /v4/{KICK}?={whole} HTTP/1.1",
        f"POST /v4/{KICK}?usersig={first}{second}&random=1 HTTP/1.1",
        f"POST /v4/{KICK}?usersig={first}{second}&random=1",
        f"POST /v4/{KICK}?usersig={first} {second}&random=1 HTTP/1.1",
        f"POST /v4/{KICK}?usersig={first}'\"{second}&random=1 HTTP/1.1",
        f"POST /v4/{KICK}?usersig={first}\0{second}&random=1 HTTP/1.1",
        f"POST /v4/{KICK}?%75sersi%67={first}{second} HTTP/1.1",
        f"POST /v4/{KICK}?userSig%3d{first}{second} HTTP/9.7",
        f"BAD<VERB /v4/{KICK}?usersig={first}{second} HTTP/1.1",
    ]
    for line in lines:
        answer_to(server, f"{line}\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode())
    start = time.monotonic()
    for text in ("Invalid HTTP ", "message Bad ", "usersig=", "A", "%75"):
        record = logging.makeLogRecord({"msg": text * (60_000 // len(text))})
        CleanLine().filter(record)
    assert time.monotonic() - start < 2, "the time must not grow with the square of the length"
    said = server.log()
    assert "***" in said
    assert first not in said
    assert second not in said


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
        (KICK, {"UserID": "administrator", "Instid": 99}, 70402),
        (KICK, {"UserID": "administrator", "Instid": "1"}, 70402),
        (KICK, {"UserID": "administrator", "Instid": None}, 70402),
        (KICK, {"UserID": "nobody-of-this-name", "Instid": 1}, 70107),
        (MANY, {}, 70402),
        (MANY, {"Accounts": ["x"] * 101}, 70402),
        (MANY, {"Accounts": [7]}, 70402),
        (MANY, {"AccountList": ["x"]}, 70402),
        (MANY, {"AccountList": [{"UserID": "x"}] * 101}, 70402),
        (BATCH, {**text_message("x", "hi"), "To_Account": "x"}, 90003),
        (BATCH, {**text_message("x", "hi"), "To_Account": ["x"] * 501}, 90011),
        (BATCH, {"To_Account": ["administrator"], "MsgRandom": 1}, 90007),
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


@pytest.mark.parametrize("field", ["UserID", "Identifier"])
def test_an_account_that_is_a_number_is_told_to_be_a_string(admin: Administrator, field: str) -> None:
    refused = admin.calls(KICK, {field: 86013800138000})
    assert (refused["ErrorCode"], "must be a string" in refused["ErrorInfo"]) == (70402, True)
    assert "missing" in admin.calls(KICK, {})["ErrorInfo"]


def test_a_uuid_with_dashes_is_told_to_leave_them_out(admin: Administrator) -> None:
    refused = admin.calls(IMPORT, {"UserID": "123e4567-e89b-12d3-a456-426614174000"})
    assert (refused["ErrorCode"], "remove the dashes" in refused["ErrorInfo"]) == (70402, True)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(COMMANDS)), st.dictionaries(st.sampled_from(FIELDS), ODD, max_size=5))
def test_whatever_stands_in_a_body_gets_an_answer_with_a_code(
    admin: Administrator, server: Server, command: str, body: dict[str, Any]
) -> None:
    admin.calls(command, body)
    server.has_no_traceback()


# As wrappers of the API call it


def test_any_or_no_content_type_and_a_get_with_a_body_will_do(admin: Administrator, account: Account) -> None:
    alice = account("alice")
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        assert admin.calls(IMPORT, {"UserID": alice}, headers=headers) == OK
    checked = admin.calls(CHECK, {"CheckItem": [{"UserID": alice}]}, method="GET")
    assert checked["ResultItem"][0]["AccountStatus"] == "Imported"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"])
@pytest.mark.parametrize("command", ["openim/no_such_cmd", "no_such_cmd", "a/b/c"])
def test_an_unknown_command_is_said_to_be_one_whichever_method_calls_it(
    admin: Administrator, method: str, command: str
) -> None:
    assert admin.calls(command, {}, method=method)["ErrorCode"] == 60009


def test_many_accounts_are_imported_at_once_in_either_form(admin: Administrator, account: Account) -> None:
    alice, bob, carol = account("alice"), account("bob"), account("carol")
    assert admin.calls(MANY, {"Accounts": [alice, "no such id!", bob]}) == {**OK, "FailAccounts": ["no such id!"]}
    assert admin.calls(MANY, {"AccountList": [{"UserID": carol, "Nick": "C"}]}) == {**OK, "FailAccounts": []}
    checked = admin.calls(CHECK, {"CheckItem": [{"UserID": user} for user in (alice, bob, carol)]})["ResultItem"]
    assert {item["AccountStatus"] for item in checked} == {"Imported"}


def test_one_message_goes_to_many_accounts_and_those_that_are_not_there_are_listed(
    admin: Administrator, account: Account, server: Server
) -> None:
    alice, bob, nobody = account("alice"), account("bob"), account("nobody")
    for user in (alice, bob):
        admin.imports(user)
    page = Script(server)
    page.logs_in(bob)
    sent = admin.calls(BATCH, {**text_message("", "to all"), "To_Account": [alice, bob, nobody, "no such id!"]})
    assert [(each["To_Account"], each["ErrorCode"]) for each in sent["ErrorList"]] == [
        (nobody, 70107),
        ("no such id!", 70402),
    ]
    assert sent["MsgKey"]
    row = page.hears_push("im_open_push.msg_push")["EventArray"][0]["C2cMsgArray"][0]
    assert row["MsgBody"][0]["MsgContent"]["Text"] == "to all"


def test_the_package_timsdk_from_pypi_works_with_its_host_changed(
    server: Server, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_url(client: Any, path: str, random_id: int = 7) -> str:
        asked = f"sdkappid={APP}&identifier=administrator&usersig={client._signature}&random={random_id}"
        return f"http://127.0.0.1:{server.port}/v4/{path}?{asked}&contenttype=json"

    monkeypatch.setattr(HttpClient, "get_url", get_url)
    client = TimClient(APP, SDK_KEY)
    accounts, messages = client.im_open_login_svc, client.open_im
    alice, bob = account("alice"), f"{account('b')[:12]}@example.com"
    assert accounts.account_import(alice, nick="Alice") == OK
    assert accounts.im_open_login_svc([bob]) == {**OK, "FailAccounts": []}
    checked = accounts.account_check([alice, bob])["ResultItem"]
    assert [item["AccountStatus"] for item in checked] == ["Imported", "Imported"]
    assert messages.send_text_msg(alice, "hello")["ErrorCode"] == 0
    assert messages.batch_send_text_msg([alice, bob], "hello both")["ErrorList"] == []
    assert messages.query_state([alice])["QueryResult"] == [{"To_Account": alice, "State": "Offline"}]
    for answer in (messages.import_text_msg(alice, bob, "old"), messages.admin_msg_withdraw(alice, bob, "1_2_3")):
        assert answer["ErrorCode"] == 60009, "what is not served says so"
    assert accounts.kick(alice) == OK
    assert [item["ResultCode"] for item in accounts.account_delete([alice, bob])["ResultItem"]] == [0, 0]


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
    assert len(admin.calls(QUERY, {"To_Account": [alice] * 500})["QueryResult"]) == 500
    former = admin.calls("openim/querystate", asked)["QueryResult"]
    assert former == [{"To_Account": alice, "State": "Online", "Detail": [detached, attached]}]


# Kick


def test_one_instance_is_kicked_by_its_number_and_nothing_is_revoked(roomy: Server, account: Account) -> None:
    admin, alice = Administrator(roomy), account("alice")
    user_sig = roomy.user_sig(alice)
    pages = [Script(roomy), Script(roomy)]
    for page in pages:
        assert page.tries_to_log_in(alice, user_sig)["ErrorCode"] == 0
    asked = {"To_Account": [alice], "IsNeedDetail": 1, "IsReturnInstid": 1}
    detail = admin.calls(QUERY, asked)["QueryResult"][0]["Detail"]
    assert [each["Platform"] for each in detail] == ["Web", "Web"]
    assert admin.calls(KICK, {"UserID": alice, "Instid": detail[0]["Instid"]}) == OK
    pages[0].hears_push("im_open_status.stat_forceoffline")
    assert pages[1].asks("im_open_status.wshello")["ErrorCode"] == 0
    assert [each["Instid"] for each in admin.calls(QUERY, asked)["QueryResult"][0]["Detail"]] == [detail[1]["Instid"]]
    assert Script(roomy).tries_to_log_in(alice, user_sig)["ErrorCode"] == 0


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
def test_in_the_second_of_the_kick_older_usersigs_are_revoked_and_newer_ones_work_at_once(
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
    assert (refused["ErrorCode"], "revoked" in refused["ErrorInfo"]) == (70052, True)
    assert page.tries_to_log_in(alice, after)["ErrorCode"] == 0


def test_what_is_void_stays_void_over_a_restart(account: Account, make_server: MakeServer) -> None:
    server, alice = make_server(), account("alice")
    admin = Administrator(server)
    admin.imports(alice)
    old = server.user_sig(alice)
    admin.kicks(alice)
    server.kill()
    server.start()
    assert Script(server).tries_to_log_in(alice, old)["ErrorCode"] == 70052


def test_an_administrator_who_is_kicked_needs_a_new_usersig_too(make_server: MakeServer) -> None:
    server = make_server()
    admin, old = Administrator(server), server.user_sig(ADMINISTRATOR)
    admin.imports(ADMINISTRATOR)
    admin.kicks(ADMINISTRATOR)
    assert admin.calls(KICK, {"UserID": "x"}, usersig=old)["ErrorCode"] == 70052
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
