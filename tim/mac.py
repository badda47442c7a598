"""HMAC-SHA256 under keys that stay the same."""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import Final

KEYS: Final = 100
"""Keys that are kept prepared. A server has a dozen."""


def mac(key: bytes, data: bytes) -> bytes:
    """The HMAC-SHA256 of `data`.

    A copy of a prepared key, as `hmac.digest` looks its algorithm up with each call, which takes most of its time.
    """
    made = _prepared(key).copy()
    made.update(data)
    return made.digest()


@lru_cache(KEYS)
def _prepared(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")
