"""Who a tab is: cookies and tokens signed with itsdangerous, each good for one instance and one purpose."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Final

from flask import Request, Response
from itsdangerous import BadSignature, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

from tim.rules import REMEMBERED, Instance

TAB: Final = "tab"
NOTICE: Final = "notice-"
NOTICE_LIFE: Final = 600
"""Seconds that the login page goes on saying what happened to a tab."""
MOST_NOTICES: Final = 10
"""Tabs of one browser that the login page remembers at a time; with many more its requests would be too large."""
MAX_LEAD: Final = 60
"""Seconds the clock of the node that signed may be ahead of this one's."""


class Identity:
    """Signs and reads the cookies.

    Args:
        keys: oldest first; the last one signs, all verify.
        clock: unix seconds.
    """

    def __init__(self, keys: list[str], clock: Callable[[], float]) -> None:
        self._tab = _Signer(keys, "tim.tab", clock)
        self._notice = _Signer(keys, "tim.notice", clock)
        self._session = _Signer(keys, "tim.session", clock)

    def set_tab(self, response: Response, instance: str, *, secure: bool) -> None:
        """Make the browser that gets `response` the tab of `instance`, for the paths of that tab alone.

        The browser forgets it when it is closed; the signature ends after REMEMBERED seconds in any case.
        """
        response.set_cookie(
            TAB,
            self._tab.sign(instance),
            path=f"/im/{instance}",
            httponly=True,
            samesite="Strict",
            secure=secure,
        )

    def clear_tab(self, response: Response, instance: str, *, secure: bool) -> None:
        """The browser forgets that tab."""
        response.delete_cookie(TAB, path=f"/im/{instance}", httponly=True, samesite="Strict", secure=secure)

    def is_tab(self, request: Request, instance: str) -> bool:
        """Whether the request comes from the tab of `instance`."""
        return self._tab.says(request.cookies.get(TAB), instance, life=REMEMBERED)

    def set_notice(self, response: Response, instance: str, *, secure: bool) -> None:
        """Let the browser that gets `response` read on the login page what became of `instance`."""
        response.set_cookie(
            _notice(instance),
            self._notice.sign(instance),
            path="/login",
            max_age=NOTICE_LIFE,
            httponly=True,
            samesite="Strict",
            secure=secure,
        )

    def may_read_notice(self, request: Request, instance: str) -> bool:
        """Whether the request may see what became of `instance`."""
        return self._notice.says(request.cookies.get(_notice(instance)), instance, life=NOTICE_LIFE)

    def drop_notices(self, request: Request, response: Response, instance: str) -> None:
        """Where the browser has too many notices, make it forget all but that of `instance`."""
        others = [name for name in request.cookies if name.startswith(NOTICE) and name != _notice(instance)]
        for name in others if len(others) >= MOST_NOTICES else ():
            response.delete_cookie(name, path="/login", httponly=True, samesite="Strict", secure=request.is_secure)

    def session_token(self, instance: Instance) -> str:
        """The A2Key that a page of the vendor's SDK puts into each of its frames.

        It holds for as long as the instance does, here and on every other server with the same keys. The
        generation of the login stands in it because the SDK goes on sending the InstId it was given first.
        """
        return self._session.sign(f"{instance.id}:{instance.generation}")

    def session(self, token: str) -> tuple[str, int] | None:
        """The instance's id and the generation of its login, where `token` is an A2Key of ours."""
        said = self._session.read(token, life=math.inf)
        if said is None:
            return None
        instance, _, generation = said.partition(":")
        return instance, int(generation)


def _notice(instance: str) -> str:
    return f"{NOTICE}{instance}"


class _Signer:
    def __init__(self, keys: list[str], purpose: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._signer = TimestampSigner(keys, salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256)
        self._signer.get_timestamp = lambda: int(clock())  # type: ignore[method-assign]

    def sign(self, value: str) -> str:
        return self._signer.sign(value).decode()

    def says(self, signed: str | None, value: str, *, life: float) -> bool:
        """Whether `signed` says `value`, was signed in the last `life` seconds, and is not altered in any bit."""
        return self.read(signed, life=life) == value

    def read(self, signed: str | None, *, life: float) -> str | None:
        """What `signed` says, where it was signed in the last `life` seconds and is not altered in any bit."""
        if not signed or not signed.isascii():
            return None
        try:
            said, made = self._signer.unsign(signed, return_timestamp=True)
            signature = signed.rpartition(".")[2].encode()
            # base64 has bits at its end that say nothing; itsdangerous lets them be anything.
            whole = base64_encode(base64_decode(signature)) == signature
        except BadSignature:
            return None
        age = self._clock() - made.timestamp()
        return said.decode() if whole and -MAX_LEAD <= age <= life else None
