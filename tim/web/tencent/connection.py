"""One connection of the vendor's Web SDK, and the instance that it serves.

An instance is served on the connection that attached it last: messages and its end are pushed there. A page whose
instance has ended keeps its connection, on which it logs in again or goes on pinging.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import assert_never

from tim.backend import Backend
from tim.ends import CLOSE_LATER, CLOSE_MOVED, IDLE, KICKS, LOGGED_OUT, TYPES, Client, Gone
from tim.errors import StoreUnavailable
from tim.mailbox import End, InstancesChanged, News, Stream
from tim.model import Instance, Message
from tim.tab import HISTORY, Tab
from tim.timing import DEFAULT, Timing
from tim.usersig import Ticket
from tim.web.lobby import Lobby
from tim.web.tencent import frames


class Page:
    """One connection of the SDK.

    Args:
        address: of the client.
        wake: called, from any thread, when `news` returns something.

    Attributes:
        close_code: the code to close the connection with now; None while it stays open.
    """

    # Everything here is owned by the one thread that serves the connection.

    def __init__(
        self, backend: Backend, lobby: Lobby, address: str, wake: Callable[[], None], timing: Timing = DEFAULT
    ) -> None:
        self._backend = backend
        self._timing = timing
        self._lobby = lobby
        self._address = address
        self._wake = wake
        self._tab: Tab | None = None
        self._left: Tab | None = None  # the last one, between its end and `settle`
        self._waiting_since = 0.0  # by the monotonic clock, while there is no login
        self._waiting: Stream | None = self._wait()
        self._over = ""  # id of the newest instance that the store has ended while it was served here
        self._expired = ""  # id of an instance whose UserSig has run out while it was served here
        # Messages of the log that were pushed on this connection: numbers above `_from`, up to `_reached`.
        self._from = self._reached = 0
        self._held_until: float | None = None  # set while pushes are held back until older messages have been pushed
        self._kick: Gone | None = None  # a kick that the page was sent and has not acknowledged
        self.close_code: int | None = None

    def serves(self, id: str) -> Instance | None:
        """The instance with this id, if it is served here and has not expired; None otherwise."""
        tab = self._tab
        if tab is not None and tab.instance.ends_at <= self._backend.clock() and not self._has_acted(tab):
            self._ended(End(0, Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, tab.instance.ends_at)))
        return self._tab.instance if self._tab is not None and self._tab.instance.id == id else None

    def _has_acted(self, tab: Tab) -> bool:
        """Whether the instance has not expired, as it has acted since the store was read; also while that is away."""
        if tab.instance.expiry_cause != IDLE:
            return False
        try:
            found = self._backend.find(tab.instance.id)
        except StoreUnavailable:
            return True
        if found.gone is None:
            tab.instance = found
        return found.gone is None or found.gone.reason != TYPES.KICKED_OUT_USERSIG_EXPIRED

    def log_in(self, ticket: Ticket, client: Client, id: str | None) -> tuple[Instance, list[str]]:
        """Logs an instance in and serves it, in place of any other. Returns it and the pushes of unread messages.

        Args:
            id: as in `Logins.enter`; that of the instance that is served here already changes nothing.

        Raises:
            What `Logins.enter` raises.
        """
        served = None if id is None else self.serves(id)
        if served is not None and not self._is_over():
            return served, []
        tab = Tab(self._backend, *self._backend.logins.enter(ticket, client, self._wake, id, HISTORY))
        self.log_out()  # the page can no longer attach its former instance
        self._switch_to(tab)
        _, unread = tab.waiting()
        tab.become_ready()
        self._from = self._reached = tab.seen
        self._held_until = None
        return tab.instance, _arrivals(tab, unread)

    def serve_again(self, id: str) -> None:
        """Serves an instance whose page is back. Nothing is pushed until the page reports the messages that it has.

        Raises:
            InstanceGone: it has ended; `.gone` has the reason.
        """
        if self.serves(id):
            return
        tab = Tab.open(self._backend, id, self._wake, most=0)
        self._switch_to(tab)
        self._from = self._reached = tab.read_before
        self._hold()

    def end(self, id: str) -> None:
        """Logs out the instance with this id, at the request of its page. One whose end was sent here has ended."""
        if id != self._over:
            self._backend.logout(id)
            if self.serves(id):
                self._switch_to(None)

    def log_out(self) -> None:
        """Logs out the instance that is served here: its page was reloaded or closed.

        An instance that its page has attached on a newer connection is not affected.
        """
        if self._tab is not None and not self._is_over():
            self._backend.logout(self._tab.instance.id, self._tab.number)

    def _is_over(self) -> bool:
        """Whether the instance that is served here has ended, although its page does not know yet."""
        return self._tab is not None and self._tab.over

    def lacks(self, cookie: int | None) -> bool:
        """Whether the page, which knows messages up to number `cookie`, lacks some; `missed` then reads the log."""
        return self._held_until is not None or (cookie is not None and cookie < self._from)

    def missed(self, cookie: int | None) -> tuple[int, bool, list[str]]:
        """The next pushes of the messages after number `cookie` of the account's log; None for a page that has none.

        After a lost connection that includes messages that count as read: they were written to the lost connection.

        Returns the number reached, whether no message is left, and the pushes.
        """
        if self._tab is None:
            return cookie or 0, True, []
        if cookie is None and self._held_until is not None:
            cookie = self._tab.before_login()
        if cookie is not None and cookie < self._from:
            self._from = self._reached = cookie
            self._hold()
        elif cookie is not None and self._held_until is not None:
            self._reached = max(self._reached, cookie)
        pushes = self._next_page() if self._held_until is not None else []
        return self._reached, self._held_until is None, pushes

    def patience(self, most: float) -> float:
        """Seconds, at most `most`, until `news` must be called without an event."""
        until = self._held_until
        if self._waiting is not None:
            until = self._waiting_since + self._timing.lobby
        return most if until is None else max(0.0, min(most, until - time.monotonic()))

    def news(self) -> list[str]:
        """The pushes of what happened since the last call."""
        tab = self._tab
        pushes: list[str] = []
        for item in self._read():
            match item:
                case End():
                    pushes += self._ended(item)
                case Message():
                    if tab is not None and self._held_until is None:
                        self._reached = item.seq
                        pushes += _arrivals(tab, [item])
                case InstancesChanged():
                    pass  # the SDK shows no list of instances
                case _:
                    assert_never(item)
        if self._held_until is not None and time.monotonic() >= self._held_until:
            pushes += self._next_page(hold=0)  # the page does not report which messages it has
        return pushes

    def _hold(self, seconds: float | None = None) -> None:
        self._held_until = time.monotonic() + (self._timing.missed_hold if seconds is None else seconds)

    def _next_page(self, hold: float | None = None) -> list[str]:
        """The pushes of the next messages that the page lacks. Ends the holding back when none is left."""
        tab = self._tab
        if tab is None:
            self._held_until = None
            return []
        self._reached, messages = tab.page_after(self._reached)
        self._hold(hold)
        if self._reached >= tab.seen:
            self._held_until = None
            tab.become_ready()
        return _arrivals(tab, messages)

    def has_expired(self, id: str) -> bool:
        """Whether the UserSig of this instance expired while it was served here; True only once."""
        if self.serves(id) or not id or self._expired != id:
            return False
        self._expired = ""
        return True

    def acknowledge(self, *, closed: bool = True) -> None:
        """Measures the kick that the page was sent, if any: the page has logged out or in again, or has `closed`.

        Without `closed`, the connection has ended and the page has sent nothing.
        """
        if self._kick is not None:
            self._backend.measures.kick(self._kick, self._backend.clock(), acknowledged=closed)
            self._kick = None

    def settle(self) -> None:
        """Does what the end of an instance leaves to do, once its page was sent it: nobody waits for this."""
        if self._left is not None:
            self._switch_to(None)

    def close(self) -> None:
        """Detaches the instance, which keeps its seat for the grace time, and leaves the lobby."""
        tab, waiting = self._tab or self._left, self._waiting
        self._tab = self._left = self._waiting = None
        if tab is not None:
            tab.close()
        if waiting is not None:
            self._leave(waiting)

    def _read(self) -> list[News]:
        if self._tab is None:
            if self._waiting is not None and time.monotonic() >= self._waiting_since + self._timing.lobby:
                return [End(CLOSE_LATER)]
            waiting = [] if self._waiting is None else self._waiting.take()
            return [item for item in waiting if isinstance(item, End)]
        try:
            return self._tab.read()
        except StoreUnavailable:
            return [End(CLOSE_LATER)]  # a page that connects again gets the whole state

    def _ended(self, end: End) -> list[str]:
        """Handles the end of the stream. Returns the pushes for the page."""
        if end.gone is None and end.code != CLOSE_MOVED:
            self.close_code = end.code
            return []
        tab = self._tab
        if tab is not None:
            self._tab, self._left, self._held_until = None, tab, None
        if end.gone is None or tab is None:
            return []
        if tab.over:
            self._over = tab.instance.id
        if end.gone.reason in KICKS:
            self._kick = end.gone
        if end.gone.reason == TYPES.KICKED_OUT_USERSIG_EXPIRED:
            self._expired = tab.instance.id  # no push exists for it; the SDK learns it from an answer
        kick_type = kick_type_of(end.gone)
        return [] if kick_type is None else [frames.kick(kick_type)]

    def _switch_to(self, tab: Tab | None) -> None:
        self._held_until = None
        before, waiting = self._tab or self._left, self._waiting
        self._left = None
        self._tab, self._waiting = tab, self._wait() if tab is None else None
        if waiting is not None:
            self._leave(waiting)
        if before is not None:
            before.close()

    def _wait(self) -> Stream:
        """Open the stream of a connection without a login: it counts as open, and receives the order to close."""
        stream = self._backend.open_anonymous(self._wake)
        self._waiting_since = time.monotonic()
        self._lobby.enter(stream, self._address)
        return stream

    def _leave(self, waiting: Stream) -> None:
        self._lobby.leave(waiting)
        self._backend.detach(waiting)


def kick_type_of(gone: Gone) -> int | None:
    """The KickType of this end; None where it is no kick."""
    if gone.reason == LOGGED_OUT and gone.by is not None:
        # Logged out by another instance of the account. Of the vendor's types this one fits best.
        return frames.KICK_TYPES[TYPES.KICKED_OUT_MULT_DEVICE]
    return frames.KICK_TYPES.get(gone.reason)


def _arrivals(tab: Tab, messages: list[Message]) -> list[str]:
    """The pushes of the messages that the instance has not sent itself."""
    mine = tab.instance
    return [frames.arrival(message, mine.app, mine.user) for message in messages if message.instance != mine.id]
