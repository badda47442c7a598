"""Where the vendor's Web SDK connects: `WS /binfo` with binary frames, `WS /info` with text frames.

Any Origin may: what counts stands in each frame, and no cookie is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from flask import Blueprint, request
from simple_websocket import Server

from tim.ends import CLOSE_LATER
from tim.errors import BadFrame, StoreUnavailable
from tim.timing import Timing
from tim.web.client import address_of, client_of
from tim.web.context import service
from tim.web.inbound import limit_frames
from tim.web.sockets import DEAD_LINE, hang_up, socket_route, wait
from tim.web.tencent import frames
from tim.web.tencent.commands import LASTING, Commands
from tim.web.tencent.connection import Page

blueprint = Blueprint("sdk", __name__)

PAGE_CLOSED: Final = 1001
"""What a browser closes a socket with when its page is closed or loaded anew."""
NOT_A_REQUEST: Final = 1007

Form = Callable[[str], bytes | str]
"""What a frame is made of before it is sent: bytes make a binary one, a string makes a text one."""


@blueprint.before_request
def take_large_frames() -> None:
    limit_frames(request.environ, frames.MAX_FRAME)


@socket_route(blueprint, "/binfo")
def binary(ws: Server) -> None:
    _run(ws, str.encode)


@socket_route(blueprint, "/info")
def text(ws: Server) -> None:
    _run(ws, str)


def _run(ws: Server, form: Form) -> None:
    """Serve one connection of the SDK until either side ends it. The one writer of this socket."""
    here = service()
    address = address_of(request)
    page = Page(here.backend, here.lobby, address, ws.event.set, here.timing)
    commands = Commands(
        here,
        page,
        client=client_of(request),
        address=address,
        page_id=request.args.get("instanceid", ""),
        sdk_version=request.args.get("sdkversion", ""),
        follows=partial(_follows, ws, here.timing),
    )
    code, why = CLOSE_LATER, ""
    try:
        code, why = _serve(ws, page, commands, form, here.timing)
        if ws.close_reason == PAGE_CLOSED:
            page.log_out()  # nobody will come back to this instance
    finally:
        # The socket closes before the page does: a server that stops waits for its pages.
        hang_up(ws, code, why)
        with suppress(StoreUnavailable):
            page.close()


def _serve(ws: Server, page: Page, commands: Commands, form: Form, timing: Timing) -> tuple[int, str]:
    """Answer and tell until the connection or the page ends; what to close with, and why in words."""
    reads = True  # whether the peer takes what is written to it
    while True:
        wait(ws, page.patience(timing.ping_period))
        connected = ws.connected  # looked at first: what came before the end is still to be carried out
        reads = _write(ws, form, page.news()) and reads
        while ws.input_buffer and page.goodbye is None:
            try:
                asked = frames.parse(ws.input_buffer.pop(0))
            except BadFrame as error:
                return NOT_A_REQUEST, error.message
            if asked.command not in LASTING:
                reads = reads and _has_its_turn(ws, page, commands.delay(asked), timing.sdk_turn)
                if not reads:
                    continue  # nobody is left to read the answer
            reads = _write(ws, form, commands.handle(asked)) and reads
            reads = _write(ws, form, page.news()) and reads
            time.sleep(0)  # others have their turn, however fast this one asks
        if page.goodbye is not None:
            return page.goodbye, ""
        if not (connected and reads):
            return CLOSE_LATER, ""


def _has_its_turn(ws: Server, page: Page, seconds: float, turn: float) -> bool:
    """Wait for so long; False where the peer has left by then."""
    deadline = time.monotonic() + seconds
    while ws.connected and not ws.sock.peer_left() and page.goodbye is None:
        left = deadline - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, turn))
    return False


def _follows(ws: Server, timing: Timing, *commands: str) -> bool:
    """Whether a frame with one of these commands waits for its answer, or comes in the next moment."""
    deadline = time.monotonic() + timing.sdk_burst
    while True:
        if any(command in str(frame) for frame in list(ws.input_buffer) for command in commands):
            return True
        if not ws.connected or time.monotonic() > deadline:
            return False
        time.sleep(timing.poll)


def _write(ws: Server, form: Form, frames: list[str]) -> bool:
    """Write the frames; False where the connection is dead."""
    try:
        for frame in frames:
            ws.send(form(frame))
    except DEAD_LINE:
        return False
    return True
