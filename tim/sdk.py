"""TIM, the vendor's Web SDK as a Python object: log in, receive events, send messages."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from tim.ends import CLOSE_CODES, CLOSE_CUT, CLOSE_LATER, Client
from tim.errors import BadParameter, IMError, InstanceGone, NotLoggedIn, NotReady, StoreUnavailable
from tim.events import EVENT, EVENT_WORDS, Event
from tim.input_rules import check_text, check_user_id
from tim.mailbox import End
from tim.model import Instance, Message
from tim.tab import Streams, Tab, events_of
from tim.timing import Timing

log = logging.getLogger("tim")
Handler = Callable[[Event], object]

REOPENED: Final = frozenset({CLOSE_LATER, CLOSE_CUT})
"""Close codes after which the stream is opened again. After any other the instance is logged out."""


@dataclass(frozen=True, slots=True)
class IMResponse:
    """The result of a call of the SDK."""

    code: int = 0
    data: dict[str, Any] = field(default_factory=dict)


class Service(Streams, Protocol):
    """What an SDK instance needs of the backend."""

    def clock(self) -> float:
        """Return unix seconds."""

    def login(self, sdk_app_id: int, user_id: str, user_sig: str, client: Client) -> Instance:
        """Verify the UserSig and admit an instance."""

    def logout(self, id: str) -> object:
        """End the instance."""

    def send(self, id: str, to: str, text: str, message_id: str) -> Message:
        """Send a message from the instance."""


class TIM:
    """One SDK instance, made by `Backend.create`.

    Where a promise of the vendor's SDK resolves, the call returns; where it rejects, the call raises. A thread of
    this object calls the handlers, one at a time, in the order of the events. The exception is the ERROR event of a
    refused call: the calling thread calls its handlers before the call raises.
    """

    def __init__(self, backend: Service, sdk_app_id: int, client: Client, timing: Timing) -> None:
        self._timing = timing
        self._backend = backend
        self._app = sdk_app_id
        self._client = client
        self._handlers: dict[str, list[Handler]] = {}
        self._lock = threading.RLock()  # owns the three below; held for a whole login or logout
        self._instance: Instance | None = None  # the one that is logged in
        self._tab: Tab | None = None  # its open stream
        self._runner: threading.Thread | None = None  # calls the handlers, from a login to the end of its instance
        self._delivered: int | None = None  # number of the newest message given to the handlers; the runner's own

    def on(self, name: str, handler: Handler) -> None:
        """Call `handler(event)` for each event of this name.

        Raises:
            BadParameter: EVENT has no event of this name.
        """
        self._handlers_of(name).append(handler)

    def off(self, name: str, handler: Handler) -> None:
        """Stop calling `handler` for events of this name. One that is not called has no effect.

        Raises:
            BadParameter: EVENT has no event of this name.
        """
        with suppress(ValueError):
            self._handlers_of(name).remove(handler)

    def _handlers_of(self, name: str) -> list[Handler]:
        if name not in EVENT_WORDS:
            raise BadParameter("name", f"there is no event {name!r}; use a name of EVENT, such as EVENT.SDK_READY")
        return self._handlers.setdefault(name, [])

    def login(self, user_id: str, user_sig: str) -> IMResponse:
        """Log in. The event SDK_READY follows after the unread messages.

        A repeated login of the same account has no effect and returns `repeatLogin`. A login of another account
        logs the first one out.

        Raises:
            IMError: refused, with a code from 70000; the login before stays as it is.
            StoreUnavailable: the same. Where the store has gone away only when the first one was to be logged out, the
                other account has an instance that nothing opens, until its grace time is over.
        """
        ok = {"actionStatus": "OK", "errorCode": 0, "errorInfo": ""}
        with self._reporting(), self._lock:
            if self._instance is not None and self._instance.user == user_id:
                return IMResponse(data={**ok, "repeatLogin": True})
            instance = self._backend.login(self._app, user_id, user_sig, self._client)
            if self._instance is not None:
                self._backend.logout(self._instance.id)
            self._instance = instance
            self._runner = threading.Thread(
                target=self._run, args=(instance, self._runner), name=f"tim-{user_id}", daemon=True
            )
            self._runner.start()
        return IMResponse(data={**ok, "instanceID": instance.generation, "timeStamp": int(self._backend.clock())})

    def logout(self) -> IMResponse:
        """Log this instance out, and no other. The event SDK_NOT_READY follows.

        Raises:
            NotLoggedIn: no account is logged in.
        """
        with self._reporting(), self._lock:
            instance = self._require()
            self._backend.logout(instance.id)
            self._instance = None
        return IMResponse()

    def destroy(self) -> None:
        """Remove all handlers, and log out if logged in."""
        self._handlers.clear()
        with self._lock:
            if self._instance is not None:
                self.logout()

    def is_ready(self) -> bool:
        """Return whether messages can be sent now."""
        instance, tab = self._instance, self._tab
        return instance is not None and tab is not None and tab.ready and tab.instance.id == instance.id

    def get_login_user(self) -> str:
        """Return the UserID that is logged in, or an empty string."""
        instance = self._instance
        return "" if instance is None else instance.user

    def get_server_time(self) -> int:
        """Return the time of the store, in milliseconds of unix time."""
        return int(self._backend.clock() * 1000)

    def create_text_message(self, to: str, text: str) -> Message:
        """Return a message to `to` that is not sent yet.

        Raises:
            BadParameter, MessageTooLong: the message breaks a rule.
        """
        return Message(
            0, secrets.token_hex(16), self.get_login_user(), check_user_id(to, "to"), check_text(text), 0, ""
        )

    def send_message(self, message: Message) -> IMResponse:
        """Send the message. Sending the same object again does not write it again.

        The response has the message that was written as `data["message"]`.

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
        """Call the handlers for the events of `instance`, after the thread of the instance before has finished."""
        if before is not None:
            before.join()
        work = threading.Event()
        self._delivered = None
        closed = False  # SDK_NOT_READY has been delivered
        while True:
            was_open, end = self._listen(instance, work, closed)
            with self._lock:
                logged_in = self._instance is instance
                if logged_in and end.code not in REOPENED:
                    self._instance = None
            # Once logout has returned there is no KICKED_OUT, even if a kick came at the same time.
            if was_open or not closed or end.code not in REOPENED:
                for event in events_of(end) if logged_in else [Event(EVENT.SDK_NOT_READY)]:
                    self._emit(event)
            if end.code not in REOPENED:
                return
            closed = True
            work.wait(self._timing.stream_retry)

    def _listen(self, instance: Instance, work: threading.Event, closed: bool) -> tuple[bool, End]:
        """Open the stream, after the messages that were delivered before, and deliver until it ends.

        Returns whether SDK_READY was reached, and the end of the stream. Where the stream was `closed` before, failing
        to open it again makes no further ERROR event.
        """
        opened = False
        try:
            with closing(Tab.open(self._backend, instance.id, work.set, self._delivered)) as tab:
                self._tab = tab
                _, unread = tab.waiting()
                if unread:
                    self._emit(Event(EVENT.MESSAGE_RECEIVED, list(unread)))
                self._delivered = tab.seen
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
                    self._delivered = item.seq

    def _emit(self, event: Event) -> None:
        for handler in list(self._handlers.get(event.name, ())):
            try:
                handler(event)
            except Exception:
                log.exception("a handler of %s failed", event.name)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Make an ERROR event of an IMError, and raise it."""
        try:
            yield
        except IMError as error:
            self._emit(Event(EVENT.ERROR, {"code": error.code, "message": error.message}))
            raise
