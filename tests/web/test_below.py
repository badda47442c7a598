"""The connection below a WebSocket: a peer that has left is seen, one that reads too little is given up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support.waiting import until
from tim.timing import DEFAULT, Timing
from tim.web import transport
from tim.web.transport import WholeSocket


@pytest.fixture
def peers(request: pytest.FixtureRequest) -> Iterator[tuple[WholeSocket, socket.socket]]:
    """Our end of a connection, and its peer's; by the timing that a test asks for."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(door.getsockname())
        ours, _ = door.accept()
    with ours, peer:
        yield WholeSocket(ours, getattr(request, "param", DEFAULT)), peer


@pytest.mark.parametrize("says", [b"", b"x" * 10_000])
def test_a_peer_that_has_left_is_seen_behind_what_it_has_said(
    says: bytes, peers: tuple[WholeSocket, socket.socket]
) -> None:
    connection, peer = peers
    peer.sendall(says)
    assert not connection.peer_left()
    peer.close()
    until(connection.peer_left, "it has left")


def test_a_frame_does_not_wait_until_the_peer_has_acknowledged_the_one_before() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door, socket.create_connection(door.getsockname()):
        ours, _ = door.accept()
        with ours:
            WholeSocket(ours)
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("peers", [Timing(write_stall=0.2)], indirect=True, ids=["stalls"])
def test_a_peer_that_takes_nothing_is_given_up_and_written_to_no_more(
    peers: tuple[WholeSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "SLOWEST", 2**30)
    connection, _ = peers
    with pytest.raises(TimeoutError):
        connection.send(b"x" * 10_000_000)
    with pytest.raises(BrokenPipeError):  # it would land in the middle of a frame
        connection.send(b"\x88\x00")


@pytest.mark.parametrize("peers", [Timing(write_stall=0.5)], indirect=True, ids=["stalls"])
def test_a_peer_that_takes_too_little_for_long_is_given_up(
    peers: tuple[WholeSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "SLOWEST", 2**30)
    connection, peer = peers
    enough = threading.Event()

    def sip() -> None:
        with suppress(OSError):
            while not enough.is_set() and peer.recv(100):
                time.sleep(0.01)

    reader = threading.Thread(target=sip)
    reader.start()
    try:
        with pytest.raises(TimeoutError):
            for _ in range(10_000):
                connection.send(b"x" * 12_000)
    finally:
        enough.set()
        reader.join()


@pytest.mark.parametrize("peers", [Timing(write_stall=0.5)], indirect=True, ids=["stalls"])
def test_a_peer_that_is_slow_but_reads_on_gets_everything(
    peers: tuple[WholeSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "SLOWEST", 4096)
    connection, peer = peers
    heard: list[bytes] = []

    def read() -> None:
        while sum(map(len, heard)) < 600_000:
            heard.append(peer.recv(6_000))
            time.sleep(0.01)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        connection.send(b"x" * 60_000)
    reader.join()
