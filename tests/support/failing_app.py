"""The product, whose sockets fail as the query of each one says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from app import create_app
from tim.errors import StoreUnavailable
from tim.timing import Timing
from tim.web import guard, sockets
from tim.web.sockets import Rest, Socket, prepare
from tim.web.stock import Reader, StockSocket
from tim.web.transport import SERVER_SOCKETS, WholeSocket
from tim.web.websocket import WebSocket

LEAVES = "a peer that leaves during its upgrade"
NO_THREAD = "a thread that cannot be started"
NO_CLOSE = "a close that fails"
asking = threading.local()
failing_to_begin: set[WebSocket] = set()
failing_to_close: set[Socket] = set()


def how() -> str:
    """The failure that the request of this thread or greenlet asks for."""
    return getattr(asking, "how", "")


def failing(guarded: Callable[..., Rest | None]) -> Callable[..., Rest | None]:
    """Calls a handler of sockets. The rest that it returns fails where one asks for that."""

    def run(ws: Socket, serve: Callable[[], Rest | None]) -> Rest | None:
        rest = guarded(ws, serve)
        return rest and partial(fail_or, rest, how(), ws)

    return run


def fail_or(rest: Rest, asked: str, ws: Socket) -> None:
    """Fails as asked, or as soon as the socket is closed; or does the rest."""
    match asked:
        case "a handler that fails":
            raise RuntimeError(asked)
        case "a handler that is torn out of its thread":
            raise SystemExit
        case "a store that goes away":
            raise StoreUnavailable(asked)
        case "a close that fails":
            failing_to_close.add(ws)
        case _:
            rest()


def without_thread(init: Callable[..., None]) -> Callable[..., None]:
    """Begins a socket, behind its handshake, which fails where one asks for that."""

    def run(*words: Any, **more: Any) -> None:
        init(*words, **more)
        if how() == NO_THREAD:
            raise RuntimeError(NO_THREAD)

    return run


def noting_who_fails(init: Callable[..., None]) -> Callable[..., None]:
    """Makes a socket, and notes it where it is to fail like one without a thread."""

    def run(ws: WebSocket, *words: Any) -> None:
        init(ws, *words)
        if how() == NO_THREAD:
            failing_to_begin.add(ws)

    return run


def failing_after(write: Callable[..., None]) -> Callable[..., None]:
    """A write, after whose first one a socket fails that has asked for that."""

    def run(ws: WebSocket, *words: Any) -> None:
        write(ws, *words)
        if ws in failing_to_begin:
            failing_to_begin.discard(ws)
            raise RuntimeError(NO_THREAD)

    return run


def failing_close(hang_up: Callable[..., None]) -> Callable[..., None]:
    """A close, which fails where a socket has asked for that."""

    def run(ws: Socket, *words: Any) -> None:
        if ws in failing_to_close:
            raise RuntimeError(NO_CLOSE)
        hang_up(ws, *words)

    return run


def leaving(environ: dict[str, Any], timing: Timing) -> None:
    """The connection of a handshake, which says how it is to fail. Its peer has left, where it asks for that."""
    asking.how = unquote(environ["QUERY_STRING"])
    if how() == LEAVES:
        for name in SERVER_SOCKETS:
            if name in environ:
                environ[name].shutdown(socket.SHUT_RDWR)
    prepare(environ, timing)


def saying_that_it_is_over(end: Callable[[WholeSocket], None]) -> Callable[[WholeSocket], None]:
    """Ends a request, and prints it where its peer was to leave."""

    def run(connection: WholeSocket) -> None:
        end(connection)
        if how() == LEAVES:
            print("it has left", flush=True)  # noqa: T201

    return run


patch.object(sockets, "_guarded", failing(vars(sockets)["_guarded"])).start()
for kind in (WebSocket, StockSocket):
    patch.object(kind, "hang_up", failing_close(vars(kind)["hang_up"])).start()
patch.object(WebSocket, "__init__", noting_who_fails(vars(WebSocket)["__init__"])).start()
patch.object(WebSocket, "_write", failing_after(vars(WebSocket)["_write"])).start()
patch.object(Reader, "__init__", without_thread(vars(Reader)["__init__"])).start()
patch.object(WholeSocket, "end_request", saying_that_it_is_over(vars(WholeSocket)["end_request"])).start()
for module in (guard, sockets):
    patch.object(module, "prepare", leaving).start()
app = create_app()
