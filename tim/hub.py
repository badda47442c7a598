"""The open streams of this node, by instance and by account.

The hub does not know the store. After each verb of the store the caller posts here what it did, outside all locks of
the store. Posting the same notification twice is allowed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeVar

from tim.ends import CLOSE_CODES, CLOSE_CUT, CLOSE_MOVED, CLOSE_RESTART, Gone
from tim.mailbox import End, InstancesChanged, Missed, Stream
from tim.model import Message

MAX_STREAMS: Final = 10_000
"""Largest number of streams of one node. One more socket is refused before its upgrade."""

K = TypeVar("K")


class Hub:
    """All streams of this node, indexed by instance and by account.

    Args:
        overflowed: called when a stream ends because its mailbox is full.
    """

    def __init__(self, overflowed: Callable[[], None] = lambda: None) -> None:
        self._overflowed = overflowed
        self._mailboxes = threading.Lock()  # of all streams: with gevent, one for each would take a KiB
        self._lock = threading.Lock()  # owns the eight below
        self._by_instance: dict[str, set[Stream]] = {}
        self._number = 0  # of streams in it: each new socket asks
        self._newest: dict[str, int] = {}  # largest stream number of each instance that has a stream here
        self._by_account: dict[tuple[int, str], set[Stream]] = {}
        self._draining = False
        self._posts = 0  # how often something was posted to an account
        self._opening: dict[Stream, int] = {}  # streams without an account yet, with `_posts` when they were opened
        self._posted: dict[tuple[int, str], int] = {}  # `_posts` after the newest post to each account, while any opens

    def open(self, instance: str, wake: Callable[[], None], account: tuple[int, str] | None = None) -> Stream:
        """Return a new stream. It gets the notifications for its instance from now on; `enter` adds the account's.

        Args:
            wake: called after each notification.
            account: the app and the UserID of the instance, where these are known already; `enter` is not called then.
        """
        stream = Stream(instance, wake, self._overflowed, self._mailboxes)
        if account is not None:
            stream.set_account(*account)
        with self._lock:
            self._by_instance.setdefault(instance, set()).add(stream)
            self._number += 1
            if account is None:
                self._opening[stream] = self._posts
            else:
                self._by_account.setdefault(account, set()).add(stream)
            draining = self._draining
        if draining:
            stream.put(End(CLOSE_RESTART))
        return stream

    def enter(self, stream: Stream, app: int, user: str) -> None:
        """Give the stream the account of its instance, whose notifications it gets from now on.

        Where the account had one since the stream was opened, the stream gets Missed.
        """
        account = app, user
        stream.set_account(app, user)
        with self._lock:
            if stream not in self._opening:
                return  # it was closed meanwhile
            missed = self._posted.get(account, 0) > self._opening[stream]
            self._opened(stream)
            self._by_account.setdefault(account, set()).add(stream)
        if missed:
            stream.put(Missed())

    def _opened(self, stream: Stream) -> None:
        """Forget that the stream is about to open, and what nobody needs then; with the lock held."""
        self._opening.pop(stream, None)
        if not self._opening:
            self._posted.clear()

    def close(self, stream: Stream) -> None:
        """Remove the stream. Closing it again has no effect."""
        with self._lock:
            if stream in self._by_instance.get(stream.instance, ()):
                self._number -= 1
            _discard(self._by_instance, stream.instance, stream)
            self._opened(stream)
            if stream.account is not None:
                _discard(self._by_account, stream.account, stream)
            if stream.instance not in self._by_instance:
                self._newest.pop(stream.instance, None)

    def attach(self, stream: Stream, number: int) -> None:
        """Give the stream the number that the store has given it, and close all older ones of its instance."""
        stream.set_number(number)
        self.moved(stream.instance, number)

    def moved(self, instance: str, number: int) -> None:
        """Close all streams of the instance that are older than `number`, with CLOSE_MOVED.

        The stream with this number is open on any node. Numbers may arrive here in another order than the store
        gave them, even after the newer stream has closed. So the largest number so far decides.
        """
        with self._lock:
            streams = self._by_instance.get(instance, set())
            newest = max(number, self._newest.get(instance, 0))
            if streams:
                self._newest[instance] = newest
            older = [stream for stream in streams if stream.number is not None and stream.number < newest]
        for stream in older:
            stream.put(End(CLOSE_MOVED))

    def cut(self, instance: str, number: int) -> None:
        """End the stream of this number with CLOSE_CUT."""
        for stream in self.streams_of(instance):
            if stream.number == number:
                stream.put(End(CLOSE_CUT))

    def end(self, instance: str, gone: Gone) -> bool:
        """End all streams of the instance with the close code of `gone`. Returns whether there are any."""
        with self._lock:
            streams = list(self._by_instance.get(instance, ()))
        for stream in streams:
            stream.put(End(CLOSE_CODES[gone.reason], gone))
        return bool(streams)

    def post(self, app: int, user: str, item: Message | InstancesChanged, *, but: Stream | None = None) -> None:
        """Put `item` into every stream of the account except `but`."""
        with self._lock:
            self._posts += 1
            if self._opening:
                self._posted[app, user] = self._posts
            streams = list(self._by_account.get((app, user), ()))
        for stream in streams:
            if stream is not but:
                stream.put(item)

    def post_to_all(self, item: InstancesChanged) -> None:
        """Put `item` into every stream."""
        for stream in self.streams():
            stream.put(item)

    def drain(self) -> None:
        """End every stream with CLOSE_RESTART, and every stream that opens from now on."""
        with self._lock:
            self._draining = True
        for stream in self.streams():
            stream.put(End(CLOSE_RESTART))

    def streams(self) -> list[Stream]:
        """Return all streams that are open now."""
        with self._lock:
            return [stream for streams in self._by_instance.values() for stream in streams]

    def streams_of(self, instance: str) -> set[Stream]:
        """Return the streams of one instance, attached or about to be."""
        with self._lock:
            return set(self._by_instance.get(instance, ()))

    @property
    def full(self) -> bool:
        """Whether the node has MAX_STREAMS streams."""
        return len(self) >= MAX_STREAMS

    def __len__(self) -> int:
        return self._number


def _discard(index: dict[K, set[Stream]], key: K, stream: Stream) -> None:
    streams = index.get(key, set())
    streams.discard(stream)
    if not streams:
        index.pop(key, None)
