"""The frames of the load client are those of the standard, as another implementation reads and writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, Ping

from tests.load.frames import BINARY, PING, Frames, frame

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 70_000)


@pytest.mark.parametrize("size", SIZES)
def test_a_server_reads_what_it_sends(size: int) -> None:
    server = Connection(ConnectionType.SERVER)
    server.receive_data(frame(BINARY, b"x" * size))
    events = list(server.events())
    assert all(isinstance(event, BytesMessage) for event in events)
    assert b"".join(bytes(event.data) for event in events if isinstance(event, BytesMessage)) == b"x" * size


@given(st.lists(st.sampled_from(SIZES), min_size=1, max_size=4), st.data())
def test_it_reads_what_a_server_sends_however_it_is_cut(sizes: list[int], data: st.DataObject) -> None:
    server = Connection(ConnectionType.SERVER)
    sent = b"".join(server.send(BytesMessage(b"y" * size)) for size in sizes) + server.send(Ping(b"?"))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    frames = Frames()
    found = [
        each for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True) for each in frames.take(sent[begin:end])
    ]
    assert found == [*((BINARY, b"y" * size) for size in sizes), (PING, b"?")]


@pytest.mark.parametrize("first", [b"\x02\x01x", b"\xc2\x01x", b"\x82\x81\0\0\0\0x"], ids=["part", "packed", "masked"])
def test_what_our_server_never_sends_is_an_error(first: bytes) -> None:
    with pytest.raises(ValueError, match="a frame begins with"):
        list(Frames().take(first))
