"""Signed cookies and tokens, each valid for one purpose, and one instance where it has one."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections.abc import Callable
from typing import Final

from flask import Request, Response
from itsdangerous.encoding import base64_decode, base64_encode

from tim.ends import LOGGED_OUT
from tim.latest import Latest
from tim.model import Instance
from tim.operators import Role, Session
from tim.rules import NOT_ME_LIFE, REMEMBERED, SIGN_IN_LIFE
from tim.web.notice import Notice
from tim.web.pending import PendingLogin
from tim.web.signer import Signer

TAB: Final = "tab"
BROWSER: Final = "browser"
CONSOLE: Final = "console"
NOTICE: Final = "notice"
NOTICE_LIFE: Final = 600
"""Seconds for which the login page shows why a tab has ended."""
CHOICE_LIFE: Final = 120
"""Seconds within which the user of a login chooses which instances end."""
ON_ITS_WAY: Final = 60
"""Seconds for which the notice may be on its way from the tab to the login page."""
LONGEST_NOTICE: Final = 2048
"""Characters of a notice in a cookie. A longer one is read from the store: proxies limit the headers of a response."""


class Identity:
    """Signs and verifies cookies and tokens.

    Args:
        keys: oldest first; the last one signs, all verify.
        clock: unix seconds.
    """

    def __init__(self, keys: list[str], clock: Callable[[], float]) -> None:
        latest = Latest(clock)
        self._tab = Signer(keys, "tim.tab", clock, latest)
        self._browser = Signer(keys, "tim.browser", clock, latest)
        self._ticket = Signer(keys, "tim.notice", clock, latest)
        self._end = Signer(keys, "tim.end", clock, latest)
        self._proof = Signer(keys, "tim.not-me", clock, latest)
        self._choice = Signer(keys, "tim.choice", clock, latest)
        self._session = Signer(keys, "tim.session", clock, latest)
        self._console = Signer(keys, "tim.console", clock, latest)
        self.webhook_token = Signer(keys, "tim.webhook-token", clock, latest)

    def set_tab(self, request: Request, response: Response, instance: str) -> None:
        """Sets the cookie that makes the browser the tab of `instance`, for the paths of that tab alone.

        It lasts until the browser is closed. Its signature expires after REMEMBERED seconds.
        """
        _set(request, response, TAB, self._tab.sign(instance), f"{request.script_root}/im/{instance}")

    def clear_tab(self, request: Request, response: Response, instance: str) -> None:
        """Deletes the cookie of that tab."""
        _set(request, response, TAB, "", f"{request.script_root}/im/{instance}", life=0)

    def is_tab(self, request: Request, instance: str) -> bool:
        """Whether the request carries the valid cookie of the tab of `instance`."""
        return self._tab.signs(request.cookies.get(TAB), instance, life=REMEMBERED)

    def set_browser(self, request: Request, response: Response) -> None:
        """Sets the browser's cookie: a random number that only this browser and this service know."""
        _set(request, response, BROWSER, self._browser.sign(secrets.token_hex(16)), f"{request.script_root}/")

    def browser(self, request: Request) -> str | None:
        """The number in the browser's cookie; None without a valid one."""
        return self.browser_in(request.cookies.get(BROWSER))

    def browser_in(self, cookie: str | None) -> str | None:
        """The same, of a cookie that was read before."""
        return self._browser.read(cookie, life=math.inf)

    def ticket(self, instance: str) -> str:
        """The token in the address of the login page that names `instance`; it grants no access by itself."""
        return self._ticket.sign(instance)

    def noticed(self, request: Request, ticket: str) -> str | None:
        """The instance whose end may be shown to the sender of the request; None without permission.

        The ticket must be at most NOTICE_LIFE seconds old, and the login must come from the same browser.
        """
        instance = self._ticket.read(ticket, life=NOTICE_LIFE)
        return instance if instance is not None and self.is_own(request, instance) else None

    def set_notice(self, request: Request, response: Response, notice: Notice) -> None:
        """Sets the cookie that carries the notice to the login page, which thus need not read it from the store."""
        value = self._end.sign(base64_encode(notice.dump()).decode())
        if len(value) <= LONGEST_NOTICE:
            _set(request, response, NOTICE, value, f"{request.script_root}/login", life=ON_ITS_WAY)

    def notice(self, request: Request, instance: str) -> Notice | None:
        """The notice of `instance` in the cookie of the request; None where it has none, or that of another tab."""
        found = self._carried(request)
        return found if found is not None and found.id == instance else None

    def logged_out(self, request: Request, user: str) -> Notice | None:
        """The notice in the cookie of the request, if a tab of `user` in this browser has just logged itself out."""
        found = self._carried(request)
        if found is None or (found.user, found.gone.reason, found.gone.by) != (user, LOGGED_OUT, None):
            return None
        return found if self.is_own(request, found.id) else None

    def _carried(self, request: Request) -> Notice | None:
        """The notice in the cookie of the request."""
        text = self._end.read(request.cookies.get(NOTICE), life=ON_ITS_WAY)
        return None if text is None else Notice.load(base64_decode(text).decode())

    def clear_notice(self, request: Request, response: Response) -> None:
        """Deletes the cookie of the notice, which the response shows."""
        _set(request, response, NOTICE, "", f"{request.script_root}/login", life=0)

    def proof(self, instance: str) -> str:
        """The token with which the evicted `instance` says "that wasn't me"."""
        return self._proof.sign(instance)

    def proven(self, request: Request, proof: str) -> str | None:
        """The instance whose proof this is; None unless the request comes from its own browser, within NOT_ME_LIFE."""
        instance = self._proof.read(proof, life=NOT_ME_LIFE)
        return instance if instance is not None and self.is_own(request, instance) else None

    def choice(self, login: PendingLogin) -> str:
        """The token of a form in which the user of a login chooses which instances end."""
        return self._choice.sign(base64_encode(login.dump()).decode())

    def pending(self, request: Request, token: str) -> PendingLogin | None:
        """The login in the token; None where that is over CHOICE_LIFE seconds old, altered or of another browser."""
        text = self._choice.read(token, life=CHOICE_LIFE)
        login = None if text is None else PendingLogin.load(base64_decode(text).decode())
        return login if login is not None and self.is_own(request, login.id) else None

    def is_own(self, request: Request, instance: str) -> bool:
        """Whether the request comes from the browser that logged `instance` in."""
        return is_login_of(self.browser(request), instance)

    def set_console(self, request: Request, response: Response, session: Session) -> None:
        """Sets the cookie of an operator, for the paths of the console alone where its name allows that.

        It lasts until the browser is closed. Its signature expires after SIGN_IN_LIFE seconds.
        """
        name, path = _console_cookie(request)
        _set(request, response, name, self._console.sign(f"{session.role}:{session.number}"), path)

    def clear_console(self, request: Request, response: Response) -> None:
        """Deletes the cookie of the operator."""
        name, path = _console_cookie(request)
        _set(request, response, name, "", path, life=0)

    def console(self, request: Request) -> Session | None:
        """The session in the operator's cookie, open or not; None without a valid cookie."""
        name, _ = _console_cookie(request)
        value = self._console.read(request.cookies.get(name), life=SIGN_IN_LIFE)
        if value is None:
            return None
        role, _, number = value.partition(":")
        return Session(Role(role), number)

    def session_token(self, instance: Instance) -> str:
        """The A2Key: the token that a page of the vendor's SDK sends in each frame.

        It is valid as long as the instance lives, on each node with the same keys. It contains the generation of the
        login, because the SDK keeps the InstId that it got first.
        """
        return self._session.sign(f"{instance.id}:{instance.generation}")

    def session(self, token: str) -> tuple[str, int] | None:
        """The instance's id and the generation of its login; None unless `token` is a valid A2Key."""
        value = self._session.read(token, life=math.inf)
        if value is None:
            return None
        instance, _, generation = value.partition(":")
        return instance, int(generation)


