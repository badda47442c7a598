"""A tab: one instance with its stream open. Every face, a script, a page or a socket, is a reader of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tim.ends import KICKS
from tim.events import EVENT, Event
from tim.hub import End, InstancesChanged, Missed, News
from tim.model import Message

if TYPE_CHECKING:
    from tim.backend import Backend

HISTORY: Final = 100
"""Messages of its account's log that a page shows when it opens."""
MISSED: Final = 10_000
"""Messages that are told to a reader who was not there when they came; the newest, where it is more."""
PAGE: Final = 50
"""Messages that a reader is handed at a time which are more than a mailbox should hold."""


class Tab:
    """The stream of the instance `id`, read by one reader.

    Args:
        wake: called, from any thread, when `read` has something.
        since: number of the newest message that a reader who comes back has got. Who is new here is told what
            nobody of its account has been shown.

    Raises:
        InstanceGone: it has ended; why is in the error.
    """

    def __init__(self, backend: Backend, id: str, wake: Callable[[], None], since: int | None = None) -> None:
        self._backend = backend
        self.instance, self._stream, shown = backend.attach(id, wake)
        self._shown = shown if since is None else since
        self._returns = since is not None
        self._seen = 0  # number of the newest message handed to the reader; owned by the reader
        self.ready = False

    def waiting(self) -> tuple[list[Message], list[Message]]:
        """What waited for this tab: the newest messages of its account, and all that it was not shown before.

        To be delivered before `become_ready` is called.
        """
        app, user, history = self.instance.app, self.instance.user, self._backend.store.history
        messages = history(app, user, 0, HISTORY)
        self._seen = messages[-1].seq if messages else 0
        new = [m for m in messages if m.seq > self._shown]
        if len(new) == HISTORY:
            new = [m for m in history(app, user, self._shown, MISSED) if m.seq <= self._seen]
        # Who is new is not told what its own account has written; who comes back missed what its other tabs wrote.
        own = self.instance.id if self._returns else user
        return messages, [m for m in new if own not in (m.instance, m.sender)]

    def skip_waiting(self) -> int:
        """Begin after the newest message, instead of `waiting`. The number after which the account was shown none."""
        newest = self._backend.store.history(self.instance.app, self.instance.user, 0, 1)
        self._seen = newest[-1].seq if newest else 0
        return min(self._shown, self._seen)

    def before_login(self) -> int:
        """The number after which the instance may lack messages that were sent to it: those since its login."""
        low, high = max(0, self._seen - MISSED), self._seen
        while low < high:
            middle = (low + high) // 2
            found = self._backend.store.history(self.instance.app, self.instance.user, middle, 1, middle + 1)
            if found and found[0].time >= self.instance.since:
                high = middle
            else:
                low = middle + 1
        return min(self._shown, high)

    def page_after(self, number: int) -> tuple[int, list[Message]]:
        """Some messages of the log after this number, oldest first, and the number that they reach.

        They reach no further than the reader has been; what is older than the newest MISSED is left out.
        """
        messages: list[Message] = []
        reached = max(number, self._seen - MISSED)
        while reached < self._seen and not messages:
            after, reached = reached, min(reached + PAGE, self._seen)
            messages = self._backend.store.history(self.instance.app, self.instance.user, after, PAGE, reached)
        return min(reached, self._seen), messages

    def become_ready(self) -> None:
        """What waited has been delivered."""
        self._backend.store.mark_read(self.instance.app, self.instance.user, self._seen)
        self.ready = True

    @property
    def number(self) -> int | None:
        """The number of its stream in the store."""
        return self._stream.number

    @property
    def seen(self) -> int:
        """The number, in the account's log, of the newest message handed to the reader."""
        return self._seen

    def read(self) -> list[News]:
        """What has come since the last call; messages in the order of the log, each once, none missing."""
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
            # Two senders' hints may overtake each other; the numbers show it, and the log has what is missing.
            return self._after()
        self._seen = message.seq
        return [message]

    def _after(self) -> list[Message]:
        """What the log has after the last message that was read."""
        log = self._backend.store.history(self.instance.app, self.instance.user, self._seen, MISSED)
        if log:
            self._seen = log[-1].seq
        return log

    def events(self, item: News) -> list[Event]:
        """What the SDK tells its page of an item that was read."""
        if isinstance(item, Message) and item.instance != self.instance.id:
            return [Event(EVENT.MESSAGE_RECEIVED, [item])]
        return events_of(item) if isinstance(item, End) else []

    def close(self) -> None:
        """The reader is gone. The instance keeps its seat for the grace time."""
        self.ready = False
        self._backend.detach(self._stream)


def events_of(end: End) -> list[Event]:
    """What the SDK tells its page of the end of its stream."""
    not_ready = Event(EVENT.SDK_NOT_READY)
    if end.gone is None or end.gone.reason not in KICKS:
        return [not_ready]
    return [Event(EVENT.KICKED_OUT, {"type": end.gone.reason}), not_ready]
