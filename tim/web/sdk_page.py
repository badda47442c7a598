"""A page of the vendor's Web SDK: one connection, and the instance that is served on it.

An instance is served, told of messages and of its end, on the connection that attached it last. A page whose
instance has ended keeps its connection: it logs in again on it, or goes on pinging.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from tim import wire
from tim.backend import Backend
from tim.errors import StoreUnavailable
from tim.events import CLOSE_LATER, CLOSE_MOVED, LOGGED_OUT, TYPES
from tim.hub import MAILBOX, End, News, Stream
from tim.rules import Gone, Instance, Message
from tim.tab import Tab


class Page:
    """One connection of the SDK.

    Args:
        wake: called, from any thread, when `news` has something.

    Attributes:
        goodbye: what the connection is to be closed with now; None while it is to stay.
    """

    # Everything here is owned by the one thread that serves the connection.

    def __init__(self, backend: Backend, wake: Callable[[], None]) -> None:
        self._backend = backend
        self._wake = wake
        self._tab: Tab | None = None
        self._lobby: Stream | None = self._wait_in_lobby()
        self._untold = ""  # id of an instance whose UserSig has run out while it was served here
        self.goodbye: int | None = None

    def serves(self, id: str) -> Instance | None:
        """The instance, if it is this one that is served here, and its UserSig has not run out."""
        tab = self._tab
        if tab is not None and tab.instance.expires <= self._backend.clock():
            self._ended(End(0, Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, tab.instance.expires)))
        return self._tab.instance if self._tab is not None and self._tab.instance.id == id else None

    def serve(self, id: str) -> list[str]:
        """Serve this instance from now on, and no other; the pushes of what has waited for it.

        Raises:
            InstanceGone: it has ended; why is in the error.
        """
        if self.serves(id):
            return []
        tab = Tab(self._backend, id, self._wake)
        self._switch_to(tab)
        _, unread = tab.waiting()
        tab.become_ready()
        return _arrivals(tab, unread)

    def let_go(self, id: str | None = None) -> None:
        """Serve nobody any more; or this instance no more."""
        if id is None or self.serves(id):
            self._switch_to(None)

    def log_out(self) -> None:
        """End the instance that is served here: its page has begun anew, or is gone."""
        if self._tab is not None:
            self._backend.logout(self._tab.instance.id)

    def missed(self, cookie: int | None) -> tuple[int, list[str]]:
        """The pushes of what came after message number `cookie` of the account's log; and the number reached.

        After a lost line that is more than what is unread, as what was written to the dead line counts as read.
        """
        tab = self._tab
        if tab is None:
            return cookie or 0, []
        if cookie is None:
            return tab.seen, []
        log = self._backend.store.history(tab.instance.app, tab.instance.user, cookie, MAILBOX)
        return tab.seen, _arrivals(tab, [message for message in log if message.seq <= tab.seen])

    def news(self) -> list[str]:
        """The pushes for what has happened elsewhere since the last call."""
        tab = self._tab
        frames: list[str] = []
        for item in self._read():
            if isinstance(item, End):
                frames += self._ended(item)
            elif isinstance(item, Message) and tab is not None:
                frames += _arrivals(tab, [item])
        return frames

    def has_expired(self, id: str) -> bool:
        """Whether the UserSig of this instance ran out while it was served here; says so once."""
        if self.serves(id) or not id or self._untold != id:
            return False
        self._untold = ""
        return True

    def close(self) -> None:
        """The connection is closed. The instance that was served keeps its seat for the grace time."""
        self._switch_to(None)
        if self._lobby is not None:
            self._backend.hub.close(self._lobby)

    def _read(self) -> list[News]:
        if self._tab is None:
            waiting = [] if self._lobby is None else self._lobby.take()
            return [item for item in waiting if isinstance(item, End)]
        try:
            return self._tab.read()
        except StoreUnavailable:
            return [End(CLOSE_LATER)]  # who comes back gets everything anew

    def _ended(self, end: End) -> list[str]:
        """The stream has ended: what the page is told."""
        if end.gone is None and end.code != CLOSE_MOVED:
            self.goodbye = end.code
            return []
        tab = self._tab
        self._switch_to(None)
        if end.gone is None or tab is None:
            return []
        if end.gone.reason == TYPES.KICKED_OUT_USERSIG_EXPIRED:
            self._untold = tab.instance.id  # there is no push for it; the SDK hears it in an answer
        kick_type = kick_type_of(end.gone)
        return [] if kick_type is None else [wire.kick(kick_type)]

    def _switch_to(self, tab: Tab | None) -> None:
        before, lobby = self._tab, self._lobby
        self._tab, self._lobby = tab, self._wait_in_lobby() if tab is None else None
        if lobby is not None:
            self._backend.hub.close(lobby)
        if before is not None:
            before.close()

    def _wait_in_lobby(self) -> Stream:
        """The stream of a connection that serves nobody: it counts as one, and hears that the server stops."""
        return self._backend.hub.open(0, "", f"lobby-{secrets.token_hex(8)}", self._wake)


def kick_type_of(gone: Gone) -> int | None:
    """What the SDK is told of this end of an instance; None where a kick is not what it was."""
    if gone.reason == LOGGED_OUT and gone.by is not None:
        # Another instance of the account has logged this one out; of the vendor's words this one fits best.
        return wire.KICK_TYPES[TYPES.KICKED_OUT_MULT_DEVICE]
    return wire.KICK_TYPES.get(gone.reason)


def _arrivals(tab: Tab, messages: list[Message]) -> list[str]:
    """The pushes of those messages that the instance has not sent itself."""
    mine = tab.instance
    return [wire.arrival(message, mine.app, mine.user) for message in messages if message.instance != mine.id]
