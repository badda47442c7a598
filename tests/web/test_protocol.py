"""RFC 6455 at the server's end, by the groups of the Autobahn test suite: both classes of sockets keep all of it.

A request of the vendor's SDK is the message here, as it is answered.
"""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Pong, TextMessage

from tests.support.frames import MASK, frame
from tests.support.server import SOCKET_SERVERS, Server
from tests.support.waiting import PATIENCE
from tests.support.wire import upgrade
from tim.web import framing
from tim.web.tencent.frames import LONGEST_FRAME, MAX_FRAME

TEXT, BINARY, CLOSE, PING, PONG = framing.TEXT, framing.BINARY, framing.CLOSE, framing.PING, framing.PONG
BROKEN, NO_TEXT, TOO_LARGE, NO_CODE = 1002, 1007, 1009, 1005


def request(seq: int, size: int = 0, text: str = "") -> bytes:
    """A request with this number, in so many bytes."""
    head = {"head": {"servcmd": "heartbeat.alive", "seq": seq}, "body": {"x": text}}
    short = json.dumps(head, ensure_ascii=False).encode()
    return short + b" " * (size - len(short))


def asks(seq: int, size: int = 0, text: str = "") -> bytes:
    """The same as a frame."""
    return frame(TEXT, request(seq, size, text))


def in_parts(data: bytes, *cuts: int, between: bytes = b"") -> bytes:
    """A text in fragments, with other frames between them."""
    ends = [*cuts, len(data)]
    parts = [data[a:b] for a, b in zip([0, *cuts], ends, strict=True)]
    return between.join(
        frame(framing.PART if n else TEXT, part, fin=n == len(parts) - 1) for n, part in enumerate(parts)
    )


def closes(code: int, why: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2) + why)


@dataclass
class Case:
    """What is sent, and what comes back: numbers of answered requests, what pongs carry, the code of a close frame.

    Where nothing is closed, the socket goes on.
    """

    sent: bytes
    answered: list[int] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    code: int | None = None


