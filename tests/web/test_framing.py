"""The frames of a socket: what is sent arrives, in whatever pieces, and what breaks the protocol is refused at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage

from tests.support.frames import frame
from tim.web import framing
from tim.web.framing import Beginning, BrokenFrame, Frame, Parser

LARGEST = 70_000


def parsed(*pieces: bytes, largest: int = LARGEST) -> list[Frame]:
    """The frames in bytes that arrive in these pieces."""
    parser, found = Parser(largest), []
    for piece in pieces:
        parser.feed(piece)
        while (one := parser.next()) is not None:
            found.append(one)
    return found


def refused(data: bytes, largest: int = LARGEST) -> int:
    """The code with which these bytes are refused."""
    with pytest.raises(BrokenFrame) as broken:
        parsed(data, largest=largest)
    return broken.value.code


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
CONTROL = st.builds(frame, st.sampled_from([framing.PING, framing.PONG]), st.binary(max_size=125))
WHOLE = TEXTS.map(lambda text: frame(framing.TEXT, text.encode())) | st.binary(max_size=300).map(
    lambda data: frame(framing.BINARY, data)
)


@st.composite
def fragmented(draw: st.DrawFn) -> bytes:
    """A text in fragments, with control frames among them."""
    data = draw(TEXTS).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    out = b""
    for n, piece in enumerate(pieces):
        out += frame(framing.PART if n else framing.TEXT, piece, fin=n == len(pieces) - 1)
        out += b"".join(draw(st.lists(CONTROL, max_size=2)))
    return out


STREAMS = st.lists(WHOLE | CONTROL | fragmented(), max_size=6).map(b"".join)


def as_frame(event: Event) -> Frame:
    """What wsproto has read, as our own value."""
    match event:
        case TextMessage():
            return Frame(framing.TEXT, event.data)
        case BytesMessage():
            return Frame(framing.BINARY, bytes(event.data))
        case Ping():
            return Frame(framing.PING, bytes(event.payload))
        case Pong():
            return Frame(framing.PONG, bytes(event.payload))
        case CloseConnection():
            return Frame(framing.CLOSE, event.reason or "", event.code)
    raise AssertionError(event)


def read_by_wsproto(data: bytes) -> list[Frame]:
    """The messages and control frames that wsproto reads in the same bytes."""
    other, found, begun = Connection(ConnectionType.SERVER), [], b""
    other.receive_data(data)
    for event in other.events():
        if isinstance(event, Message):
            begun += event.data.encode() if isinstance(event.data, str) else bytes(event.data)
            if not event.message_finished:
                continue
            whole, begun = begun, b""
            found.append(
                Frame(framing.TEXT, whole.decode()) if isinstance(event, TextMessage) else Frame(framing.BINARY, whole)
            )
        else:
            found.append(as_frame(event))
    return found


@given(STREAMS, st.data())
def test_any_split_of_a_stream_into_reads_gives_the_same_frames(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parsed(*pieces) == parsed(stream)
    assert parsed(*(bytes([byte]) for byte in stream)) == parsed(stream)


@given(STREAMS)
def test_a_stream_is_read_as_wsproto_reads_it(stream: bytes) -> None:
    assert [one for one in parsed(stream) if one.kind != framing.PART] == read_by_wsproto(stream)


@given(st.binary(max_size=60))
def test_garbage_is_read_or_refused_as_wsproto_does(garbage: bytes) -> None:
    try:
        ours = [one for one in parsed(garbage, largest=2**70) if one.kind != framing.PART]
    except BrokenFrame as error:
        theirs = read_by_wsproto(garbage)[-1:]
        # wsproto refuses some of them only when the whole frame is there.
        assert not theirs or theirs[0].kind != framing.CLOSE or theirs[0].code == error.code
    else:
        assert ours == read_by_wsproto(garbage)[: len(ours)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, LARGEST])
def test_a_message_of_any_size_comes_back_as_it_was_sent(size: int) -> None:
    data = bytes(n % 251 for n in range(size))
    assert parsed(frame(framing.BINARY, data)) == [Frame(framing.BINARY, data)]
    other = Connection(ConnectionType.CLIENT)
    other.receive_data(framing.message(data) + framing.message("é" * size))
    read = [event.data for event in other.events() if isinstance(event, Message)]
    assert b"".join(each for each in read if not isinstance(each, str)) == data
    assert "".join(each for each in read if isinstance(each, str)) == "é" * size


@pytest.mark.parametrize("code", [1000, 1012, 4001])
def test_a_close_frame_has_its_code_and_as_much_of_its_reason_as_fits(code: int) -> None:
    other = Connection(ConnectionType.CLIENT)
    other.receive_data(framing.close(code, "é" * 100))
    (event,) = other.events()
    assert isinstance(event, CloseConnection)
    assert (event.code, event.reason) == (code, "é" * 61)


def test_a_message_is_refused_as_soon_as_its_size_is_announced() -> None:
    assert refused(bytes([0x81, 0xFE]) + (1001).to_bytes(2), largest=1000) == framing.TOO_LARGE
    part = frame(framing.TEXT, b"x" * 60, fin=False)
    assert refused(part + bytes([0x80, 0x80 | 41]), largest=100) == framing.TOO_LARGE
    assert parsed(part + frame(framing.PART, b"x" * 40), largest=100)[-1] == Frame(framing.TEXT, "x" * 100)


LONGEST = 100_000
DATA = bytes(n % 251 for n in range(LONGEST))


@pytest.mark.parametrize("size", [1001, framing.BEGINNING - 1, framing.BEGINNING, framing.BEGINNING + 1, LONGEST])
@pytest.mark.parametrize("cuts", [(), (0, 400), (1000, 1001), (900, 1001, 1001)], ids=str)
def test_of_a_message_that_is_too_long_to_be_kept_the_beginning_is(size: int, cuts: tuple[int, ...]) -> None:
    ends = [*cuts, size]
    parts = [DATA[a:b] for a, b in zip([0, *cuts], ends, strict=True)]
    frames = [
        frame(framing.PART if n else framing.BINARY, part, fin=n == len(cuts)) + frame(framing.PING, b"")
        for n, part in enumerate(parts)
    ]
    sent = b"".join([*frames, frame(framing.TEXT, b"x" * 1000)])
    parser, found = Parser(1000, LONGEST), []
    for at in range(0, len(sent), 997):
        parser.feed(sent[at : at + 997])
        while (one := parser.next()) is not None:
            found.append(one)
    kinds = [kind for _ in cuts for kind in (framing.PART, framing.PING)]
    assert [one.kind for one in found] == [*kinds, framing.BINARY, framing.PING, framing.TEXT]
    beginning, after = found[-3].data, found[-1].data
    assert isinstance(beginning, Beginning)
    assert (bytes(beginning), beginning.size) == (DATA[:size][: framing.BEGINNING], size)
    assert after == "x" * 1000


def test_a_message_is_refused_as_soon_as_it_is_longer_than_any_that_is_read() -> None:
    parser = Parser(1000, LONGEST)
    parser.feed(frame(framing.TEXT, DATA, fin=False) + bytes([0x00, 0x81]) + b"1234")
    assert parser.next() == Frame(framing.PART)
    with pytest.raises(BrokenFrame) as broken:
        parser.next()
    assert broken.value.code == framing.TOO_LARGE


def test_the_next_message_may_be_as_large_as_the_one_before() -> None:
    parts = frame(framing.TEXT, b"x" * 60, fin=False) + frame(framing.PART, b"x" * 40)
    assert len(parsed(parts * 3, largest=100)) == 6


def test_nothing_is_read_behind_what_was_refused() -> None:
    parser = Parser(LARGEST)
    parser.feed(b"\xff\xff" + frame(framing.TEXT, b"hello"))
    with pytest.raises(BrokenFrame):
        parser.next()
    parser.feed(frame(framing.TEXT, b"hello"))
    assert parser.next() is None


def test_the_accept_key_is_that_of_the_standard() -> None:
    assert framing.accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
