"""Frames of RFC 6455 at the server's end: bytes into messages and control frames, and back. No socket, no clock."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Final, NamedTuple

PART: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
KINDS: Final = frozenset({PART, TEXT, BINARY, CLOSE, PING, PONG})

FINAL: Final = 0x80
RESERVED: Final = 0x70
MASKED: Final = 0x80
MOST_OF_CONTROL: Final = 125
"""Largest payload of a control frame, in bytes."""
CODES: Final = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
"""Close codes that a peer may send."""
NO_CODE: Final = 1005
"""Stands for the code of a close frame that has none."""
BROKEN: Final = 1002
NO_TEXT: Final = 1007
TOO_LARGE: Final = 1009
BEGINNING: Final = 8 * 1024
"""Bytes that are kept of a message that is too long to be kept whole."""
GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class BrokenFrame(Exception):
    """What the peer has sent breaks the protocol.

    Attributes:
        code: the close code that says so.
    """

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class Beginning(bytes):
    """The first bytes of a message that was read, and is too long to be kept. As a text it is not checked for UTF-8.

    Attributes:
        size: bytes of the whole message.
    """

    size: int

    @classmethod
    def of(cls, data: bytes, size: int) -> Beginning:
        made = cls(data[:BEGINNING])
        made.size = size
        return made


class Frame(NamedTuple):
    """What a peer has sent.

    Attributes:
        kind: TEXT or BINARY for a whole message, PART for a fragment that is not its last; PING, PONG or CLOSE.
        data: the message, or its Beginning; what a PING or PONG carries; the reason of a CLOSE. Empty for a PART.
        code: of a CLOSE.
    """

    kind: int
    data: bytes | str = b""
    code: int = 0


class Parser:
    """The frames in what a client sends, in whatever pieces it arrives.

    Args:
        largest: size of the largest message that is kept, in bytes.
        longest: size of the longest message that is read. Of one above `largest`, the beginning alone is kept.
    """

    __slots__ = ("_broken", "_buffer", "_final", "_kind", "_largest", "_longest", "_parts", "_size", "_unread")

    def __init__(self, largest: int, longest: int = 0) -> None:
        self._largest = largest
        self._longest = max(largest, longest)
        self._buffer = bytearray()
        self._unread: int | None = None  # bytes of the current frame that are still to be dropped, if it is dropped
        self._final = False  # whether that frame ends its message
        self._broken = False
        self._kind = PART  # of the message whose fragments are arriving: TEXT or BINARY; PART while there is none
        self._parts: list[bytes] = []
        self._size = 0  # bytes of these fragments

    def feed(self, data: bytes) -> None:
        """Adds bytes that have arrived. Behind a frame that was broken, they are dropped."""
        if not self._broken:
            self._buffer += data

    def next(self) -> Frame | None:
        """The next frame; None where more bytes are needed.

        Raises:
            BrokenFrame: nothing that follows can be read.
        """
        try:
            return self._next()
        except BrokenFrame:
            self._broken = True
            self._buffer.clear()
            raise

    def _next(self) -> Frame | None:
        buffer = self._buffer
        if self._unread is not None:
            return self._drop(self._unread)
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        kind, size, start = first & 0x0F, second & 0x7F, 6
        self._check_head(first, second)
        if size > MOST_OF_CONTROL:
            width = 2 if size == 126 else 8
            if len(buffer) < 2 + width:
                return None
            size, start = int.from_bytes(buffer[2 : 2 + width]), 6 + width
            if size < (126 if width == 2 else 2**16) or size >= 2**63:
                raise BrokenFrame(BROKEN, "the length of a frame is not in its shortest form")
        if kind < CLOSE and self._size + size > self._longest:
            raise BrokenFrame(TOO_LARGE, f"a message may have {self._largest} bytes")
        is_kept = kind >= CLOSE or self._size + size <= self._largest
        end = start + (size if is_kept else min(size, BEGINNING))
        if len(buffer) < end:
            return None
        data = _unmask(buffer[start:end], buffer[start - 4 : start])
        del buffer[:end]
        if kind >= CLOSE:
            return _close(data) if kind == CLOSE else Frame(kind, data)
        if is_kept:
            return self._message(kind, data, final=first >= FINAL)
        self._kind = kind or self._kind
        self._parts = [b"".join([*self._parts, data])[:BEGINNING]]
        self._size += size
        self._final = first >= FINAL
        return self._drop(size - len(data))

    def _drop(self, unread: int) -> Frame | None:
        """Drops the rest of a frame as it arrives. The beginning of its message where both end; a PART where that
        goes on."""
        arrived = len(self._buffer)
        del self._buffer[:unread]
        self._unread = unread - arrived if arrived < unread else None
        if self._unread is not None:
            return None
        if not self._final:
            return Frame(PART)
        kind, beginning = self._kind, Beginning.of(self._parts[0], self._size)
        self._kind, self._parts, self._size = PART, [], 0
        return Frame(kind, beginning)

    def _check_head(self, first: int, second: int) -> None:
        kind = first & 0x0F
        if first & RESERVED or kind not in KINDS:
            raise BrokenFrame(BROKEN, "a frame has a reserved bit or an unknown opcode")
        if not second & MASKED:
            raise BrokenFrame(BROKEN, "a frame of a client must be masked")
        if kind >= CLOSE:
            if not first & FINAL or second & 0x7F > MOST_OF_CONTROL:
                raise BrokenFrame(BROKEN, f"a control frame must be whole, with at most {MOST_OF_CONTROL} bytes")
        elif (kind == PART) != (self._kind != PART):
            raise BrokenFrame(BROKEN, "the fragments of a message must follow each other")

    def _message(self, kind: int, data: bytes, *, final: bool) -> Frame:
        """The message that ends with this frame; a PART where it goes on."""
        if not final:
            self._kind = kind or self._kind
            self._parts.append(data)
            self._size += len(data)
            return Frame(PART)
        if kind == PART:
            kind, data = self._kind, b"".join([*self._parts, data])
            self._kind, self._parts, self._size = PART, [], 0
        return Frame(kind, _text(data) if kind == TEXT else data)


def accept_key(key: str) -> str:
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return b64encode(hashlib.sha1(key.encode("latin-1") + GUID).digest()).decode()


def message(data: bytes | str) -> bytes:
    """A frame with a whole message."""
    return _frame(TEXT if isinstance(data, str) else BINARY, data)


def ping() -> bytes:
    """A ping."""
    return _frame(PING, b"")


def pong(asked: Frame) -> bytes:
    """The answer to a ping, with what that carries."""
    return _frame(PONG, asked.data)


def close(code: int, why: str = "") -> bytes:
    """A close frame, with as much of the reason as fits; without a code for NO_CODE."""
    if code == NO_CODE:
        return _frame(CLOSE, b"")
    reason = why.encode()[: MOST_OF_CONTROL - 2].decode(errors="ignore").encode()  # whole characters
    return _frame(CLOSE, code.to_bytes(2) + reason)


def _frame(kind: int, data: bytes | str) -> bytes:
    if isinstance(data, str):
        data = data.encode()
    size = len(data)
    if size <= MOST_OF_CONTROL:
        return bytes((FINAL | kind, size)) + data
    if size < 2**16:
        return bytes((FINAL | kind, 126)) + size.to_bytes(2) + data
    return bytes((FINAL | kind, 127)) + size.to_bytes(8) + data


def _unmask(data: bytearray, mask: bytearray) -> bytes:
    size = len(data)
    repeated = (mask * (size // 4 + 1))[:size]
    # As two long integers: a loop over bytes takes fifty times as long.
    return (int.from_bytes(data) ^ int.from_bytes(repeated)).to_bytes(size)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BrokenFrame(NO_TEXT, "a text must be UTF-8") from None


def _close(data: bytes) -> Frame:
    if not data:
        return Frame(CLOSE, "", NO_CODE)
    code = int.from_bytes(data[:2])
    if len(data) == 1 or code not in CODES:
        raise BrokenFrame(BROKEN, "a close frame needs a valid code")
    return Frame(CLOSE, _text(data[2:]), code)
