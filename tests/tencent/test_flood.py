"""Connections that send too much, or wait for nothing: they are slowed or closed, and nobody else notices."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support.administrator import Administrator
from tests.support.frames import frame
from tests.support.sdk_script import Script
from tests.support.server import SOCKET_SERVERS, Server
from tests.support.waiting import until
from tests.support.wire import Socket, log_in
from tests.tencent.conftest import Account
from tim.web.context import QUESTIONS, QUESTIONS_PER_SECOND
from tim.web.inbound import INBOX_FRAMES
from tim.web.lobby import MOST_OF_ADDRESS

PONG = b"\x8a\x80\0\0\0\0"
PART = b"\x00\x80\0\0\0\0"
HANDSHAKE = (
    "GET /binfo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(scope="module", params=SOCKET_SERVERS)
def target(
    not_quick: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(
        tmp_path_factory.mktemp("flooded"), ONLINE_WEB_INSTANCES="10", **SOCKET_SERVERS[request.param]
    ).start()
    yield server
    server.has_no_traceback()
    server.stop()


def raw(server: Server) -> socket.socket:
    """A connection of the SDK, just upgraded, as bare bytes."""
    line = socket.create_connection(("127.0.0.1", server.port), 20)
    line.sendall(HANDSHAKE.encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += line.recv(1)
    assert answer.startswith(b"HTTP/1.1 101")
    return line


def close_code(line: socket.socket) -> int:
    """What it is closed with; small frames alone are expected."""
    said = b""
    while data := line.recv(65536):
        said += data
    at = said.rindex(b"\x88")
    return int(struct.unpack("!H", said[at + 2 : at + 4])[0])


@pytest.mark.parametrize(("frames", "size"), [(900, 20), (30, 12 * 1024), (150, 60 * 1024)])
def test_a_burst_of_legal_frames_is_answered_in_full(target: Server, frames: int, size: int) -> None:
    assert frames > INBOX_FRAMES or size > 1000
    line = Script(target)
    asked = [line.says("heartbeat.alive", {"x": "y" * size}) for _ in range(frames)]
    assert [line.hears()["head"]["seq"] for _ in asked] == asked


@pytest.mark.parametrize("frame", [PONG, b"\x02\x80\0\0\0\0" + PART], ids=["pongs", "empty parts"])
def test_frames_that_say_nothing_count_and_too_many_end_the_connection(
    target: Server, frame: bytes, account: Account
) -> None:
    many = (frame if frame == PONG else frame[6:]) * 50_000
    lines = [raw(target) for _ in range(8)]

    def flood(line: socket.socket) -> None:
        with suppress(OSError):
            line.sendall((frame if frame != PONG else b"") + many)

    floods = [threading.Thread(target=flood, args=(line,)) for line in lines]
    for one in floods:
        one.start()
    for _ in range(5):
        assert log_in(target, account("alice")).gets().status == 200
    for one in floods:
        one.join()
    for line in lines:
        with line, suppress(ConnectionResetError):  # what it had sent on was never read
            assert close_code(line) == 1008


def test_questions_for_history_are_slowed_for_their_account_alone(target: Server, account: Account) -> None:
    line, alice, bob = Script(target), account("alice"), account("bob")
    line.logs_in(alice)
    more = 3 * QUESTIONS_PER_SECOND
    writers = [Script(target) for _ in range(4)]
    for writer in writers:
        writer.logs_in(bob)
        for n in range((QUESTIONS + more) // 4 + 1):
            assert writer.sends_text(alice, str(n))["ErrorCode"] == 0
    again, other = Script(target), Script(target)
    again.logs_in(alice)
    other.logs_in(bob)
    began = time.monotonic()
    asked = [again.says("openim.getmsg", {"Cookie": str(n)}) for n in reversed(range(QUESTIONS + more))]
    assert other.asks("openim.getmsg", {"Cookie": "0"})["ErrorCode"] == 0
    answers: list[int] = []
    while len(answers) < len(asked):
        packet = again.hears()
        answers += [packet["head"]["seq"]] if packet["head"]["servcmd"] == "openim.getmsg" else []
    assert answers == asked
    assert time.monotonic() - began > more / QUESTIONS_PER_SECOND - 0.5


def test_questions_of_pages_that_lack_nothing_are_not_slowed(target: Server, account: Account) -> None:
    """Else an account that logs in often, as one of tests does, would be ready only after a wait."""
    line = Script(target)
    line.logs_in(account("alice"))
    began = time.monotonic()
    asked = [line.says("openim.getmsg", {"Cookie": ""}) for _ in range(QUESTIONS + 20 * QUESTIONS_PER_SECOND)]
    assert [line.hears()["head"]["seq"] for _ in asked] == asked
    assert time.monotonic() - began < 15


def test_the_oldest_of_too_many_without_a_login_has_to_go_and_nobody_else(target: Server, account: Account) -> None:
    tab = log_in(target, account("alice"))
    stream = tab.goes_online()
    page = Script(target)
    page.logs_in(account("bob"))
    oldest = []
    for _ in range(3):
        oldest.append(Script(target))
        oldest[-1].asks("heartbeat.alive")  # answered: it waits among those without a login, before the next one
    waiting = [raw(target) for _ in range(MOST_OF_ADDRESS)]
    try:
        assert [line.is_closed() for line in oldest] == [1013] * 3
        assert page.asks("im_open_status.wshello")["ErrorCode"] == 0
        assert tab.attaches().hears('data-state="ready"')
        assert stream.is_closed() == 4008, "its own newer stream alone has taken its place"
        fresh = Script(target)
        fresh.logs_in(account("carol"))
    finally:
        for line in waiting:
            line.close()


def test_a_slow_reader_is_sent_away_before_it_takes_memory(target: Server, account: Account) -> None:
    bob = account("bob")
    log_in(target, bob)
    slow = [Socket(target, tab.path + "events", cookie=tab.cookie, buffer=4096) for tab in [log_in(target, bob)] * 1]
    writer = Script(target)
    writer.logs_in(account("alice"))
    before = memory(target)
    for n in range(90):
        assert writer.sends_text(bob, f"{n}" + "x" * 12_000)["ErrorCode"] == 0
    assert memory(target) < before + 30 * 1024
    for one in slow:
        while one.code is None:
            one.hears_more(1)
        assert one.code in (1006, 1013)


def memory(server: Server) -> int:
    """KiB that the server holds, its workers included."""
    total = 0
    for pid in [server.pid(), *children(server.pid())]:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            total += int(next(line for line in status if line.startswith("VmRSS")).split()[1])
    return total


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as listed:
        return [int(child) for child in listed.read().split()]


def test_a_page_that_leaves_behind_many_frames_frees_its_seat_at_once(target: Server, account: Account) -> None:
    line, alice = Script(target), account("alice")
    line.logs_in(alice)
    hello = frame(2, json.dumps({"head": {"servcmd": "heartbeat.alive", "seq": 1}, "body": {}}).encode())
    # More than the inbox holds: the close frame is read only after the server has seen that the peer has left.
    line.leaves_behind(hello * (INBOX_FRAMES + 50) + frame(8, (1001).to_bytes(2)))
    until(lambda: Administrator(target).seats(alice) == [], "its seat is still taken")
