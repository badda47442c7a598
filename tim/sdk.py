"""TIM, the vendor's Web SDK as a Python object: what a script logs in, listens and sends with."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tim.errors import IMError, NotLoggedIn, NotReady, StoreUnavailable
from tim.events import EVENT, Event
from tim.hub import End
from tim.rules import Client, Message, check_text, check_user_id
from tim.tab import Tab

if TYPE_CHECKING:
    from tim.backend import Backend

log = logging.getLogger("tim")
Handler = Callable[[Event], object]


@dataclass(frozen=True, slots=True)
class IMResponse:
    """What a call of the SDK resolves with."""

    code: int = 0
    data: dict[str, Any] = field(default_factory=dict)


class TIM:
    """One SDK instance; made by `Backend.create`.

    A promise of the vendor's SDK that resolves is a call that returns, one that rejects is a call that raises.
    Handlers are called on a thread of this object, one at a time, in the order of the events.
    """

    def __init__(self, backend: Backend, sdk_app_id: int, client: Client) -> None:
        self._backend = backend
        self._app = sdk_app_id
        self._client = client
        self._handlers: dict[str, list[Handler]] = {}
        self._lock = threading.RLock()  # owns _tab; held over a whole login or logout, so that each is one step
        self._tab: Tab | None = None

    def on(self, name: str, handler: Handler) -> None:
        """Call `handler(event)` for each event of this name."""
        self._handlers.setdefault(name, []).append(handler)

    def off(self, name: str, handler: Handler) -> None:
        """Undo `on`."""
        self._handlers[name].remove(handler)

    def login(self, user_id: str, user_sig: str) -> IMResponse:
        """Log in. SDK_READY follows, as an event, once what waited for the account has been delivered.

        With the account that is logged in already it changes nothing and says `repeatLogin`; with another one
        the instance before it is logged out first.

        Raises:
            IMError: refused, with a code of the 70000s.
        """
        ok = {"actionStatus": "OK", "errorCode": 0, "errorInfo": ""}
        with self._reporting(), self._lock:
            if self.get_login_user() == user_id != "":
                return IMResponse(data={**ok, "repeatLogin": True})
            if self._tab is not None:
                self.logout()
            instance = self._backend.login(self._app, user_id, user_sig, self._client)
            work = threading.Event()
            tab = self._tab = Tab(self._backend, instance.id, work.set)
            threading.Thread(target=self._run, args=(tab, work), name=f"tim-{user_id}", daemon=True).start()
        return IMResponse(data={**ok, "instanceID": instance.generation, "timeStamp": int(self._backend.clock())})

    def logout(self) -> IMResponse:
        """Take this instance offline, and no other. SDK_NOT_READY follows.

        Raises:
            NotLoggedIn: it is not logged in.
        """
        with self._reporting(), self._lock:
            tab = self._require()
            self._backend.logout(tab.instance.id)
            tab.ready = False
            self._tab = None
        return IMResponse()

    def destroy(self) -> None:
        """Log out where logged in, and call no handler any more."""
        self._handlers.clear()
        with self._lock:
            if self._tab is not None:
                self.logout()

    def is_ready(self) -> bool:
        """Whether messages can be sent now."""
        tab = self._tab
        return tab is not None and tab.ready

    def get_login_user(self) -> str:
        """The UserID that is logged in, or an empty string."""
        tab = self._tab
        return "" if tab is None else tab.instance.user

    def get_server_time(self) -> int:
        """The server's clock, in milliseconds of unix time."""
        return int(self._backend.clock() * 1000)

    def create_text_message(self, to: str, text: str) -> Message:
        """A message to `to`, not sent yet.

        Raises:
            BadParameter, MessageTooLong: it could never be sent.
        """
        return Message(
            0, secrets.token_hex(16), self.get_login_user(), check_user_id(to, "to"), check_text(text), 0, ""
        )

    def send_message(self, message: Message) -> IMResponse:
        """Send it; the same object sent again is the same message again. The answer has it as `data["message"]`.

        Raises:
            NotLoggedIn, NotReady, NoSuchAccount, StoreUnavailable: it was not sent.
        """
        with self._reporting():
            tab = self._require()
            if not tab.ready:
                raise NotReady
            sent = self._backend.send(tab.instance.id, message.to, message.text, message.id)
        return IMResponse(data={"message": sent})

    def _require(self) -> Tab:
        if self._tab is None:
            raise NotLoggedIn
        return self._tab

    def _run(self, tab: Tab, work: threading.Event) -> None:
        """Deliver to the handlers, from attach to the end of the stream."""
        try:
            _, unread = tab.waiting()
            if unread:
                self._emit(Event(EVENT.MESSAGE_RECEIVED, list(unread)))
            tab.become_ready()
            self._emit(Event(EVENT.SDK_READY))
            while True:
                work.wait()
                work.clear()
                for item in tab.read():
                    if isinstance(item, End):
                        return self._ended(tab, item)
                    for event in tab.events(item):
                        self._emit(event)
        except IMError as error:
            log.warning("%s: %s", tab.instance.user, error)
            self._emit(Event(EVENT.ERROR, {"code": error.code, "message": error.message}))
        finally:
            with suppress(StoreUnavailable):
                tab.close()

    def _ended(self, tab: Tab, end: End) -> None:
        with self._lock:
            if self._tab is tab:
                self._tab = None
        for event in tab.events(end):
            self._emit(event)

    def _emit(self, event: Event) -> None:
        for handler in list(self._handlers.get(event.name, ())):
            try:
                handler(event)
            except Exception:
                log.exception("a handler of %s failed", event.name)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """A refused call is an ERROR event as well."""
        try:
            yield
        except IMError as error:
            self._emit(Event(EVENT.ERROR, {"code": error.code, "message": error.message}))
            raise
