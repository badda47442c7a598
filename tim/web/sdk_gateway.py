"""Where the vendor's Web SDK connects: `WS /binfo` with binary frames, `WS /info` with text frames.

Any Origin may: what counts stands in each frame, and no cookie is looked at.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from flask import Blueprint, request
from flask_sock import Sock
from simple_websocket import Server

from tim import wire
from tim.errors import BadFrame, StoreUnavailable
from tim.events import CLOSE_LATER
from tim.web.browser import address_of, client_of
from tim.web.sdk_commands import Commands
from tim.web.sdk_page import Page
from tim.web.service import service
from tim.web.sockets import DEAD_LINE, PING_PERIOD, hang_up, limit_frames, wait

blueprint = Blueprint("sdk", __name__)
sock = Sock()
log = logging.getLogger("tim")

PAGE_CLOSED: Final = 1001
"""What a browser closes a socket with when its page is closed or loaded anew."""
NOT_A_REQUEST: Final = 1007
TOO_MANY: Final = 1008
FRAMES_PER_SECOND: Final = 500
"""What one connection may send for long. An SDK sends about twenty frames when it starts, then a few a minute."""
BURST: Final = 1000
MOMENT: Final = 0.5
"""Seconds within which an SDK has sent what it sends at once when it has a new line, or hears of a kick."""

Form = Callable[[str], bytes | str]
"""What a frame is made of before it is sent: bytes make a binary one, a string makes a text one."""


class Allowance:
    """How many frames a connection may still send: a bucket that fills with the time."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = time.monotonic()

    def take(self) -> bool:
        """Whether one more frame is within it."""
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._at) * FRAMES_PER_SECOND) - 1
        self._at = now
        return self._left >= 0


@blueprint.before_request
def take_large_frames() -> None:
    limit_frames(request.environ, wire.MAX_FRAME)


@sock.route("/binfo", bp=blueprint)  # type: ignore[untyped-decorator]
def binary(ws: Server) -> None:
    _run(ws, str.encode)


@sock.route("/info", bp=blueprint)  # type: ignore[untyped-decorator]
def text(ws: Server) -> None:
    _run(ws, str)


def _run(ws: Server, form: Form) -> None:
    """Serve one connection of the SDK until either side ends it. The one writer of this socket."""
    parts = service()
    page = Page(parts.backend, ws.event.set)
    commands = Commands(
        parts,
        page,
        client=client_of(request),
        address=address_of(request),
        page_id=request.args.get("instanceid", ""),
        follows=partial(_follows, ws),
    )
    code, why = CLOSE_LATER, ""
    try:
        code, why = _serve(ws, page, commands, form)
        if ws.close_reason == PAGE_CLOSED:
            page.log_out()  # nobody will come back to this instance
    except StoreUnavailable as error:
        log.warning("SDK page: %s", error)
    finally:
        # The socket closes before the page does: a server that stops waits for its pages.
        hang_up(ws, code, why)
        with suppress(StoreUnavailable):
            page.close()


def _serve(ws: Server, page: Page, commands: Commands, form: Form) -> tuple[int, str]:
    """Answer and tell until the line or the page ends; what to close with, and why in words."""
    allowance = Allowance()
    while True:
        wait(ws, page.patience(PING_PERIOD))
        connected = ws.connected  # looked at first: what came before the end is still to be answered
        _write(ws, form, page.news())
        while ws.input_buffer and page.goodbye is None:
            if not allowance.take():
                return TOO_MANY, f"more than {FRAMES_PER_SECOND} frames a second"
            try:
                asked = wire.parse(ws.input_buffer.pop(0))
            except BadFrame as error:
                return NOT_A_REQUEST, error.message
            _write(ws, form, commands.handle(asked))
            _write(ws, form, page.news())
        if page.goodbye is not None:
            return page.goodbye, ""
        if not connected:
            return CLOSE_LATER, ""


def _follows(ws: Server, *commands: str) -> bool:
    """Whether a frame with one of these commands waits for its answer, or comes in the next moment."""
    deadline = time.monotonic() + MOMENT
    while True:
        if any(command in str(frame) for frame in list(ws.input_buffer) for command in commands):
            return True
        if not ws.connected or time.monotonic() > deadline:
            return False
        time.sleep(MOMENT / 10)


def _write(ws: Server, form: Form, frames: list[str]) -> None:
    for frame in frames:
        with suppress(*DEAD_LINE):  # a line that is dead is seen by whoever waits for it
            ws.send(form(frame))
