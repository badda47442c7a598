"""The live streams of this process: one bounded mailbox for each, emptied by one reader.

The hub knows nothing of the store. Whoever decides something tells it here afterwards, outside every lock of
the store; what it is told is a hint, and may be told twice.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from tim.ends import CLOSE_CODES, CLOSE_LATER, CLOSE_MOVED, CLOSE_RESTART, Gone
from tim.model import Message

MAILBOX: Final = 1000
"""Items that may wait in one mailbox; one more and its reader is too slow."""
MAILBOX_BYTES: Final = 512 * 1024
"""Bytes of text that may wait in one mailbox."""
MAX_STREAMS: Final = 10_000
"""Streams one process takes; beyond it a socket is refused before its upgrade."""


@dataclass(frozen=True, slots=True)
class InstancesChanged:
    """The list of the account's instances is no longer what it was."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Something that this stream should have been told may have been lost; its reader looks for it."""


@dataclass(frozen=True, slots=True)
class End:
    """The last item of a stream.

    Attributes:
        code: what the socket is closed with, from `tim.events`.
        gone: the end of the instance, where that is why the stream ends.
    """

    code: int
    gone: Gone | None = None


News = Message | InstancesChanged | End
Item = News | Missed
K = TypeVar("K")


class Stream:
    """One open stream of one instance.

    Attributes:
        number: its number in the store; None until the store has attached it.
    """

    def __init__(self, app: int, user: str, instance: str, wake: Callable[[], None]) -> None:
        self.app = app
        self.user = user
        self.instance = instance
        self.number: int | None = None
        self._wake = wake
        self._lock = threading.Lock()  # owns the three below
        self._items: deque[Item] = deque()
        self._bytes = 0  # of text in the items
        self._ended = False

    def put(self, item: Item) -> None:
        """Leave `item` for the reader and wake it. After an End nothing is taken any more."""
        size = len(item.text.encode()) if isinstance(item, Message) else 0
        with self._lock:
            if self._ended or (isinstance(item, InstancesChanged | Missed) and item in self._items):
                return
            if (len(self._items) >= MAILBOX or self._bytes + size > MAILBOX_BYTES) and not isinstance(item, End):
                item, size = End(CLOSE_LATER), 0
            self._bytes += size
            if isinstance(item, End):
                self._ended = True
                if item.code != CLOSE_RESTART:
                    # A stream that ends delivers nothing more: not to a tab that was kicked, nor to one that
                    # will get the whole state anew.
                    self._items.clear()
                    self._bytes = 0
            self._items.append(item)
        self._wake()

    def take(self) -> list[Item]:
        """Everything that waits, oldest first."""
        with self._lock:
            items = list(self._items)
            self._items.clear()
            self._bytes = 0
        return items


class Hub:
    """All streams of this process, found by instance and by account."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # owns the four below
        self._by_instance: dict[str, set[Stream]] = {}
        self._newest: dict[str, int] = {}  # the largest number of an instance, while any stream of it is open
        self._by_account: dict[tuple[int, str], set[Stream]] = {}
        self._draining = False

    def open(self, app: int, user: str, instance: str, wake: Callable[[], None]) -> Stream:
        """A new stream, told of everything from now on; `wake` is called when something waits in it."""
        stream = Stream(app, user, instance, wake)
        with self._lock:
            self._by_instance.setdefault(instance, set()).add(stream)
            self._by_account.setdefault((app, user), set()).add(stream)
            draining = self._draining
        if draining:
            stream.put(End(CLOSE_RESTART))
        return stream

    def close(self, stream: Stream) -> None:
        """Forget the stream; closing it twice is closing it once."""
        with self._lock:
            _discard(self._by_instance, stream.instance, stream)
            _discard(self._by_account, (stream.app, stream.user), stream)
            if stream.instance not in self._by_instance:
                self._newest.pop(stream.instance, None)

    def attached(self, instance: str, number: int) -> None:
        """The store has given the number `number` to a stream of the instance: all older ones have moved.

        Two streams may be attached in one order and told here in the other, and the newer one may even be closed
        by then; so what counts is the largest number so far.
        """
        with self._lock:
            streams = self._by_instance.get(instance, set())
            newest = max(number, self._newest.get(instance, 0))
            if streams:
                self._newest[instance] = newest
            older = [stream for stream in streams if stream.number is not None and stream.number < newest]
        for stream in older:
            stream.put(End(CLOSE_MOVED))

    def end(self, instance: str, gone: Gone) -> None:
        """The instance has ended: so do its streams."""
        with self._lock:
            streams = list(self._by_instance.get(instance, ()))
        for stream in streams:
            stream.put(End(CLOSE_CODES[gone.reason], gone))

    def post(self, app: int, user: str, item: Message | InstancesChanged) -> None:
        """Tell every stream of the account."""
        with self._lock:
            streams = list(self._by_account.get((app, user), ()))
        for stream in streams:
            stream.put(item)

    def post_to_all(self, item: InstancesChanged) -> None:
        """Tell every stream."""
        for stream in self.streams():
            stream.put(item)

    def drain(self) -> None:
        """Send every stream away to come back later, those that are opened from now on as well."""
        with self._lock:
            self._draining = True
        for stream in self.streams():
            stream.put(End(CLOSE_RESTART))

    def streams(self) -> list[Stream]:
        """All streams that are open now."""
        with self._lock:
            return [stream for streams in self._by_instance.values() for stream in streams]

    def streams_of(self, instance: str) -> set[Stream]:
        """Those of one instance that are open, or about to be."""
        with self._lock:
            return set(self._by_instance.get(instance, ()))

    @property
    def full(self) -> bool:
        """Whether one more stream would be more than a process takes."""
        return len(self) >= MAX_STREAMS

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._by_instance.values()))


def _discard(index: dict[K, set[Stream]], key: K, stream: Stream) -> None:
    streams = index.get(key, set())
    streams.discard(stream)
    if not streams:
        index.pop(key, None)
