"""The short way of the SDK's handshakes: from the listening socket to the gateway, past gunicorn and Flask.

The two took a third of a login's CPU, for a request that browsers always write alike. One that is wholly like that is
read here, by one regular expression. Anything else stays unread in its connection, for gunicorn's parser and for Flask:
what comes in pieces, a header that is there twice, a body, a character that is not ASCII, another path, and all that
has to be refused.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from werkzeug.wsgi import get_host

from tim.web.context import Service
from tim.web.dispatch import behind_proxies, is_socket, is_upgrade
from tim.web.guard import KEY, PREFIX, VERSION, is_our_name
from tim.web.inbound import limit_frames
from tim.web.sockets import begin
from tim.web.tencent import frames
from tim.web.tencent.gateway import FORMS, open_page
from tim.web.websocket import can_serve

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LONGEST: Final = 4000
"""Bytes that are looked at. A browser's handshake has about 500."""
MOST: Final = 100
"""Headers that it may have. Both are within the limits that gunicorn has by default."""
HEAD: Final = r"GET %s(/b?info)\?([!\x22$-~]*) HTTP/1\.1\r\n((?:[0-9A-Za-z-]+:[ -~]*\r\n)+)\r\n"
"""A request without a body, by RFC 9112; the prefix is put in. A name with `_` in it is gunicorn's to judge."""
NOT_PLAIN: Final = frozenset(
    {
        *("HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT"),
        *("HTTP_X_FORWARDED_PROTOCOL", "HTTP_X_FORWARDED_SSL"),
    }
)
"""Headers of a request with a body, and those that may contradict X-Forwarded-Proto, which gunicorn refuses."""
LIMITS: Final = {"limit_request_line": LONGEST, "limit_request_field_size": LONGEST, "limit_request_fields": MOST}
"""Limits of gunicorn, and what each has to allow for the short way; 0 is no limit."""


class Direct:
    """Serves the handshakes of one worker that are plain.

    Args:
        prefix: of all paths, as gunicorn takes it from SCRIPT_NAME.
    """

    def __init__(self, here: Service, prefix: str = "") -> None:
        self._here = here
        self._prefix = prefix
        self._see_forwarded = behind_proxies(_no_answer, here.settings.trusted_proxies)

    def take(self, sock: Any, address: Any) -> bool:
        """Serves a new connection, if it begins with a plain handshake of the SDK. Otherwise nothing of it is read."""
        if not can_serve(sock):
            return False
        sock.settimeout(self._here.timing.first_bytes)
        try:
            head = sock.recv(LONGEST, socket.MSG_PEEK)
        except OSError:  # it says nothing, or is broken, as gunicorn finds out
            return False
        environ = read(head, self._prefix)
        if environ is None:
            return False
        environ |= {"REMOTE_ADDR": address[0] if isinstance(address, tuple) else "", "gunicorn.socket": sock}
        self._see_forwarded(environ, _no_response)
        if not self._is_welcome(environ):
            return False
        sock.recv(len(head))
        limit_frames(environ, frames.MAX_FRAME)
        begin(environ, self._here.timing, partial(open_page, self._here, environ, FORMS[environ["PATH_INFO"]]))
        return True

    def _is_welcome(self, environ: WSGIEnvironment) -> bool:
        """Whether `tim.web.guard` would let this handshake pass. One that it would not, it also answers."""
        return (
            is_upgrade(environ)
            and is_socket(environ)
            and environ.get("HTTP_SEC_WEBSOCKET_VERSION") == VERSION
            and KEY.fullmatch(environ.get("HTTP_SEC_WEBSOCKET_KEY", "")) is not None
            and "HTTP_HOST" in environ
            and is_our_name(get_host(environ), self._here.settings.hosts)
            and PREFIX.fullmatch(environ["SCRIPT_NAME"]) is not None
            and not self._here.backend.full
        )


@cache
def _pattern(prefix: str) -> re.Pattern[bytes]:
    return re.compile((HEAD % re.escape(prefix)).encode())


def read(head: bytes, prefix: str = "") -> WSGIEnvironment | None:
    """The request that `head` is, as a WSGI server passes it; None where it is anything but a whole plain one."""
    found = _pattern(prefix).fullmatch(head)
    if found is None:
        return None
    path, query, lines = (part.decode("ascii") for part in found.groups())
    headers = [line.partition(":") for line in lines.splitlines()]
    environ = {"HTTP_" + name.upper().replace("-", "_"): value.strip() for name, _, value in headers}
    if len(environ) < len(headers) or len(headers) > MOST or not environ.keys().isdisjoint(NOT_PLAIN):
        return None
    return environ | {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": prefix,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "wsgi.url_scheme": "http",
    }


def direct(app: Any, cfg: Any) -> Callable[[Any, Any], bool] | None:
    """The short way into `app`, this product's or another one. None where gunicorn, by `cfg`, is to count or to limit
    requests, and where no socket is to be our own."""
    here: Service | None = getattr(app, "extensions", {}).get("tim")
    is_limited = any(0 < getattr(cfg, name) < least for name, least in LIMITS.items())
    if here is None or here.settings.stock_sockets or is_limited or cfg.max_requests:
        return None
    return Direct(here, os.environ.get("SCRIPT_NAME", "")).take


def _no_answer(_environ: WSGIEnvironment, _start: StartResponse) -> Iterable[bytes]:
    """The application behind the proxies' headers, which `behind_proxies` writes into the environ."""
    return ()


def _no_response(*_: object) -> Any:
    """What no application calls."""
