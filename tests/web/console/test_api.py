"""The commands of the console for tests of clients: what they answer, and how they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.server import ADMIN_TOKEN, APP, VIEWER_TOKEN, Server
from tests.support.waiting import until
from tests.support.wire import ask, log_in, login_page_of, post_login
from tests.web.conftest import MakeServer
from tim.ends import CLOSE_CODES, KICKS
from tim.rules import SIGN_IN_FAILURES

pytestmark = pytest.mark.usefixtures("not_quick")


def call(
    server: Server, command: str, body: Any = None, *, token: str = ADMIN_TOKEN, method: str = "POST"
) -> tuple[int, dict[str, Any]]:
    """The status and the object that a command answers with; a body of bytes is sent as it is."""
    content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = ask(server, method, f"/console/api/{command}", body=content, headers=headers)
    assert answer.header("Content-Type") == "application/json"
    told: dict[str, Any] = json.loads(answer.body)
    assert ("error" in told) == (answer.status >= 400), "a refusal says why"
    return answer.status, told


def test_a_usersig_logs_in_and_a_kick_of_each_type_is_explained(server: Server) -> None:
    for type in sorted(KICKS):
        status, made = call(server, "usersig", {"userID": "api-kicked", "expire": 3600})
        assert (status, made["userID"], made["SDKAppID"], made["expire"]) == (200, "api-kicked", APP, 3600)
        tab = log_in(server, "api-kicked", made["userSig"])
        stream = tab.goes_online()
        assert call(server, "kick", {"userID": "api-kicked", "type": type}) == (200, {"kicked": 1})
        assert stream.is_closed() == CLOSE_CODES[type]
        assert f'data-type="{type}"' in login_page_of(tab)


def test_a_connection_that_is_cut_has_no_close_frame_and_keeps_its_seat(roomy: Server) -> None:
    tab, other = log_in(roomy, "api-cut"), log_in(roomy, "api-cut")
    streams = [tab.goes_online(), other.goes_online()]
    assert call(roomy, "cut", {"userID": "api-cut"}) == (200, {"cut": 2})
    for stream in streams:
        assert stream.is_closed() == 1006
        assert 'data-state="reconnecting"' not in stream.frames[-1], "a broken network sends nothing"
    until(lambda: set(tab.instances().values()) == {"detached"}, "its instances stay online")
    tab.goes_online()
    assert call(roomy, "cut", {"userID": "api-cut"}) == (200, {"cut": 1})
    roomy.has_no_traceback()


def test_a_limit_holds_at_once_and_is_told_without_a_number(make_server: MakeServer) -> None:
    server = make_server()
    saved = {"onlineWebInstances": 1, "policy": "evict", "messagesAMinute": 100}
    assert call(server, "limit") == (200, saved)
    for change in ({"onlineWebInstances": 2}, {"policy": "reject"}, {"messagesAMinute": 1}, {"policy": "evict"}):
        saved |= change
        assert call(server, "limit", change) == (200, saved)
    tabs = [log_in(server, "alice") for _ in range(3)]
    assert set(tabs[-1].instances()) == {tab.instance for tab in tabs[1:]}
    tabs[-1].goes_online()
    note = {"to": "alice", "text": "hello"}
    assert tabs[-1].posts("messages", note).status == 303
    refused = tabs[-1].posts("messages", note)
    assert (refused.status, "in a minute: 1;" in refused.body) == (429, True)


def test_a_store_in_memory_forgets_and_any_other_says_that_it_does_not(make_server: MakeServer, server: Server) -> None:
    status, refused = call(server, "forget")
    assert status == 409
    assert "TIM_STORE=sqlite://" in refused["error"]
    forgetful = make_server(STORE="sqlite://")
    tab = log_in(forgetful, "alice")
    stream = tab.goes_online()
    assert call(forgetful, "forget") == (200, {"forgotten": True})
    assert stream.is_closed() == 4007
    assert tab.gets().location.startswith("/login")
    log_in(forgetful, "alice").goes_online()


def test_a_server_that_makes_no_usersigs_makes_none_here(make_server: MakeServer) -> None:
    status, refused = call(make_server(TEST_USERSIG="0"), "usersig", {"userID": "alice"})
    assert (status, "TIM_TEST_USERSIG=1" in refused["error"]) == (409, True)


@pytest.mark.parametrize(
    ("command", "body", "words"),
    [
        ("usersig", {}, "userID must be a string"),
        ("usersig", {"userID": "no body"}, "userID"),
        ("usersig", {"userID": "alice", "expire": 0}, "expire must be a whole number from 1 to"),
        ("usersig", {"userID": "alice", "expire": True}, "expire must be a whole number"),
        ("usersig", {"userID": "alice", "life": 5}, "there is no field 'life' here; this command takes userID, expire"),
        ("limit", {"policy": "Evict"}, "policy must be one of: evict, reject, ask"),
        ("limit", {"policy": ["ask"]}, "policy must be one of: evict, reject, ask"),
        ("limit", {"onlineWebInstances": 11}, "onlineWebInstances must be a whole number from 1 to 10"),
        ("limit", {"messagesAMinute": 1_000_001}, "messagesAMinute must be a whole number from 1 to 1000000"),
        ("kick", {"userID": "alice", "type": "away"}, "type must be one of REST_API_Kick, multipleAccount"),
        ("kick", {"userID": "api-nobody", "type": "REST_API_Kick"}, "api-nobody has no live instance; log in first"),
        ("kick", {"userID": "alice", "type": "REST_API_Kick", "instanceID": "1"}, "instanceID must be a whole number"),
        ("cut", {"userID": 7}, "userID must be a string"),
        ("cut", [], "the body must be a JSON object"),
        ("cut", b"{", "the body must be a JSON object"),
        ("cut", b"\xff\xfe", "the body must be a JSON object"),
        ("forget", {"all": 1}, "there is no field 'all' here; this command takes none"),
    ],
    ids=str,
)
def test_a_refusal_names_the_field_and_the_rule(command: str, body: Any, words: str, server: Server) -> None:
    status, refused = call(server, command, body)
    assert (status, refused["code"]) == (400, 70402)
    assert words in refused["error"]


def test_a_command_or_method_that_does_not_exist_names_those_that_do(server: Server) -> None:
    status, refused = call(server, "restart")
    assert (status, refused["error"]) == (404, "there is no such command; there are usersig, limit, kick, cut, forget")
    status, refused = call(server, "cut", method="GET")
    assert (status, refused["error"]) == (405, "send a POST to /console/api/cut, with a JSON object")
    status, refused = call(server, "cut", b"{" + b" " * 70_000 + b"}")
    assert status == 413


def test_only_the_admins_token_opens_it_and_guesses_have_to_wait(make_server: MakeServer) -> None:
    server = make_server()
    assert post_login(server, "alice").status == 303
    body = {"userID": "alice", "type": "REST_API_Kick"}
    assert call(server, "kick", body, token=VIEWER_TOKEN)[0] == 403
    assert call(server, "kick", body, token="")[0] == 401
    for _ in range(SIGN_IN_FAILURES):
        assert call(server, "kick", body, token="a-guess")[0] == 401
    assert call(server, "kick", body, token="a-guess")[0] == 429
    assert call(server, "kick", body)[0] == 429, "a right one waits as well"
    assert "a-guess" not in server.log()
