"""A tab: one instance with its stream open. Scripts, pages and sockets each read one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from tim.ends import KICKS
from tim.events import EVENT, Event
from tim.mailbox import End, InstancesChanged, Missed, News, Stream
from tim.model import Instance, Message, View
from tim.rules import NEWEST

HISTORY: Final = 100
"""Messages of the account's log that a page shows when it opens."""
MISSED: Final = 10_000
"""Largest number of missed messages that a returning reader gets; the newest ones."""
PAGE: Final = 50
"""Messages of the log that `page_after` reads at a time."""


class Streams(Protocol):
    """What a tab needs of the backend. Each method raises StoreUnavailable."""

    def attach(self, id: str, wake: Callable[[], None], after: int, most: int) -> tuple[View, Stream]:
        """Open a stream; return it after the view of that moment, with the newest messages above `after`."""

    def detach(self, stream: Stream) -> None:
        """Close the stream."""

    def history(self, instance: Instance, after: int, limit: int, up_to: int = NEWEST) -> list[Message]:
        """Return the newest `limit` messages of the account's log after number `after`, oldest first."""

    def mark_read(self, instance: Instance, seq: int) -> None:
        """Set the account's read cursor."""


class Tab:
    """An open stream of an instance, read by one reader.

    Args:
        view: of the moment at which the stream was opened.
        since: number of the newest message that a returning reader has got. A new reader gets the unread messages
            of the account instead.

    Attributes:
        read_before: the account's read cursor before the stream was opened.
    """

    __slots__ = ("_backend", "_seen", "_since", "_stream", "_view", "instance", "read_before", "ready")

    def __init__(self, backend: Streams, view: View, stream: Stream, since: int | None = None) -> None:
        self._backend = backend
        self._stream = stream
        self._view: View | None = view  # until `waiting` returns it
        self.instance = view.instance
        self.read_before = view.read_seq
        self._since = since
        self._seen = view.newest  # number of the newest message given to the reader; written by the reader's thread
        self.ready = False

    @classmethod
    def open(
        cls,
        backend: Streams,
        id: str,
        wake: Callable[[], None],
        since: int | None = None,
        *,
        after: int = NEWEST,
        most: int = HISTORY,
    ) -> Tab:
        """Open a stream of the instance, and return its tab.

        Args:
            wake: called, from any thread, when `read` has something to return.
            after, most: which messages its view has, as `tim.store.base` describes them. By default, the unread ones.

        Raises:
            InstanceGone: the instance has ended.
        """
        return cls(backend, *backend.attach(id, wake, after if since is None else since, most), since)

    def waiting(self) -> tuple[View, list[Message]]:
        """Return the view of the moment at which the stream was opened, and the unread messages of then; once.

        A new reader gets the unread messages without those that its own account sent. A returning reader gets
        everything that other instances sent. Deliver them before calling `become_ready`.
        """
        if self._view is None:
            raise RuntimeError("the reader has it already")
        view, self._view = self._view, None
        after = self.read_before if self._since is None else self._since
        new = [message for message in view.messages if message.seq > after]
        if len(new) == HISTORY:
            new = self._backend.history(self.instance, after, MISSED, view.newest)
        own = self.instance.user if self._since is None else self.instance.id
        return view, [message for message in new if own not in (message.instance, message.sender)]

    def before_login(self) -> int:
        """Return the number after which the instance may lack messages: those written since its login."""
        low, high = max(0, self._seen - MISSED), self._seen
        while low < high:
            middle = (low + high) // 2
            found = self._backend.history(self.instance, middle, 1, middle + 1)
            if found and found[0].time >= self.instance.since:
                high = middle
            else:
                low = middle + 1
        return min(self.read_before, high)

    def page_after(self, number: int) -> tuple[int, list[Message]]:
        """Return some messages of the log after `number`, oldest first, and the number up to which they reach.

        The pages end at the newest message given to the reader, and begin at most MISSED messages before it.
        """
        messages: list[Message] = []
        reached = max(number, self._seen - MISSED)
        while reached < self._seen and not messages:
            after, reached = reached, min(reached + PAGE, self._seen)
            messages = self._backend.history(self.instance, after, PAGE, reached)
        return min(reached, self._seen), messages

    def become_ready(self) -> None:
        """Mark as read what was delivered. From now on the tab is ready."""
        if self._seen > self.read_before:
            self._backend.mark_read(self.instance, self._seen)
        self.ready = True

    def refresh(self, instances: list[Instance]) -> None:
        """Take over from this list of the account how the own instance is now: it may have a new name."""
        self.instance = next((each for each in instances if each.id == self.instance.id), self.instance)

    @property
    def number(self) -> int | None:
        """The number of its stream in the store."""
        return self._stream.number

    @property
    def over(self) -> bool:
        """Whether the store has ended its instance for good, and the stream has been given that."""
        return self._stream.over

    @property
    def seen(self) -> int:
        """The number, in the account's log, of the newest message given to the reader."""
        return self._seen

    def read(self) -> list[News]:
        """Return what has happened since the last call. Messages come in the order of the log, each once."""
        items: list[News] = []
        for item in self._stream.take():
            if isinstance(item, Missed):
                items += [*self._after(), InstancesChanged()]
            elif not isinstance(item, Message):
                items.append(item)
            elif item.seq > self._seen:
                items += self._up_to(item)
        if items and isinstance(items[-1], End):
            self.ready = False
        return items

    def _up_to(self, message: Message) -> list[Message]:
        if message.seq > self._seen + 1:
            # The notifications of two senders can arrive in the wrong order. The log has the message between.
            return self._after()
        self._seen = message.seq
        return [message]

    def _after(self) -> list[Message]:
        """Read the log after the newest message given to the reader."""
        log = self._backend.history(self.instance, self._seen, MISSED)
        if log:
            self._seen = log[-1].seq
        return log

    def events(self, item: News) -> list[Event]:
        """Return the SDK events that an item causes."""
        if isinstance(item, Message) and item.instance != self.instance.id:
            return [Event(EVENT.MESSAGE_RECEIVED, [item])]
        return events_of(item) if isinstance(item, End) else []

    def close(self) -> None:
        """Close the stream. The instance keeps its seat for the grace time."""
        self.ready = False
        self._backend.detach(self._stream)


def events_of(end: End) -> list[Event]:
    """Return the SDK events that the end of a stream causes."""
    not_ready = Event(EVENT.SDK_NOT_READY)
    if end.gone is None or end.gone.reason not in KICKS:
        return [not_ready]
    return [Event(EVENT.KICKED_OUT, {"type": end.gone.reason}), not_ready]
