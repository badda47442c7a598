"""TIM, the vendor's Web SDK as a Python object: what a script logs in, listens and sends with."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tim.ends import CLOSE_CODES, CLOSE_LATER, Client
from tim.errors import IMError, InstanceGone, NotLoggedIn, NotReady, StoreUnavailable
from tim.events import EVENT, Event
from tim.hub import End
from tim.model import Instance, Message
from tim.rules import check_text, check_user_id
from tim.tab import Tab, events_of
from tim.timing import Timing

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
    Handlers are called on a thread of this object, one at a time, in the order of the events; the ERROR of a
    refused call alone is told by the caller itself, before the call raises.
    """

    def __init__(self, backend: Backend, sdk_app_id: int, client: Client, timing: Timing) -> None:
        self._timing = timing
        self._backend = backend
        self._app = sdk_app_id
        self._client = client
        self._handlers: dict[str, list[Handler]] = {}
        self._lock = threading.RLock()  # owns the three below; held over a whole login or logout, so each is one step
        self._instance: Instance | None = None  # who is logged in
        self._tab: Tab | None = None  # its stream, while it is open
        self._runner: threading.Thread | None = None  # calls the handlers, from a login to the end of its instance
        self._told: int | None = None  # number of the newest message the handlers were told; owned by the runner

    def on(self, name: str, handler: Handler) -> None:
        """Call `handler(event)` for each event of this name."""
        self._handlers.setdefault(name, []).append(handler)

    def off(self, name: str, handler: Handler) -> None:
        """Undo `on`."""
        self._handlers[name].remove(handler)

    def login(self, user_id: str, user_sig: str) -> IMResponse:
        """Log in. SDK_READY follows, as an event, once what waited for the account has been delivered.

        With the account that is logged in already it changes nothing and says `repeatLogin`; with another one
        the instance before it is logged out.

        Raises:
            IMError: refused, with a code of the 70000s; nothing has changed.
        """
        ok = {"actionStatus": "OK", "errorCode": 0, "errorInfo": ""}
        with self._reporting(), self._lock:
            if self._instance is not None and self._instance.user == user_id:
                return IMResponse(data={**ok, "repeatLogin": True})
            instance = self._backend.login(self._app, user_id, user_sig, self._client)
            if self._instance is not None:
                self.logout()
            self._instance = instance
            self._runner = threading.Thread(
                target=self._run, args=(instance, self._runner), name=f"tim-{user_id}", daemon=True
            )
            self._runner.start()
        return IMResponse(data={**ok, "instanceID": instance.generation, "timeStamp": int(self._backend.clock())})

    def logout(self) -> IMResponse:
        """Take this instance offline, and no other. SDK_NOT_READY follows.

        Raises:
            NotLoggedIn: it is not logged in.
        """
        with self._reporting(), self._lock:
            instance = self._require()
            self._backend.logout(instance.id)
            self._instance = None
        return IMResponse()

    def destroy(self) -> None:
        """Log out where logged in, and call no handler any more."""
        self._handlers.clear()
        with self._lock:
            if self._instance is not None:
                self.logout()

    def is_ready(self) -> bool:
        """Whether messages can be sent now."""
        instance, tab = self._instance, self._tab
        return instance is not None and tab is not None and tab.ready and tab.instance.id == instance.id

    def get_login_user(self) -> str:
        """The UserID that is logged in, or an empty string."""
        instance = self._instance
        return "" if instance is None else instance.user

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
            instance = self._require()
            if not self.is_ready():
                raise NotReady
            sent = self._backend.send(instance.id, message.to, message.text, message.id)
        return IMResponse(data={"message": sent})

    def _require(self) -> Instance:
        instance = self._instance
        if instance is None:
            raise NotLoggedIn
        return instance

    def _run(self, instance: Instance, before: threading.Thread | None) -> None:
        """Deliver to the handlers what happens to `instance`, after all that happened to the one before it."""
        if before is not None:
            before.join()
        work = threading.Event()
        self._told = None
        closed = False  # the handlers know that its stream is closed
        while True:
            was_open, end = self._listen(instance, work, closed)
            with self._lock:
                logged_in = self._instance is instance
                if logged_in and end.code != CLOSE_LATER:
                    self._instance = None
            # After a logout has returned, nobody hears of a kick that came at the same time.
            if was_open or not closed or end.code != CLOSE_LATER:
                for event in events_of(end) if logged_in else [Event(EVENT.SDK_NOT_READY)]:
                    self._emit(event)
            if end.code != CLOSE_LATER:
                return
            closed = True
            work.wait(self._timing.stream_retry)

    def _listen(self, instance: Instance, work: threading.Event, closed: bool) -> tuple[bool, End]:
        """Open the stream, after what was told already, and deliver until it ends.

        Returns whether it got as far as SDK_READY, and its end, or why it cannot be opened. That it can still not
        be opened is no news where it was `closed` before.
        """
        opened = False
        try:
            with closing(Tab(self._backend, instance.id, work.set, self._told)) as tab:
                self._tab = tab
                _, unread = tab.waiting()
                if unread:
                    self._emit(Event(EVENT.MESSAGE_RECEIVED, list(unread)))
                self._told = tab.seen
                tab.become_ready()
                opened = True
                if self._instance is instance:
                    self._emit(Event(EVENT.SDK_READY))
                return opened, self._deliver(tab, work, instance)
        except InstanceGone as error:
            return opened, End(CLOSE_CODES[error.gone.reason], error.gone)
        except StoreUnavailable as error:
            if opened or not closed:
                self._emit(Event(EVENT.ERROR, {"code": error.code, "message": error.message}))
            return opened, End(CLOSE_LATER)

    def _deliver(self, tab: Tab, work: threading.Event, instance: Instance) -> End:
        while True:
            work.wait()
            work.clear()
            for item in tab.read():
                if isinstance(item, End):
                    return item
                for event in tab.events(item) if self._instance is instance else []:
                    self._emit(event)
                if isinstance(item, Message):
                    self._told = item.seq

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
