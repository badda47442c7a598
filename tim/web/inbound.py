"""How much of a socket is read: how many messages may wait, how many frames of each kind are read a second."""

from __future__ import annotations

import time
from collections.abc import Collection
from math import ceil
from typing import Any, Final, NamedTuple

from tim.web.allowance import Allowance

INBOX_FRAMES: Final = 100
"""Messages of one socket that may wait to be handled."""
INBOX_BYTES: Final = 256 * 1024
"""Bytes that these may have together. Nothing more is read from the socket until there is room again."""
FRAMES_PER_SECOND: Final = 500
"""Messages of one socket that are read a second in the long run. A peer that sends more is read more slowly. An SDK
sends about twenty when it starts, then a few a minute."""
BURST: Final = 1000
"""Messages of one socket that are read at once."""
CONTROL_PER_SECOND: Final = 50
"""Pings, pongs and message fragments of one socket that are read a second in the long run. A browser answers each ping
with a pong, and sends no fragments."""
CONTROL_BURST: Final = 500
"""Pings, pongs and fragments that are read at once; one more closes the socket with CLOSE_TOO_MANY."""
SIZES: Final = "tim.sizes"
"""Key in the environ of a request: the Sizes of its socket."""


class Sizes(NamedTuple):
    """Which messages of a socket are accepted.

    Attributes:
        largest: bytes of the largest one that is kept.
        longest: bytes of the longest one that is read. Of one above `largest`, the beginning alone is kept.
    """

    largest: int
    longest: int


BY_DEFAULT: Final = Sizes(4096, 4096)
"""The sizes where the route sets nothing."""


class TooManyFrames(Exception):
    """The peer has sent more control frames or fragments than a browser ever does."""


class Intake:
    """The pace at which one socket is read."""

    __slots__ = ("_largest", "_messages", "_others", "_resumes")

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._messages = Allowance(FRAMES_PER_SECOND, BURST)
        self._others = Allowance(CONTROL_PER_SECOND, CONTROL_BURST)
        self._resumes = 0.0  # by the monotonic clock

    def count_message(self, size: int) -> float:
        """Counts a message of `size` bytes. One that is too long to be kept counts as the messages that hold as much.

        Returns the seconds to wait before the next frame is read.
        """
        pause = self._messages.take(max(1, ceil(size / self._largest)))
        if pause:
            self._resumes = time.monotonic() + pause
        return pause

    def count_other(self) -> None:
        """Counts a control frame or fragment, which serves no purpose here.

        Raises:
            TooManyFrames: the socket is to be closed.
        """
        if self._others.take():
            raise TooManyFrames(f"more than {CONTROL_BURST} pings, pongs or parts of messages at once")

    def pause(self) -> float:
        """The seconds to wait before the next frame is read."""
        return max(0.0, self._resumes - time.monotonic()) if self._resumes else 0.0


def has_room(waiting: Collection[bytes | str], more: int = 0) -> bool:
    """Whether a message of `more` bytes may be added to these, which wait to be handled."""
    return not waiting or (len(waiting) < INBOX_FRAMES and sum(map(len, waiting)) + more <= INBOX_BYTES)


def limit_frames(environ: dict[str, Any], sizes: Sizes) -> None:
    """Lets the socket of this request accept messages of these sizes."""
    environ[SIZES] = sizes


def sizes_of(environ: dict[str, Any]) -> Sizes:
    """The sizes of messages that the socket of this request accepts."""
    sizes: Sizes = environ.get(SIZES, BY_DEFAULT)
    return sizes
