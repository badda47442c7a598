"""The replies to each command of the vendor's Web SDK.

The a2 of a frame names and authorises its instance; the connection authorises nothing.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from typing import Final

from tim.codes import BAD_SENDER, BODY_TOO_LARGE, MESSAGE_TOO_LONG, NOT_LOGGED_IN, USERSIG_EXPIRED
from tim.ends import CLOSE_LATER, LOGGED_OUT, TYPES, Client, Gone
from tim.errors import (
    BadParameter,
    IMError,
    InstanceGone,
    NotLoggedIn,
    StoreUnavailable,
    UserSigRefused,
)
from tim.input_rules import MAX_TEXT
from tim.model import Instance
from tim.rules import instance_id
from tim.web.context import Service
from tim.web.tencent import frames, stubs
from tim.web.tencent.connection import Page, kick_type_of
from tim.web.tencent.frames import Request, answer, refusal

ALIVE: Final = "heartbeat.alive"
LOGIN: Final = "im_open_status.wslogin"
LOGOUT: Final = "im_open_status.wslogout"
SEND: Final = "openim.sendmsg"
SYNC: Final = "openim.getmsg"
ACK: Final = "openim.ws_msg_push_ack"
REPORT: Final = "imopenstat.tim_web_report_v2"
LASTING: Final = frozenset({LOGOUT, SEND})
"""Commands that are executed even if the peer has left."""
PACED: Final = frozenset({LOGIN, SYNC})
"""Commands that an account or instance over its rate waits for."""
STORED: Final = PACED | LASTING
"""Commands that ask the store. Each is answered at once; the answer to another one leaves with the next."""
REACTIONS: Final = 6
"""How often a page could have asked for its lists while the answer to its logout waits."""
SYNC_GOES_ON: Final = 1
SYNC_DONE: Final = 2
TOO_LONG: Final = f"this request has more than {frames.MAX_FRAME} bytes; ask for less at once"
TEXT_TOO_LONG: Final = f"the message is far over the {MAX_TEXT} bytes of a text; send it in parts"
PAGE_ID: Final = re.compile(r"[0-9a-f]{32}")
COOKIE: Final = re.compile(r"[0-9]{1,18}")


class Commands:
    """Answers the requests of one page.

    Args:
        client: names the browser; called after a UserSig is verified, as it takes time.
        address: of the client.
        page_id: a random id that the SDK makes when its page is loaded and keeps over reconnects.
        follows: whether one of these commands waits behind the current one, or arrives shortly.
    """

    def __init__(
        self,
        service: Service,
        page: Page,
        *,
        client: Callable[[], Client],
        address: str,
        page_id: str,
        follows: Callable[..., bool],
    ) -> None:
        self._backend = service.backend
        self._timing = service.timing
        self._questions = service.questions
        self._returns = service.returns
        self._identity = service.identity
        self._page = page
        self._client = client
        self._address = address
        self._page_id = page_id
        self._follows = follows
        self._session = "", ("", 0)  # the newest valid A2Key, and its instance and generation: each frame has it
        self._welcomed: float | None = None  # when a login was answered, until the page has asked for something
        self._reaction = 0.0  # seconds from that answer to what the page asked next
        self._patient = True  # whether an end is reported only after a look at what follows; once for each login

    def delay(self, request: Request) -> float:
        """Seconds to wait before a PACED request is handled: more than 0 for an account or instance over its rate.

        A question that reads nothing, as the first one after a login, does not count.
        """
        id, _ = self._session_of(request)
        served = self._page.serves(id) if id else None
        if request.command == SYNC:
            if served is None or not self._page.lacks(_known(request)):
                return 0.0
            return self._questions.take((served.app, served.user))
        return self._returns.take(id) if id and served is None else 0.0

    def handle(self, request: Request) -> list[str]:
        """The answer to the request, and the pushes that it causes."""
        if self._welcomed is not None and request.command != ALIVE:
            self._reaction, self._welcomed = time.monotonic() - self._welcomed, None
        try:
            return self._handle(request)
        except InstanceGone as error:
            # The SDK fires KICKED_OUT for each answer with a kick, so only one answer may have it: neither a request
            # that is repeated on a new connection before the login, nor one that was sent before the end was known.
            if request.command != LOGIN and self._patient:
                if self._follows(LOGIN, LOGOUT):
                    return [refusal(request, frames.KICKED, error.message)]
                self._patient = False
            return [_dead(request, error.gone)]
        except IMError as error:
            return [refusal(request, error.code, error.message)]

    def _handle(self, request: Request) -> list[str]:
        token = request.text("a2")
        id, generation = self._session_of(request)
        # These succeed even if the instance has ended: the SDK would repeat them without end.
        if request.command == ALIVE:
            return [self._alive(request, id)]
        if request.command == REPORT:
            return [answer(request)]
        if request.command == LOGOUT:
            return self._log_out(request, id)
        if request.command == ACK:
            return []
        if request.command == LOGIN and not token:
            return self._log_in(request)
        if token and not id:
            raise UserSigRefused(USERSIG_EXPIRED, "the A2Key is not valid on this server; log in again")
        if request.command == LOGIN:
            return self._log_in_again(request, id, generation)
        if request.command == SEND:
            return self._send(request, id)
        if token:
            self._live(id)
        if request.is_cut:
            raise BadParameter("body", TOO_LONG, BODY_TOO_LARGE)
        if request.command == SYNC:
            return self._synchronise(request, id)
        return [stubs.reply(request, self._backend.sdk_app_id)]

    def _session_of(self, request: Request) -> tuple[str, int]:
        """The id of the instance that the request names and authorises, and the generation of its login; "" and 0
        without one. What was valid once stays valid, so each A2Key is verified once in a row."""
        token = request.text("a2")
        known, session = self._session
        if token and token != known:
            session = self._identity.session(token) or ("", 0)
            if session[0]:
                self._session = token, session
        return session if token else ("", 0)

    def _alive(self, request: Request, id: str) -> str:
        """A ping is answered with OK whatever its a2 is: most refusals make the SDK reconnect without a pause.

        One ping is refused, to report that the UserSig has expired.
        """
        if self._page.has_expired(id):
            return _dead(request, Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, 0))
        return answer(request)

    def _log_in(self, request: Request) -> list[str]:
        self._page.acknowledge()
        app = request.head.get("sdkappid")
        ticket = self._backend.verify(
            app if type(app) is int else 0, request.text("identifier"), request.text("usersig"), self._address
        )
        instance, waited = self._page.log_in(ticket, self._client(), self._id_for(request))
        self._patient = True
        token = self._identity.session_token(instance)
        self._session = token, (instance.id, instance.generation)
        return [self._welcome(request, instance, token, instance.generation), *waited]

    def _id_for(self, request: Request) -> str | None:
        """The id of the instance of this login: a login that is repeated because its answer was lost gets the same id.

        The SDK repeats the same frame on a new connection. Two logins differ in their seq, time or page.
        """
        if not PAGE_ID.fullmatch(self._page_id):
            return None
        made = request.head.get("reqtime")
        told = (request.text("identifier"), request.text("usersig"), request.seq, made if type(made) is int else 0)
        frame = f"{self._page_id}{told}".encode(errors="surrogatepass")
        unique = hashlib.blake2b(frame, digest_size=16).hexdigest()
        return instance_id(self._backend.sdk_app_id, request.text("identifier"), unique)

    def _log_in_again(self, request: Request, id: str, generation: int) -> list[str]:
        """Attaches the instance again, whose page has a new connection."""
        try:
            self._page.serve_again(id)
            self._patient = True
        except StoreUnavailable:
            # The SDK takes this refusal for success. It tries again if the connection is closed.
            self._page.close_code = CLOSE_LATER
            raise
        return [self._welcome(request, self._live(id), request.text("a2"), generation)]

    def _welcome(self, request: Request, instance: Instance, token: str, generation: int) -> str:
        self._welcomed = time.monotonic()
        return answer(
            request,
            A2Key=token,
            TinyId=frames.tiny_id(instance.app, instance.user),
            InstId=generation,
            HelloInterval=self._timing.hello_interval,
            TimeStamp=int(self._backend.clock()),
            CustomStatus="",
        )

    def _log_out(self, request: Request, id: str) -> list[str]:
        self._page.acknowledge()
        if id:
            self._page.end(id)
        time.sleep(self._until_timers())
        return [answer(request)]

    def _until_timers(self) -> float:
        """Seconds in which the timers that its last login has set in the page have run."""
        return min(self._timing.sdk_timer + REACTIONS * self._reaction, self._timing.sdk_logout)

    def _send(self, request: Request, id: str) -> list[str]:
        if not id:
            raise NotLoggedIn
        instance = self._live(id)
        if request.is_cut:
            raise BadParameter("MsgBody", TEXT_TOO_LONG, MESSAGE_TOO_LONG)
        outgoing = frames.parse_message(request.body)
        if request.body.get("From_Account", instance.user) != instance.user:
            raise BadParameter("From_Account", f"this page is logged in as {instance.user}", BAD_SENDER)
        # After a lost connection the SDK repeats unanswered requests before it logs in again.
        if not instance.online:
            self._page.serve_again(id)
        message = self._backend.send(id, outgoing.to, outgoing.text, frames.message_id(id, outgoing))
        return [answer(request, MsgTime=int(message.time), MsgKey=frames.message_key(message))]

    def _synchronise(self, request: Request, id: str) -> list[str]:
        """Pushes what the page has missed."""
        known = _known(request)
        reached, done, missed = self._page.missed(known) if self._page.serves(id) else (known or 0, True, [])
        # Pushes come before the answer, so its arrival confirms them. Without SYNC_DONE the SDK asks again.
        flag = SYNC_DONE if done else SYNC_GOES_ON
        return [*missed, answer(request, Cookie=str(reached), SyncFlag=flag, MsgList=[])]

    def _live(self, id: str) -> Instance:
        """The instance, if it is live or AWAY; raises InstanceGone otherwise."""
        return self._page.serves(id) or self._backend.get(id)


def _known(request: Request) -> int | None:
    """The cookie of a question for missed messages: the number of the page's last message; None where it has none."""
    cookie = request.body.get("Cookie")
    return int(cookie) if isinstance(cookie, str) and COOKIE.fullmatch(cookie) else None


def _dead(request: Request, gone: Gone) -> str:
    """The answer to a frame whose instance has ended, from which the SDK fires the right KICKED_OUT."""
    by = "" if gone.by is None else f" by {gone.by.browser} at {gone.by.address}"
    words = f"this instance has ended ({gone.reason}{by}); log in again"
    kick_type = kick_type_of(gone)
    if kick_type is not None:
        return refusal(request, frames.KICKED, words, KickType=kick_type, NewInstInfo={})
    return refusal(request, NOT_LOGGED_IN if gone.reason == LOGGED_OUT else USERSIG_EXPIRED, words)
