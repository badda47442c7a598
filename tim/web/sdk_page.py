"""A page of the vendor's Web SDK: one connection, and the instance that is served on it.

Each frame says by its a2 for which instance it speaks; the connection proves nothing. An instance is served
(told of messages and of its end) on the connection that logged it in last. A page whose instance has ended
keeps its connection: it logs in again on it, or goes on pinging.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from tim import startup, wire
from tim.backend import Backend
from tim.errors import (
    BAD_SENDER,
    NOT_LOGGED_IN,
    USERSIG_EXPIRED,
    BadParameter,
    IMError,
    InstanceGone,
    NotLoggedIn,
    StoreUnavailable,
)
from tim.events import CLOSE_LATER, CLOSE_MOVED, LOGGED_OUT, TYPES
from tim.hub import End, Item, Stream
from tim.rules import Client, Gone, Instance, Message
from tim.tab import Tab
from tim.web.identity import Identity
from tim.wire import Request, answer, refusal

ALIVE: Final = "heartbeat.alive"
LOGIN: Final = "im_open_status.wslogin"
LOGOUT: Final = "im_open_status.wslogout"
SEND: Final = "openim.sendmsg"
ACK: Final = "openim.ws_msg_push_ack"
REPORT: Final = "imopenstat.tim_web_report_v2"
HELLO_INTERVAL: Final = 20
"""Seconds between the SDK's hellos. With the server away it is a hello that makes the SDK try again."""
PAGE_CLOSED: Final = 1001
"""What a browser closes a socket with when its page is closed or loaded anew."""


