"""One open stream of an instance: its bounded mailbox, what can be in it, and its end.

Any thread puts items in; one reader takes them out. `tim.hub` makes the streams, and decides which of them get what.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tim.ends import AWAY, CLOSE_LATER, CLOSE_RESTART, Gone
from tim.model import Message

MAILBOX: Final = 1000
"""Largest number of items in one mailbox. One more closes the stream with CLOSE_LATER."""
MAILBOX_BYTES: Final = 512 * 1024
"""Largest number of bytes of message text in one mailbox."""


@dataclass(frozen=True, slots=True)
class InstancesChanged:
    """The list of the account's instances has changed."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A notification for this stream may have been lost. The reader compares with the store."""


@dataclass(frozen=True, slots=True)
class End:
    """The last item of a stream.

    Attributes:
        code: close code of the socket, from `tim.ends`.
        gone: the end of the instance; None where the stream ends and the instance lives.
    """

    code: int
    gone: Gone | None = None


News = Message | InstancesChanged | End
Item = News | Missed


class Stream:
    """One open stream of one instance.

    Args:
        overflowed: called when it ends because its mailbox is full.
        lock: held while its mailbox changes, and for nothing that takes time; the streams of a hub share it.
    """

    __slots__ = (
        "_account", "_bytes", "_ended", "_items", "_lock", "_number", "_over", "_overflowed", "_wake", "instance",
    )  # fmt: skip

    def __init__(
        self, instance: str, wake: Callable[[], None], overflowed: Callable[[], None], lock: threading.Lock
    ) -> None:
        self.instance = instance
        self._account: tuple[int, str] | None = None  # set by the hub alone
        self._number: int | None = None  # set by the hub alone
        self._wake = wake
        self._overflowed = overflowed
        self._lock = lock  # owns the four below
        self._items: list[Item] = []
        self._bytes = 0  # of text in the items
        self._ended = False
        self._over = False

    @property
    def account(self) -> tuple[int, str] | None:
        """The app and the UserID of its instance; None until the hub knows them."""
        return self._account

    @property
    def number(self) -> int | None:
        """Its number in the store; None until the store has attached it."""
        return self._number

    @property
    def over(self) -> bool:
        """Whether it has been given the end of its instance, which is for good."""
        return self._over

    def set_account(self, app: int, user: str) -> None:
        """Set `account`. Only the hub calls this."""
        self._account = app, user

    def set_number(self, number: int) -> None:
        """Set `number`. Only `Hub.attach` calls this."""
        self._number = number

    def put(self, item: Item) -> None:
        """Add `item` to the mailbox and wake the reader. An End is the last item: later ones are dropped."""
        size = len(item.text.encode()) if isinstance(item, Message) else 0
        with self._lock:
            if self._ended or (isinstance(item, InstancesChanged | Missed) and item in self._items):
                return
            if (len(self._items) >= MAILBOX or self._bytes + size > MAILBOX_BYTES) and not isinstance(item, End):
                item, size = End(CLOSE_LATER), 0
                self._overflowed()
            self._bytes += size
            if isinstance(item, End):
                self._ended = True
                self._over = item.gone is not None and item.gone.reason != AWAY
                if item.code != CLOSE_RESTART:
                    # A kicked tab gets no more messages, and a reconnecting one gets the whole state again.
                    self._items.clear()
                    self._bytes = 0
            self._items.append(item)
        self._wake()

    def take(self) -> list[Item]:
        """Return and remove all items, oldest first."""
        if not self._items:
            return []  # what is put now wakes the reader afterwards
        with self._lock:
            items, self._items = self._items, []
            self._bytes = 0
        return items