SIZES = [125, 126, 127, 128, 4096, 65_535, MAX_FRAME]
LONG = MAX_FRAME + 1
SPLIT = request(1, text="κόσμε")
NO_UTF8 = [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xce", b"\x80", b"\xf8\x88\x80\x80\x80"]
CASES: dict[str, Case] = {
    **{f"1 a message of {size} bytes": Case(asks(1, size), [1]) for size in SIZES},
    "1 messages at once": Case(b"".join(asks(seq) for seq in range(20)), list(range(20))),
    "1 a length that is not the shortest": Case(bytes([0x81, 0xFE]) + (5).to_bytes(2) + MASK, code=BROKEN),
    "1 a length of 64 bits that is not the shortest": Case(bytes([0x81, 0xFF]) + (5).to_bytes(8), code=BROKEN),
    "1 no mask": Case(frame(TEXT, request(1), masked=False), code=BROKEN),
    "2 a ping": Case(frame(PING, b""), pongs=[b""]),
    "2 a ping that carries bytes": Case(frame(PING, b"\x00\xff\xfe\xfd"), pongs=[b"\x00\xff\xfe\xfd"]),
    "2 a ping of the largest size": Case(frame(PING, b"x" * 125), pongs=[b"x" * 125]),
    "2 a ping that is too large": Case(frame(PING, b"x" * 126), code=BROKEN),
    "2 ten pings": Case(b"".join(frame(PING, b"%d" % n) for n in range(10)), pongs=[b"%d" % n for n in range(10)]),
    "2 a pong that nobody has asked for": Case(frame(PONG, b"x") + asks(1), [1]),
    **{f"3 reserved bits {n} of a text": Case(frame(TEXT, request(1), reserved=n), code=BROKEN) for n in range(1, 8)},
    **{f"3 reserved bits of {kind:x}": Case(frame(kind, b"", reserved=4), code=BROKEN) for kind in (CLOSE, PING)},
    **{f"4 opcode {n:x}": Case(frame(n, b""), code=BROKEN) for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "5 a ping in fragments": Case(frame(PING, b"x", fin=False), code=BROKEN),
    "5 a text in two fragments": Case(in_parts(request(1), 9), [1]),
    "5 a text in five fragments, some empty": Case(in_parts(request(1), 0, 9, 9, 20), [1]),
    "5 a ping between fragments": Case(in_parts(request(1), 9, 12, between=frame(PING, b"x")), [1], [b"x"] * 2),
    "5 a fragment of nothing": Case(frame(framing.PART, request(1)), code=BROKEN),
    "5 a text before the last fragment": Case(frame(TEXT, b"{", fin=False) + asks(1), code=BROKEN),
    "6 text beyond ASCII": Case(asks(1, text="κόσμε \U0001f600 \uffff"), [1]),
    "6 a character in two fragments": Case(in_parts(SPLIT, SPLIT.index(b"\xce") + 1), [1]),
    **{f"6 no UTF-8: {bad!r}": Case(frame(TEXT, b'{"x": "%b"}' % bad), code=NO_TEXT) for bad in NO_UTF8},
    "6 no UTF-8 in a fragment": Case(in_parts(b'{"x": "\xce"}', 8), code=NO_TEXT),
    **{f"7 close {code}": Case(closes(code), code=code) for code in (1000, 1001, 1003, 1007, 1011, 3000, 4999)},
    "7 a close without a code": Case(frame(CLOSE, b""), code=NO_CODE),
    "7 a close with the longest reason": Case(closes(1000, b"x" * 123), code=1000),
    "7 a close that is too long": Case(closes(1000, b"x" * 124), code=BROKEN),
    "7 a close of one byte": Case(frame(CLOSE, b"\x03"), code=BROKEN),
    "7 a reason that is no UTF-8": Case(closes(1000, b"\xce"), code=NO_TEXT),
    **{f"7 close {code}": Case(closes(code), code=BROKEN) for code in (0, 999, 1004, 1005, 1006, 1016, 2999, 5000)},
    "7 a ping behind a close": Case(closes(1000) + frame(PING, b"x"), code=1000),
    "7 a second close": Case(closes(1000) + closes(1001), code=1000),
    "7 a close between fragments": Case(frame(TEXT, b"{", fin=False) + closes(1000), code=1000),
    "9 a message that is too long to be kept": Case(asks(1, LONG) + asks(2), [1, 2]),
    "9 one that is much too long": Case(asks(1, 2**20, text="é" * LONG) + asks(2), [1, 2]),
    "9 one in fragments": Case(in_parts(request(1, LONG), 9, 30_000, 60_000, between=frame(PING, b"")), [1], [b""] * 3),
    "9 one in fragments, the first of which is too long": Case(in_parts(request(1, LONG + 9), LONG) + asks(2), [1, 2]),
    "9 one without a head at its beginning": Case(frame(TEXT, b"x" * LONG), code=TOO_LARGE),
    "9 one with its head at its end": Case(frame(TEXT, b" " * LONG + request(1)), code=TOO_LARGE),
}


@pytest.fixture(scope="module", params=SOCKET_SERVERS)
def target(
    not_quick: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("target"), **SOCKET_SERVERS[request.param]).start()
    yield server
    server.has_no_traceback()
    server.stop()


class Peer:
    """The other end of a socket, as bare bytes."""

    def __init__(self, server: Server) -> None:
        self.line = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.line.sendall(upgrade("/info", f"127.0.0.1:{server.port}", headers={}))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.line.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")

    def sends(self, data: bytes, at_a_time: int) -> None:
        with suppress(OSError):  # it may have been refused before it was sent
            for at in range(0, len(data), at_a_time):
                self.line.sendall(data[at : at + at_a_time])

    def hears(self, most: int) -> Case:
        """So many answers and pongs, or all until the end of the connection."""
        reader, heard = Connection(ConnectionType.CLIENT), Case(b"")
        with suppress(ConnectionResetError):
            while len(heard.answered) + len(heard.pongs) < most and (data := self.line.recv(65536)):
                reader.receive_data(data)
                for event in reader.events():
                    match event:
                        case TextMessage():
                            heard.answered.append(json.loads(event.data)["head"]["seq"])
                        case Pong():
                            heard.pongs.append(bytes(event.payload))
                        case CloseConnection():
                            heard.code = event.code
        return heard


@pytest.mark.parametrize("pieces", [1, 500], ids=["at once", "in pieces"])
@pytest.mark.parametrize("name", CASES)
def test_the_protocol_is_kept(name: str, pieces: int, target: Server) -> None:
    case = CASES[name]
    peer = Peer(target)
    with peer.line:
        peer.sends(case.sent, len(case.sent) // pieces + 1)
        if case.code is None:  # it goes on
            peer.sends(asks(999), 2**20)
            case = Case(case.sent, [*case.answered, 999], case.pongs)
        heard = peer.hears(len(case.answered) + len(case.pongs) if case.code is None else 2**20)
    assert (heard.answered, heard.pongs, heard.code) == (case.answered, case.pongs, case.code)


def test_the_longest_message_that_is_read_is_answered(target: Server) -> None:
    peer, asked = Peer(target), request(1)
    with peer.line:
        peer.line.sendall(bytes([0x81, 0xFF]) + LONGEST_FRAME.to_bytes(8) + bytes(4) + asked)
        peer.sends(b" " * (LONGEST_FRAME - len(asked)), 2**20)
        peer.sends(asks(2), 2**20)
        assert peer.hears(2).answered == [1, 2]


@pytest.mark.parametrize("text", ["xyz", "漢"], ids=["in ASCII", "of fewer characters"])
def test_a_longer_one_closes_its_connection(text: str, target: Server) -> None:
    peer = Peer(target)
    left = memoryview(request(1) + text.encode() * (LONGEST_FRAME // 3))
    with peer.line:
        peer.line.sendall(bytes([0x81, 0xFF]) + len(left).to_bytes(8) + bytes(4))
        with suppress(ConnectionError):  # it may be closed between the look and the sending
            while left and not select.select([peer.line], [], [], 0)[0]:
                left = left[peer.line.send(left[: 2**16]) :]
        assert peer.hears(1).code == TOO_LARGE


def test_no_fragment_may_follow_the_last(target: Server) -> None:
    peer = Peer(target)
    with peer.line:
        peer.sends(in_parts(request(1), 9), 2**20)
        assert peer.hears(1).answered == [1]
        peer.sends(frame(framing.PART, b"x"), 2**20)
        assert peer.hears(1).code == BROKEN


def test_another_implementation_talks_with_it_and_closes_it(target: Server) -> None:
    with connect(f"ws://127.0.0.1:{target.port}/info") as peer:
        for seq in range(50):
            peer.send(request(seq, 1000 * seq).decode())
            assert json.loads(peer.recv())["head"]["seq"] == seq
        assert peer.ping().wait(PATIENCE)
        peer.send(piece for piece in [request(50).decode()[:9], "", request(50).decode()[9:]])
        assert json.loads(peer.recv())["head"]["seq"] == 50
        peer.close(1000, "enough")
        assert peer.close_code == 1000


def test_another_implementation_is_told_why_it_is_closed(target: Server) -> None:
    with connect(f"ws://127.0.0.1:{target.port}/info") as peer:
        peer.send("this is no request")
        with pytest.raises(ConnectionClosed) as closed:
            peer.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
            1007,
            "this frame is no request of the SDK: it is not JSON",
        )
