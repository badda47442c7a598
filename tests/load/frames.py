"""The client's side of WebSocket frames (RFC 6455), without extensions. No socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
FINAL: Final = 0x80
MASKED: Final = 0x80
NO_KEY: Final = bytes(4)
"""A key of zeros leaves the payload as it is. It hides nothing, which is all right for a test."""


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole message in one masked frame."""
    size = len(payload)
    if size < 126:
        return bytes((FINAL | opcode, MASKED | size)) + NO_KEY + payload
    if size < 2**16:
        return bytes((FINAL | opcode, MASKED | 126)) + size.to_bytes(2) + NO_KEY + payload
    return bytes((FINAL | opcode, MASKED | 127)) + size.to_bytes(8) + NO_KEY + payload


class Frames:
    """Cuts what a server sends into frames."""

    def __init__(self) -> None:
        self._buffer = b""

    def take(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the opcode and the payload of each frame that is complete with `data`.

        Raises:
            ValueError: the frame is a part of a message, compressed or masked; our server sends none.
        """
        buffer = self._buffer + data if self._buffer else data
        at, end = 0, len(buffer)
        while end - at >= 2:
            first, size = buffer[at], buffer[at + 1]
            if first & 0xF0 != FINAL or size & MASKED:
                raise ValueError(f"a frame begins with {buffer[at : at + 2].hex()}")
            begin = at + 2
            if size > 125:
                begin += 2 if size == 126 else 8
                size = int.from_bytes(buffer[at + 2 : begin])
            if end < begin + size:
                break
            at = begin + size
            yield first & 0x0F, buffer[begin:at]
        self._buffer = buffer[at:]
