"""Fast path of the SDK's handshakes: from the listening socket to the gateway, without gunicorn's parser and Flask.

Those two took a third of a login's CPU. One regular expression reads a handshake as browsers write it. Any other
request stays unread in its connection and goes to gunicorn: one in pieces, with a repeated header, a body, non-ASCII
characters or another path, and each that has to be refused.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from tim.web.context import Service
from tim.web.dispatch import behind_proxies, is_upgrade
from tim.web.guard import admits
from tim.web.inbound import limit_frames
from tim.web.sockets import upgrade
from tim.web.tencent import frames
from tim.web.tencent.gateway import FORMS, open_page
from tim.web.websocket import can_serve

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LONGEST: Final = 4000
"""Bytes of a new connection that are read ahead. A browser's handshake has about 500."""
MOST: Final = 100
"""Most headers of such a handshake. This and LONGEST are within gunicorn's default limits."""
HEAD: Final = r"GET %s(/b?info)\?([!\x22$-~]*) HTTP/1\.1\r\n((?:[0-9A-Za-z-]+:[ -~]*\r\n)+)\r\n"
"""A request without a body, by RFC 9112; %s is the prefix. Header names with `_` are left to gunicorn."""
LEFT_TO_GUNICORN: Final = frozenset(
    {
        *("HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT"),
        *("HTTP_X_FORWARDED_PROTOCOL", "HTTP_X_FORWARDED_SSL"),
    }
)
"""Headers of a request with a body, and those that may contradict X-Forwarded-Proto, which gunicorn refuses."""
LIMITS: Final = {"limit_request_line": LONGEST, "limit_request_field_size": LONGEST, "limit_request_fields": MOST}
"""gunicorn's limits, each with the least value that permits the fast path; 0 means no limit."""


class FastPath:
    """The fast path of one worker.

    Args:
        prefix: of all paths, as gunicorn takes it from SCRIPT_NAME.
    """

    def __init__(self, here: Service, prefix: str = "") -> None:
        self._here = here
        self._prefix = prefix
        self._see_forwarded = behind_proxies(_no_answer, here.settings.trusted_proxies)

    def take(self, sock: Any, address: Any) -> bool:
        """Serves a new connection that begins with such a handshake. Returns False otherwise, with nothing read."""
        if not can_serve(sock):
            return False
        sock.settimeout(self._here.timing.first_bytes)
        try:
            head = sock.recv(LONGEST, socket.MSG_PEEK)
        except OSError:  # nothing has arrived, or the connection is broken, which gunicorn handles
            return False
        environ = read(head, self._prefix)
        if environ is None:
            return False
        environ |= {"REMOTE_ADDR": address[0] if isinstance(address, tuple) else "", "gunicorn.socket": sock}
        self._see_forwarded(environ, None)  # type: ignore[arg-type]  # _no_answer does not call it
        if not (is_upgrade(environ) and admits(environ, self._here)):
            return False
        sock.recv(len(head))
        limit_frames(environ, frames.SIZES)
        upgrade(environ, self._here.timing, partial(open_page, self._here, environ, FORMS[environ["PATH_INFO"]]))
        return True


@cache
def _pattern(prefix: str) -> re.Pattern[bytes]:
    return re.compile((HEAD % re.escape(prefix)).encode())


def read(head: bytes, prefix: str = "") -> WSGIEnvironment | None:
    """Parses `head` into a WSGI environ. Returns None unless it is one complete handshake of the form above."""
    found = _pattern(prefix).fullmatch(head)
    if found is None:
        return None
    path, query, lines = (part.decode("ascii") for part in found.groups())
    headers = [line.partition(":") for line in lines.splitlines()]
    environ = {"HTTP_" + name.upper().replace("-", "_"): value.strip() for name, _, value in headers}
    if len(environ) < len(headers) or len(headers) > MOST or not environ.keys().isdisjoint(LEFT_TO_GUNICORN):
        return None
    return environ | {
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": prefix,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "wsgi.url_scheme": "http",
    }


def make_fast_path(app: Any, cfg: Any) -> Callable[[Any, Any], bool] | None:
    """The fast path into `app`, as `tim.web.listener` takes it.

    None where `app` is another application, `cfg` of gunicorn counts or limits requests, or TIM_STOCK_SOCKETS is set.
    """
    here: Service | None = getattr(app, "extensions", {}).get("tim")
    is_limited = any(0 < getattr(cfg, name) < least for name, least in LIMITS.items())
    if here is None or here.settings.stock_sockets or is_limited or cfg.max_requests:
        return None
    return FastPath(here, os.environ.get("SCRIPT_NAME", "")).take


def _no_answer(_environ: WSGIEnvironment, _start: StartResponse) -> Iterable[bytes]:
    """Stands in for the application: only the changes of `behind_proxies` to the environ are used."""
    return ()
