"""What each command of the vendor's Web SDK is answered with.

Each frame says by its a2 for which instance it speaks; the connection proves nothing.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from typing import Final

from tim.ends import CLOSE_LATER, LOGGED_OUT, TYPES, UNKNOWN, Client, Gone
from tim.errors import (
    BAD_SENDER,
    NOT_LOGGED_IN,
    USERSIG_EXPIRED,
    BadParameter,
    IMError,
    InstanceGone,
    NotLoggedIn,
    StoreUnavailable,
    UserSigRefused,
)
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
"""What is carried out also where nobody is left to read the answer."""
SYNC_GOES_ON: Final = 1
SYNC_DONE: Final = 2
PAGE_ID: Final = re.compile(r"[0-9a-f]{32}")
COOKIE: Final = re.compile(r"[0-9]{1,18}")


class Commands:
    """Answers the requests of one page.

    Args:
        client: names the browser; asked for once a login has verified, as that takes time.
        address: where the connection comes from.
        sdk_version: of the SDK, as it says itself.
        page_id: what the SDK makes at random when its page is loaded, and keeps over reconnects.
        follows: whether one of these commands has come behind the one that is being answered, or does in a moment.
    """

    def __init__(
        self,
        service: Service,
        page: Page,
        *,
        client: Callable[[], Client],
        address: str,
        page_id: str,
        sdk_version: str,
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
        self._is_old = sdk_version.startswith("2.")
        self._follows = follows
        self._patient = True  # whether an end is still to be told with a look at what follows; once for each login

    def delay(self, request: Request) -> float:
        """Seconds to wait before the request is handled, where its account or instance asks for much of the store."""
        id, _ = self._identity.session(request.text("a2")) or ("", 0)
        served = self._page.serves(id) if id else None
        if request.command == SYNC and served is not None:
            return self._questions.take((served.app, served.user))
        if request.command == LOGIN and id and served is None:
            return self._returns.take(id)
        return 0.0

    def handle(self, request: Request) -> list[str]:
        """The frames that answer the request, and what it has set free to be told."""
        try:
            return self._handle(request)
        except InstanceGone as error:
            # The SDK tells its page of a kick for each answer that speaks of one. So one is to: not what it repeats
            # over a new line before it logs in again, nor what it had sent before it heard of its end.
            if request.command != LOGIN and self._patient:
                if self._follows(LOGIN, LOGOUT):
                    return [refusal(request, frames.KICKED, error.message)]
                self._patient = False
            return [_dead(request, error.gone)]
        except IMError as error:
            return [refusal(request, error.code, error.message)]

    def _handle(self, request: Request) -> list[str]:
        token = request.text("a2")
        id, generation = self._identity.session(token) or ("", 0)
        # These are answered whatever has become of the instance: the SDK asks again and again where they are not.
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
            raise UserSigRefused(USERSIG_EXPIRED, "this session is none of this server's; log in again")
        if request.command == LOGIN:
            return self._log_in_again(request, id, generation)
        if request.command == SEND:
            return self._send(request, id)
        if token:
            self._live(id)
        if request.command == SYNC:
            return self._synchronise(request, id)
        return [stubs.reply(request, self._backend.sdk_app_id)]

    def _alive(self, request: Request, id: str) -> str:
        """A ping is answered with OK whatever its a2 is: most refusals make the SDK reconnect without a pause.

        But it is by a ping that an SDK hears, once, that its UserSig has run out.
        """
        if self._page.has_expired(id):
            return _dead(request, Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, 0))
        return answer(request)

    def _log_in(self, request: Request) -> list[str]:
        app = request.head.get("sdkappid")
        ticket = self._backend.verify(
            app if type(app) is int else 0, request.text("identifier"), request.text("usersig"), self._address
        )
        instance = self._backend.admit(ticket, self._client(), self._id_for(request))
        if not self._page.serves(instance.id):
            self._page.log_out()  # nobody is left who could come back to what this page was before
        waited = self._page.serve(instance.id)
        self._patient = True
        return [self._welcome(request, instance, self._identity.session_token(instance), instance.generation), *waited]

    def _id_for(self, request: Request) -> str | None:
        """The id of the instance that this login asks for: sent again as its answer was lost, it is one login.

        The SDK then sends the very same frame over a new line; two logins differ in their number, time or page.
        """
        if not PAGE_ID.fullmatch(self._page_id):
            return None
        made = request.head.get("reqtime")
        told = (request.text("identifier"), request.text("usersig"), request.seq, made if type(made) is int else 0)
        frame = f"{self._page_id}{told}".encode(errors="surrogatepass")
        unique = hashlib.blake2b(frame, digest_size=16).hexdigest()
        id = instance_id(self._backend.sdk_app_id, request.text("identifier"), unique)
        before = self._backend.find(id).gone
        return id if before is None or before.reason == UNKNOWN else None

    def _log_in_again(self, request: Request, id: str, generation: int) -> list[str]:
        """The page has a new line, and the instance goes on as it was."""
        try:
            self._page.serve_again(id)
            self._patient = True
        except StoreUnavailable:
            # The SDK would take this refusal for success. A line that closes it tries again.
            self._page.goodbye = CLOSE_LATER
            raise
        return [self._welcome(request, self._live(id), request.text("a2"), generation)]

    def _welcome(self, request: Request, instance: Instance, token: str, generation: int) -> str:
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
        if id:
            self._backend.logout(id)
            self._page.let_go(id)
        if self._is_old:
            time.sleep(self._timing.old_sdk_logout)
        return [answer(request)]

    def _send(self, request: Request, id: str) -> list[str]:
        if not id:
            raise NotLoggedIn
        instance = self._live(id)
        outgoing = frames.parse_message(request.body)
        if request.body.get("From_Account", instance.user) != instance.user:
            raise BadParameter("From_Account", f"this page is logged in as {instance.user}", BAD_SENDER)
        # After a lost line the SDK first repeats what was not answered, and only then logs in again.
        if not instance.online:
            self._page.serve_again(id)
        message = self._backend.send(id, outgoing.to, outgoing.text, frames.message_id(id, outgoing))
        return [answer(request, MsgTime=int(message.time), MsgKey=frames.message_key(message))]

    def _synchronise(self, request: Request, id: str) -> list[str]:
        """Tell what the page has missed; its cookie is the number of the last message it has, none at first."""
        cookie = request.body.get("Cookie")
        known = int(cookie) if isinstance(cookie, str) and COOKIE.fullmatch(cookie) else None
        reached, done, missed = self._page.missed(known) if self._page.serves(id) else (known or 0, True, [])
        # The pushes first: an answer that arrives says that they have. One that is not done makes the SDK ask on.
        flag = SYNC_DONE if done else SYNC_GOES_ON
        return [*missed, answer(request, Cookie=str(reached), SyncFlag=flag, MsgList=[])]

    def _live(self, id: str) -> Instance:
        """The instance, if it lives or may still come back; raises InstanceGone otherwise."""
        return self._page.serves(id) or self._backend.get(id, or_away=True)


def _dead(request: Request, gone: Gone) -> str:
    """The answer to a frame whose instance has ended. The SDK makes the right KICKED_OUT of it."""
    by = "" if gone.by is None else f" by {gone.by.browser} at {gone.by.address}"
    words = f"this instance has ended ({gone.reason}{by}); log in again"
    kick_type = kick_type_of(gone)
    if kick_type is not None:
        return refusal(request, frames.KICKED, words, KickType=kick_type, NewInstInfo={})
    return refusal(request, NOT_LOGGED_IN if gone.reason == LOGGED_OUT else USERSIG_EXPIRED, words)
