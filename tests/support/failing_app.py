"""The product, whose sockets fail as the query of each one says."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from flask import request
from simple_websocket import Server

from app import create_app
from tim.errors import StoreUnavailable
from tim.web import sockets, stream
from tim.web.inbound import Reader
from tim.web.tencent import gateway
from tim.web.transport import SERVER_SOCKETS


def how(ws: Server) -> str:
    """The failure that this socket asks for."""
    return unquote(ws.environ["QUERY_STRING"])


def failing(serve: Callable[..., None]) -> Callable[..., None]:
    """A handler of sockets, which fails where one asks for that."""

    def run(ws: Server, *more: Any) -> None:
        match how(ws):
            case "a handler that fails":
                raise RuntimeError("a handler that fails")
            case "a handler that is torn out of its thread":
                raise SystemExit
            case "a store that goes away":
                raise StoreUnavailable("a store that goes away")
            case "a close that fails":
                return
        serve(ws, *more)

    return run


class NoReader(Reader):
    """A thread that cannot be started where its socket asks for that."""

    def __init__(self, timing: Any, target: Callable[[], None]) -> None:
        if how(target.__self__) == "a thread that cannot be started":  # type: ignore[attr-defined]
            raise RuntimeError("a thread that cannot be started")
        super().__init__(timing, target)


class FailingClose:
    """`Server.close`, which fails where a socket asks for that."""

    close = Server.close

    def __get__(self, ws: Server, _: object) -> Callable[..., None]:
        def close(*words: Any) -> None:
            if how(ws) == "a close that fails":
                raise RuntimeError("a close that fails")
            FailingClose.close(ws, *words)

        return close


LEAVES = "a peer that leaves during its upgrade"
prepare = sockets.prepare


def leaving(environ: dict[str, Any]) -> dict[str, Any]:
    """The connection of a handshake whose peer has left, where one asks for that."""
    if unquote(environ["QUERY_STRING"]) == LEAVES:
        for name in SERVER_SOCKETS:
            if name in environ:
                environ[name].shutdown(socket.SHUT_RDWR)
    return prepare(environ)


def say_that_it_is_over(_: BaseException | None) -> None:
    if unquote(request.query_string.decode()) == LEAVES:
        print("it has left", flush=True)  # noqa: T201


patch.object(stream, "run", failing(stream.run)).start()
patch.object(gateway, "_run", failing(vars(gateway)["_run"])).start()
patch.object(Server, "close", FailingClose()).start()
patch("tim.web.sockets.Reader", NoReader).start()
patch("tim.web.guard.prepare", leaving).start()
app = create_app()
app.teardown_request(say_that_it_is_over)
