"""The sockets of the vendor's Web SDK: `WS /binfo` with binary frames, `WS /info` with text frames.

Any Origin may connect: each frame carries its own authorisation, and cookies are ignored.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from tim.ends import CLOSE_LATER, CLOSE_NOT_A_REQUEST, CLOSE_PAGE
from tim.errors import BadFrame, StoreUnavailable
from tim.timing import Timing
from tim.web.client import address_of, client_of
from tim.web.context import Service, service
from tim.web.framing import TOO_LARGE, Beginning
from tim.web.inbound import limit_frames
from tim.web.sockets import DEAD_CONNECTION, Rest, Socket, hang_up, socket_route
from tim.web.tencent import frames
from tim.web.tencent.commands import LASTING, PACED, STORED, Commands
from tim.web.tencent.connection import Page

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

blueprint = Blueprint("sdk", __name__)

TURN: Final = 4
"""Requests of one connection that are handled before the other connections get their turn. The SDK sends two or three
at once when it connects."""
Form = Callable[[str], bytes | str]
"""Encodes a frame: to bytes for a binary one, to a string for a text one."""
BINARY: Final = "/binfo"
TEXT: Final = "/info"
FORMS: Final[dict[str, Form]] = {BINARY: str.encode, TEXT: str}
"""How frames are encoded, by path."""


@blueprint.before_request
def take_large_frames() -> None:
    limit_frames(request.environ, frames.SIZES)


@socket_route(blueprint, BINARY)
def binary(ws: Socket) -> Rest:
    return open_page(service(), request.environ, FORMS[BINARY], ws)


@socket_route(blueprint, TEXT)
def text(ws: Socket) -> Rest:
    return open_page(service(), request.environ, FORMS[TEXT], ws)


def open_page(here: Service, environ: WSGIEnvironment, form: Form, ws: Socket) -> Rest:
    """Returns what serves one connection of the SDK until either side ends it, without its request."""
    address = address_of(environ)
    page = Page(here.backend, here.lobby, address, ws.wake, here.timing)
    commands = Commands(
        here,
        page,
        client=client_of(environ),
        address=address,
        page_id=_query_value("instanceid", environ["QUERY_STRING"]),
        follows=partial(_follows, ws, here.timing),
    )
    return partial(_run, ws, page, commands, form, here.timing)


def _query_value(name: str, query: str) -> str:
    """The value of `name` in the query; empty if it is missing or malformed. Parsing the whole query takes longer."""
    found = re.search(rf"(?:^|&){name}=([0-9a-zA-Z.]*)(?:&|$)", query)
    return found[1] if found else ""


def _run(ws: Socket, page: Page, commands: Commands, form: Form, timing: Timing) -> None:
    """Serves one connection of the SDK. Nothing else writes to this socket."""
    code, why = CLOSE_LATER, ""
    try:
        code, why = _serve(ws, page, commands, form, timing)
        if ws.close_reason == CLOSE_PAGE:
            page.log_out()  # no page is left that could attach this instance again
    finally:
        # Close the socket before the page: a server that stops waits until its pages are closed.
        page.acknowledge(closed=hang_up(ws, code, why))
        with suppress(StoreUnavailable):
            page.close()


def _serve(ws: Socket, page: Page, commands: Commands, form: Form, timing: Timing) -> tuple[int, str]:
    """Answers requests and sends pushes until the connection or the page ends. Returns close code and reason."""
    reads = True  # whether writes to the peer succeed
    while True:
        ws.wait(page.patience(timing.ping_period))
        connected = ws.connected  # read first: commands that arrived before the end are still executed
        answers = page.news()
        for nth in count(1):
            if page.close_code is not None:
                break
            # The SDK sends its login right behind a hello. An answer that is not written yet leaves with the next.
            if not (ws.input_buffer or (answers and nth % TURN != 1 and ws.has_more())):
                break
            frame = ws.input_buffer.pop(0)
            try:
                asked = frames.parse(frame)
            except BadFrame as error:
                _write(ws, form, answers)
                return TOO_LARGE if isinstance(frame, Beginning) else CLOSE_NOT_A_REQUEST, error.message
            if asked.command in PACED:
                pause = commands.delay(asked)
                if pause:
                    reads, answers = _write(ws, form, answers) and reads, []
                reads = reads and _has_its_turn(ws, page, pause, timing.sdk_turn)
            if not reads and asked.command not in LASTING:
                continue  # the peer has left and reads no answer
            answers += commands.handle(asked)
            pauses = nth % TURN == 0 and bool(ws.input_buffer)
            if pauses or asked.command in STORED:
                reads, answers = _write(ws, form, answers + page.news()) and reads, []
            if pauses:
                time.sleep(timing.sdk_next)
        reads = _write(ws, form, answers + page.news()) and reads
        page.settle()
        if page.close_code is not None:
            return page.close_code, ""
        # What a peer that has left sent last may still be unread: its close frame says whether its page is gone.
        if not connected or not (reads or ws.sock.peer_left()):
            return CLOSE_LATER, ""


def _has_its_turn(ws: Socket, page: Page, seconds: float, turn: float) -> bool:
    """Waits for `seconds`; False if the peer leaves meanwhile. Looks every `turn` seconds."""
    deadline = time.monotonic() + seconds
    while ws.connected and not ws.sock.peer_left() and page.close_code is None:
        left = deadline - time.monotonic()
        if left <= 0:
            return True
        ws.wait(min(left, turn))  # pings are answered meanwhile
    return False


def _follows(ws: Socket, timing: Timing, *commands: str) -> bool:
    """Whether a frame with one of these commands is waiting, or arrives within `timing.sdk_burst`."""
    deadline = time.monotonic() + timing.sdk_burst
    while True:
        if any(command in str(frame) for frame in list(ws.input_buffer) for command in commands):
            return True
        if not ws.connected or time.monotonic() > deadline:
            return False
        ws.wait(deadline - time.monotonic())


def _write(ws: Socket, form: Form, frames: list[str]) -> bool:
    """Writes the frames together; False if the connection is dead."""
    if not frames:
        return True
    try:
        ws.send_all([form(frame) for frame in frames])
    except DEAD_CONNECTION:
        return False
    return True