class Page:
    """One connection of the SDK.

    Args:
        wake: called, from any thread, when `news` has something.

    Attributes:
        goodbye: what the connection is to be closed with now; None while it is to stay.
    """

    # Everything here is owned by the one thread that serves the connection.

    def __init__(self, backend: Backend, identity: Identity, client: Client, wake: Callable[[], None]) -> None:
        self._backend = backend
        self._identity = identity
        self._client = client
        self._wake = wake
        self._tab: Tab | None = None
        self._lobby: Stream | None = self._wait_in_lobby()
        self._expired = ""  # id of an instance that ran out here and has not been told of it yet
        self.goodbye: int | None = None

    def news(self) -> list[str]:
        """The frames that are to go out because something has happened elsewhere."""
        if self._tab is None:
            items: list[Item] = [] if self._lobby is None else self._lobby.take()
            tab = None
        else:
            tab = self._tab
            try:
                items = tab.read()
            except StoreUnavailable:
                items = [End(CLOSE_LATER)]
        frames = []
        for item in items:
            if isinstance(item, Message) and tab is not None and item.instance != tab.instance.id:
                frames.append(wire.arrival(item, tab.instance.user))
            elif isinstance(item, End):
                frames += self._ended(item)
        return frames

    def handle(self, request: Request) -> list[str]:
        """The frames that answer a request."""
        try:
            return self._handle(request)
        except InstanceGone as error:
            return [self._dead(request, error.gone)]
        except IMError as error:
            return [refusal(request, error.code, error.message)]

    def close(self, code: int | None) -> None:
        """The connection has been closed with `code`. A page that is gone gives up its seat at once."""
        try:
            if self._tab is not None and code == PAGE_CLOSED:
                self._backend.logout(self._tab.instance.id)
        finally:
            self._serve(None)
            if self._lobby is not None:
                self._backend.hub.close(self._lobby)

    def _handle(self, request: Request) -> list[str]:
        id, generation = self._identity.session(request.text("a2")) or ("", 0)
        if request.command == ALIVE:
            return [self._alive(request, id)]
        if request.command == ACK:
            return []
        if request.command == REPORT:
            return [answer(request)]
        if request.command == LOGOUT:
            return self._log_out(request, id)
        if request.command == LOGIN and not request.text("a2"):
            return self._log_in(request)
        if request.command == LOGIN:
            return self._log_in_again(request, id, generation)
        if request.command == SEND:
            return self._send(request, id)
        if request.text("a2"):
            self._live(id)
        return [startup.reply(request, self._backend.sdk_app_id)]

    def _alive(self, request: Request, id: str) -> str:
        """A ping is answered with OK whatever its a2 is: anything else makes the SDK reconnect without a pause.

        But it is by a ping that an SDK hears, once, that its UserSig has run out; there is no push for that.
        """
        if self._tab is not None and self._tab.instance.expires <= self._backend.clock():
            self._ended(End(0, Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, self._tab.instance.expires)))
        if not id or self._expired != id:
            return answer(request)
        self._expired = ""
        return self._dead(request, Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, 0))

    def _log_in(self, request: Request) -> list[str]:
        app = request.head.get("sdkappid")
        instance = self._backend.login(
            app if type(app) is int else 0, request.text("identifier"), request.text("usersig"), self._client
        )
        if self._tab is not None:
            # The page has begun anew; nobody is left who could come back to what it was before.
            self._backend.logout(self._tab.instance.id)
        tab = Tab(self._backend, instance.id, self._wake)
        return self._welcome(request, tab, self._identity.session_token(instance), instance.generation)

    def _log_in_again(self, request: Request, id: str, generation: int) -> list[str]:
        tab = self._tab
        if tab is None or tab.instance.id != id:
            try:
                tab = Tab(self._backend, self._known(id), self._wake)
            except StoreUnavailable:
                # The SDK would take any other refusal for success. A closed line it tries again.
                self.goodbye = CLOSE_LATER
                raise
        return self._welcome(request, tab, request.text("a2"), generation)

    def _welcome(self, request: Request, tab: Tab, token: str, generation: int) -> list[str]:
        welcome = answer(
            request,
            A2Key=token,
            TinyId=wire.tiny_id(tab.instance.app, tab.instance.user),
            InstId=generation,
            HelloInterval=HELLO_INTERVAL,
            TimeStamp=int(self._backend.clock()),
            CustomStatus="",
        )
        return [welcome, *self._begin(tab)]

    def _begin(self, tab: Tab) -> list[str]:
        """Serve `tab` from now on; what waited for it."""
        if tab is self._tab:
            return []
        self._serve(tab)
        _, unread = tab.waiting()
        tab.become_ready()
        return [wire.arrival(message, tab.instance.user) for message in unread]

    def _log_out(self, request: Request, id: str) -> list[str]:
        if id:
            self._backend.logout(id)
        if self._tab is not None and self._tab.instance.id == id:
            self._serve(None)
        return [answer(request)]

    def _send(self, request: Request, id: str) -> list[str]:
        if not request.text("a2"):
            raise NotLoggedIn
        instance = self._live(id)
        outgoing = wire.parse_message(request.body)
        if request.body.get("From_Account", instance.user) != instance.user:
            raise BadParameter("From_Account", f"this page is logged in as {instance.user}", BAD_SENDER)
        # After a lost line the SDK first repeats what was not answered, and only then logs in again.
        waited = [] if instance.online else self._begin(Tab(self._backend, id, self._wake))
        message = self._backend.send(id, outgoing.to, outgoing.text, wire.message_id(id, outgoing))
        return [answer(request, MsgTime=int(message.time), MsgKey=wire.message_key(message)), *waited]

    def _live(self, id: str) -> Instance:
        """The instance, if it lives or may still come back; raises InstanceGone otherwise."""
        if self._tab is not None and self._tab.instance.id == id:
            return self._tab.instance
        return self._backend.get(self._known(id), or_away=True)

    def _known(self, id: str) -> str:
        if not id:
            raise IMError(USERSIG_EXPIRED, "this session is none of this server's; log in again")
        return id

    def _dead(self, request: Request, gone: Gone) -> str:
        """The answer to a frame whose instance has ended: the SDK makes the right KICKED_OUT of it."""
        kick_type = _kick_type(gone)
        if kick_type is not None:
            return refusal(request, wire.KICKED, _words(gone), KickType=kick_type, NewInstInfo={})
        if gone.reason == LOGGED_OUT:
            return refusal(request, NOT_LOGGED_IN, "logged out; log in again")
        return refusal(request, USERSIG_EXPIRED, _words(gone))

    def _ended(self, end: End) -> list[str]:
        """The stream of the instance that is served here has ended."""
        gone = end.gone
        if gone is None and end.code != CLOSE_MOVED:
            self.goodbye = end.code
            return []
        if gone is not None and gone.reason == TYPES.KICKED_OUT_USERSIG_EXPIRED and self._tab is not None:
            self._expired = self._tab.instance.id
        self._serve(None)
        kick_type = None if gone is None else _kick_type(gone)
        return [] if kick_type is None else [wire.kick(kick_type)]

    def _serve(self, tab: Tab | None) -> None:
        """Serve `tab`, and nobody else, from now on. A connection that serves nobody waits in the lobby."""
        before, lobby = self._tab, self._lobby
        self._tab, self._lobby = tab, None if tab is not None else self._wait_in_lobby()
        if lobby is not None:
            self._backend.hub.close(lobby)
        if before is not None:
            before.close()

    def _wait_in_lobby(self) -> Stream:
        """A stream of no instance: it counts as one, and hears that the server stops."""
        return self._backend.hub.open(0, "", f"lobby-{secrets.token_hex(8)}", self._wake)


def _kick_type(gone: Gone) -> int | None:
    if gone.reason == LOGGED_OUT and gone.by is not None:
        # Another instance of the account has logged this one out: the vendor's word for it is multipleDevice.
        return wire.KICK_TYPES[TYPES.KICKED_OUT_MULT_DEVICE]
    return wire.KICK_TYPES.get(gone.reason)


def _words(gone: Gone) -> str:
    by = "" if gone.by is None else f" by {gone.by.browser} at {gone.by.address}"
    return f"this instance has ended{by} ({gone.reason}); log in again"
