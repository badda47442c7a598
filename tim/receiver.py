"""The receiver of a webhook: its address, and the request that reports an event to it."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
import socket
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

from tim.errors import SettingError
from tim.state_change import REASONS, StateChange
from tim.text import text

COMMAND: Final = "State.StateChange"
PRINTABLE: Final = re.compile(r"[!-~]+")
EMBEDDING: Final = [ipaddress.ip_network(f"{each}/96") for each in ("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::")]
"""IPv6 addresses that end with one of IPv4: compatible, mapped, translated, NAT64."""
LOCALHOST: Final = re.compile(r"(.+\.)?localhost\.?")
THIS_HOST: Final = ipaddress.ip_network("0.0.0.0/8")
"""Linux takes 0.0.0.0 for loopback."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Receiver:
    """An address that events are sent to.

    Attributes:
        target: path and query of the address.
        token: signs each request.
        local: whether it may be on a loopback or link-local address.
    """

    secure: bool
    host: str
    port: int
    target: str
    token: str = field(repr=False)
    local: bool = False

    @property
    def name(self) -> str:
        """Its address without the path, which may hold a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Request:
    """One POST.

    Attributes:
        target: path and query.
    """

    target: str
    headers: dict[str, str]
    body: bytes


def receiver_at(url: str, token: str, *, local: bool = False) -> Receiver:
    """Return the receiver at `url`.

    Raises:
        SettingError: `webhook_url` or `webhook_token` cannot be used.
    """
    if not PRINTABLE.fullmatch(url):
        raise SettingError("webhook_url", text("must be ASCII without blanks"))
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise SettingError("webhook_url", text("must begin with https:// or http:// and name a host"))
    if "@" in parts.netloc or "#" in url:
        raise SettingError("webhook_url", text("must have neither a user nor a # in it"))
    if not token:
        raise SettingError("webhook_token", text("is needed with a webhook address, as it signs what is sent there"))
    if not PRINTABLE.fullmatch(token):
        raise SettingError("webhook_token", text("must be ASCII without blanks"))
    secure = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    found = Receiver(secure, host, port or (443 if secure else 80), target, token, local)
    if not local and (LOCALHOST.fullmatch(host) or is_local(host)):
        raise SettingError("webhook_url", text("%(why)s; set TIM_WEBHOOK_ALLOW_LOCAL=1 to allow it", why=REFUSED))
    return found


REFUSED: Final = text("is a loopback or link-local address")


def is_local(address: str) -> bool:
    """Whether this is a loopback, link-local, unspecified or multicast IP address, however spelt; False for a name."""
    try:
        # Also 127.1, 0x7f000001 and 2130706433.
        found: Address = ipaddress.ip_address(socket.inet_aton(address))
    except (OSError, UnicodeError):
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
    if isinstance(found, ipaddress.IPv6Address):
        if any(found in network for network in EMBEDDING):
            found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        elif found.sixtofour is not None:
            found = found.sixtofour
    return found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast or found in THIS_HOST


def request_to(receiver: Receiver, event: StateChange, now: float) -> Request:
    """Return the vendor's request that reports the event. `now` is the time of the attempt in unix seconds."""
    body = json.dumps(
        {
            "CallbackCommand": COMMAND,
            "EventTime": round(event.at * 1000),
            "Info": {"Action": event.action, "To_Account": event.user, "Reason": REASONS[event.action]},
            "KickedDevice": [{"Platform": "Web"}] * event.kicked,
        }
    ).encode()
    time = str(int(now))
    query = urlencode(
        {
            "SdkAppid": event.app,
            "CallbackCommand": COMMAND,
            "contenttype": "json",
            "ClientIP": event.address,
            "OptPlatform": "Web",
            "RequestTime": time,
            "Sign": sign(receiver.token, time),
        }
    )
    headers = {
        "Content-Type": "application/json",
        "X-Tim-Delivery": event.id,
        "X-Tim-Signature": hmac.new(receiver.token.encode(), body, hashlib.sha256).hexdigest(),
    }
    return Request(f"{receiver.target}{'&' if '?' in receiver.target else '?'}{query}", headers, body)


def sign(token: str, request_time: str) -> str:
    """Return the vendor's signature of a request made at `request_time`."""
    return hashlib.sha256(f"{token}{request_time}".encode()).hexdigest()


def failure_of(status: int, body: bytes) -> str:
    """Return why this answer does not acknowledge an event; empty where it does."""
    if 300 <= status < 400:
        return f"HTTP {status}: redirects are not followed"
    if status != 200:
        return f"HTTP {status}"
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    code = answer.get("ErrorCode") if isinstance(answer, dict) else None
    if type(code) is not int:
        return "the answer is no JSON object with an ErrorCode"
    return f"ErrorCode {code}" if code else ""
