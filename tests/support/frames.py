"""Frames of RFC 6455 as a client sends them, or as none should."""

from __future__ import annotations

from typing import Final

MASK: Final = b"\x01\x02\x03\x04"


def frame(opcode: int, payload: bytes, *, masked: bool = True, fin: bool = True, reserved: int = 0) -> bytes:
    """A frame as RFC 6455 draws it, or as it should not be."""
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + len(payload).to_bytes(2)
    else:
        head += bytes([bit | 127]) + len(payload).to_bytes(8)
    if masked:
        payload = bytes(byte ^ MASK[n % 4] for n, byte in enumerate(payload))
    return head + (MASK if masked else b"") + payload
