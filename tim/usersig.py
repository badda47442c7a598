"""UserSig, the vendor's HMAC-SHA256 ticket ("TLSSigAPIv2"): make one, verify one.

A ticket is a JSON object, deflated with zlib, in base64 with `+ / =` written `* - _`. The signature covers the values,
not their encoding. Source of the rules: the vendor's own generator on PyPI, `tls-sig-api-v2`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from tim.codes import (
    USERSIG_EMPTY,
    USERSIG_EXPIRED,
    USERSIG_FORGED,
    USERSIG_MALFORMED,
    USERSIG_OTHER_APP,
    USERSIG_OTHER_USER,
)
from tim.errors import UserSigRefused
from tim.mac import mac
from tim.text import text

MAX_SIZE: Final = 4096
"""Largest size of a ticket in bytes, both deflated and inflated. A usual ticket has about 200."""
MAX_CLOCK_LEAD: Final = 60
"""Seconds by which a ticket may be dated ahead, as clocks of its generator and of the store differ."""
REMEMBERED: Final = 1024
"""Genuine UserSigs that are remembered: a page brings the same one each time that it logs in. Less than 1 MiB."""
MAX_NUMBER: Final = 2**53
"""Bound of the integers in a ticket. Some of the vendor's generators run in languages whose numbers are doubles."""
_TO_BASE64 = bytes.maketrans(b"*-_", b"+/=")
_FROM_BASE64 = str.maketrans("+/=", "*-_")


@dataclass(frozen=True, slots=True)
class Ticket:
    """The values of a UserSig: verified, unless it comes from `read`.

    Attributes:
        made: unix seconds, `TLS.time`.
        expires: unix seconds, `TLS.time + TLS.expire`.
    """

    user_id: str
    sdk_app_id: int
    made: int
    expires: int


def make(key: str, sdk_app_id: int, user_id: str, *, now: float, expire: int = 7 * 86400) -> str:
    """Return a UserSig of `user_id` that is valid for `expire` seconds from `now` (unix seconds)."""
    claims: dict[str, Any] = {
        "TLS.ver": "2.0",
        "TLS.identifier": user_id,
        "TLS.sdkappid": sdk_app_id,
        "TLS.time": int(now),
        "TLS.expire": expire,
    }
    claims["TLS.sig"] = _sign(key, claims).decode()
    packed = zlib.compress(json.dumps(claims).encode())
    return base64.b64encode(packed).decode().translate(_FROM_BASE64)


def verify(
    user_sig: str, key: str, sdk_app_id: int, user_id: str, *, now: float, latest: float | None = None
) -> Ticket:
    """Return the values of the UserSig if it is valid for `user_id` of `sdk_app_id` at `now` (unix seconds).

    Args:
        latest: the latest date of a ticket, without MAX_CLOCK_LEAD; `now` by default. It is later than `now` where the
            clock was set back.

    Raises:
        UserSigRefused: with a code of 70001 to 70014.
    """
    _check_form(user_sig)
    forged: UserSigRefused | None = None
    try:
        ticket = _genuine(user_sig, key)
    except UserSigRefused as error:
        ticket, forged = read(user_sig), error
    if ticket.sdk_app_id != sdk_app_id:
        raise UserSigRefused(
            USERSIG_OTHER_APP,
            text(
                "this UserSig was made for SDKAppID %(made)s, not %(here)s",
                made=ticket.sdk_app_id,
                here=sdk_app_id,
            ),
        )
    if ticket.user_id != user_id:
        raise UserSigRefused(USERSIG_OTHER_USER, text("this UserSig was made for another UserID"))
    if forged is not None:
        raise forged
    made, expires = ticket.made, ticket.expires
    if made > (latest or now) + MAX_CLOCK_LEAD:
        raise UserSigRefused(
            USERSIG_EXPIRED,
            text(
                "this UserSig is dated %(seconds)s seconds in the future; set its maker's clock",
                seconds=round(made - now),
            ),
        )
    if expires <= now:
        raise UserSigRefused(
            USERSIG_EXPIRED,
            text("this UserSig expired %(seconds)s seconds ago; get a new one", seconds=round(now - expires)),
        )
    return ticket


def read(user_sig: str) -> Ticket:
    """Return what the UserSig claims, without verifying it.

    Raises:
        UserSigRefused: with code 70002 or 70003.
    """
    _check_form(user_sig)
    return _ticket(_parse(user_sig))


@lru_cache(REMEMBERED)
def _genuine(user_sig: str, key: str) -> Ticket:
    """What a UserSig of the key says. That is always the same; refusals are not remembered.

    Raises:
        UserSigRefused: with code 70002, 70003 or 70009.
    """
    claims = _parse(user_sig)
    if not hmac.compare_digest(_sign(key, claims), _bytes(claims["TLS.sig"])):
        raise UserSigRefused(USERSIG_FORGED, text("the signature does not verify: it was made with another secret key"))
    return _ticket(claims)


def _ticket(claims: dict[str, Any]) -> Ticket:
    made = claims["TLS.time"]
    return Ticket(claims["TLS.identifier"], claims["TLS.sdkappid"], made, made + claims["TLS.expire"])


def _sign(key: str, claims: dict[str, Any]) -> bytes:
    names = ["TLS.identifier", "TLS.sdkappid", "TLS.time", "TLS.expire"]
    if "TLS.userbuf" in claims:
        names.append("TLS.userbuf")
    lines = "".join(f"{name}:{claims[name]}\n" for name in names)
    return base64.b64encode(mac(key.encode(), _bytes(lines)))


def _bytes(text: str) -> bytes:
    # JSON can contain half a surrogate pair. Such a ticket must fail its check, not raise a UnicodeEncodeError.
    return text.encode("utf-8", "surrogatepass")


def _check_form(user_sig: object) -> None:
    if not user_sig:
        raise UserSigRefused(USERSIG_EMPTY, text("the UserSig is empty"))
    if not isinstance(user_sig, str) or len(user_sig) > MAX_SIZE:
        raise _malformed(text("it is no string of at most %(most)s characters", most=MAX_SIZE))


def _parse(user_sig: str) -> dict[str, Any]:
    try:
        packed = base64.b64decode(user_sig.encode("ascii").translate(_TO_BASE64), validate=True)
        claims = json.loads(_inflate(packed))
    except (binascii.Error, ValueError, zlib.error, RecursionError):
        raise _malformed(text("it is truncated or damaged")) from None
    if not _is_ticket(claims):
        raise _malformed(text("it is not the JSON object that the vendor's generators make"))
    return dict(claims)


def _inflate(packed: bytes) -> bytes:
    """Inflate `packed`, to at most MAX_SIZE bytes."""
    stream = zlib.decompressobj()
    text = stream.decompress(packed, MAX_SIZE)
    if not stream.eof or stream.unused_data:
        raise ValueError("not one whole zlib stream of a ticket's size")
    return text


def _is_ticket(claims: object) -> bool:
    if not isinstance(claims, dict) or claims.get("TLS.ver") != "2.0":
        return False
    strings = all(isinstance(claims.get(name), str) for name in ("TLS.identifier", "TLS.sig"))
    numbers = all(
        type(claims.get(name)) is int and abs(claims[name]) < MAX_NUMBER
        for name in ("TLS.sdkappid", "TLS.time", "TLS.expire")
    )
    return strings and numbers and isinstance(claims.get("TLS.userbuf", ""), str)


def _malformed(why: str) -> UserSigRefused:
    return UserSigRefused(USERSIG_MALFORMED, text("the UserSig cannot be read: %(why)s; get a new one", why=why))