def is_login_of(browser: str | None, instance: str) -> bool:
    """Whether `instance` was logged in by the browser with this number in its cookie; None is no browser."""
    return browser is not None and hmac.compare_digest(instance[16:32].encode(), _mark(browser, instance[:16]))


def login_number(browser: str, form: str, user: str) -> str:
    """The number, 128 bits as hex digits, of the login of `user` by one form of one browser.

    The same form gives the same number again, so that a form that is sent twice is one login. The second half
    is keyed with the browser's number, so the browser's cookie proves that the login is its own. A cookie for each of
    its tabs would soon exceed the size of a request.
    """
    first = hashlib.blake2b(f"{form}/{user}".encode(errors="replace"), digest_size=8).hexdigest()
    return first + _mark(browser, first).decode()


def _mark(browser: str, first: str) -> bytes:
    """The second half of a login number: a keyed hash of `first`, as hex digits."""
    mark = hashlib.blake2b(first.encode(errors="replace"), key=browser.encode(), digest_size=8)
    return mark.hexdigest().encode()


def _console_cookie(request: Request) -> tuple[str, str]:
    """The name and the path of the operator's cookie. A browser takes a `__Host-` cookie from this host by TLS alone,
    and for all of its paths."""
    return (f"__Host-{CONSOLE}", "/") if request.is_secure else (CONSOLE, f"{request.script_root}/console")


def _set(request: Request, response: Response, name: str, value: str, path: str, *, life: int | None = None) -> None:
    """Sets a cookie that scripts cannot read and other sites cannot send, for the paths below `path`.

    It lasts `life` seconds, or until the browser is closed; 0 deletes it.
    """
    response.set_cookie(
        name,
        value,
        expires=0 if life == 0 else None,
        max_age=life,
        path=path,
        httponly=True,
        samesite="Strict",
        secure=request.is_secure,
    )
