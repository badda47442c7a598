"""What no SDK would send: each connection gets a clear answer or a close with a code, the server stays as it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simple_websocket import ConnectionClosed

from tests.support.sdk_script import Script
from tests.support.server import Server
from tests.support.waiting import until
from tests.support.wire import ask_for_socket
from tests.tencent.conftest import Account
from tests.tencent.test_frames import JSON

KEY = {"Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
COMMANDS = (
    "heartbeat.alive",
    "im_open_status.wslogin",
    "im_open_status.wslogout",
    "im_open_status.wshello",
    "openim.sendmsg",
    "openim.getmsg",
    "profile.portrait_get_all",
    "im_sdk_config_mgr.fetch_config",
)
BODY = ("To_Account", "MsgBody", "MsgSeq", "MsgRandom", "Cookie", "UserItem")
HALF = st.sampled_from(["\ud800", "a\udfff", "\0", "x" * 10_000, "alice"])
"""Texts that are no characters, end a string elsewhere, or are long."""
FIELDS = ("a2", "identifier", "usersig", "sdkappid", "tinyid", "status_instid", "reqtime")


@pytest.fixture(scope="module")
def target(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose log is looked through after everything here has been done to it."""
    server = Server(tmp_path_factory.mktemp("abused")).start()
    yield server
    server.has_no_traceback()
    assert "ERROR" not in server.log()
    server.stop()


def memory(server: Server) -> int:
    """KiB that the server holds."""
    status = Path(f"/proc/{server.pid()}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def threads(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid()}/task"))  # noqa: PTH208


def test_a_head_nested_so_deep_that_it_can_just_be_read_is_answered_or_refused(target: Server) -> None:
    for depth in range(900, 1000, 3):
        line = Script(target)
        nested = '{"a":' * depth + "1" + "}" * depth
        head = '{"servcmd": "im_open_status.wslogin", "seq": 1, "identifier": "u", "usersig": "", "x": %s}'
        with suppress(OSError, ConnectionClosed):
            line.sends('{"head": %s, "body": {}}' % (head % nested))
            line.hears()
    assert Script(target).asks("heartbeat.alive")["ErrorCode"] == 0


@pytest.mark.parametrize("path", ["/binfo", "/info"])
@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", 1007),
        ("{", 1007),
        ("null", 1007),
        ("[]", 1007),
        ('{"head": {}}', 1007),
        ('{"head": {"servcmd": "heartbeat.alive", "seq": "1"}}', 1007),
        ('{"head": {"servcmd": 5, "seq": 1}}', 1007),
        ("[" * 20_000, 1007),
        ("9" * 20_000, 1007),
        ("x" * (64 * 1024 + 1), 1009),
        ("x" * 2**20, 1009),
        (json.dumps({"body": "x" * 2**20, "head": {"servcmd": "a.b", "seq": 1}}), 1009),
        (json.dumps({"head": {"x": "x" * 9000, "servcmd": "a.b", "seq": 1}, "body": "x" * 2**20}), 1009),
    ],
)
def test_a_frame_that_is_no_request_closes_its_connection(target: Server, path: str, frame: str, code: int) -> None:
    line = Script(target, path)
    with suppress(OSError, ConnectionClosed):
        line.sends(frame)
    assert line.is_closed() == code


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\x00" * 100, b"COMP" + b"\x1f\x8b" * 9])
def test_bytes_that_are_no_text_close_their_connection(target: Server, raw: bytes) -> None:
    line = Script(target)
    line.sends(raw)
    assert line.is_closed() == 1007


def test_an_unknown_command_is_answered_with_ok(target: Server) -> None:
    line = Script(target)
    assert line.asks("some_svc.some_cmd", {"x": 1}) == {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""}


@pytest.mark.parametrize("path", ["/binfo", "/info"])
def test_a_request_that_is_too_long_is_answered_as_far_as_its_head_says(
    target: Server, path: str, account: Account
) -> None:
    page, large = Script(target, path), {"x": "é" * 70_000}
    assert page.asks("openim.sendmsg", large)["ErrorCode"] == 2024
    assert page.asks("some_svc.some_cmd", large)["ErrorCode"] == 93000
    assert page.asks("openim.sendmsg", large, a2="forged")["ErrorCode"] == 70001
    page.logs_in(account("alice"))
    assert page.asks("openim.sendmsg", large)["ErrorCode"] == 80002
    assert page.asks("openim.getmsg", large)["ErrorCode"] == 93000
    for command in ("heartbeat.alive", "im_open_status.wslogin", "im_open_status.wslogout"):
        assert page.asks(command, large)["ErrorCode"] == 0
    assert page.asks("openim.sendmsg", large)["ErrorCode"] == 2024


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150)
@given(
    st.sampled_from(COMMANDS),
    st.dictionaries(st.sampled_from(FIELDS), JSON | HALF, max_size=2),
    JSON
    | st.dictionaries(
        st.sampled_from(["To_Account", "MsgBody", "MsgSeq", "MsgRandom", "Cookie", "UserItem"]), JSON | HALF
    ),
)
def test_any_types_get_an_answer(target: Server, command: str, head: dict[str, Any], body: Any) -> None:
    line = Script(target)
    answer = line.asks(command, body, **head)
    assert isinstance(answer.get("ErrorCode", answer.get("int32_error_code")), int)
    line.leaves()


def test_many_large_frames_leave_the_memory_flat(target: Server) -> None:
    def send_large() -> None:
        line = Script(target)
        with suppress(OSError, ConnectionClosed):
            line.sends("x" * 2**20)
        line.is_closed()

    for _ in range(10):
        send_large()
    before, running = memory(target), threads(target)
    for _ in range(60):
        send_large()
    assert memory(target) < before + 10 * 1024
    until(lambda: threads(target) <= running + 2, lambda: f"{threads(target)} threads, {running} before")


def test_large_frames_that_are_half_here_take_no_memory(target: Server) -> None:
    lines = [Script(target) for _ in range(20)]
    before = memory(target)
    begun = bytes([0x82, 0xFF]) + (2**23).to_bytes(8) + bytes(4) + b"x" * 2**22
    for line in lines:
        line.leaves_behind(begun)
    assert memory(target) < before + 10 * 1024


def test_a_connection_may_come_from_any_site(target: Server) -> None:
    for headers in ({}, {"Origin": "https://somebody.example"}, {"Origin": "null"}):
        assert ask_for_socket(target, "/binfo", KEY | headers).startswith(b"HTTP/1.1 101")


def test_a_connection_cut_in_the_middle_of_a_frame_leaves_nothing(target: Server, account: Account) -> None:
    line, alice = Script(target), account("alice")
    line.logs_in(alice)
    line.leaves_behind(b"\x82\xfe\x40\x00abcd half a frame")
    again = Script(target, a2=line.a2)
    assert again.asks("im_open_status.wslogin")["ErrorCode"] == 0
