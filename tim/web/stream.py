"""A tab's stream: sends each event of its instance as an HTML fragment, which htmx swaps into the page."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import Any, Final, assert_never

from flask import g, render_template
from simple_websocket import ConnectionClosed, Server

from tim.backend import Backend
from tim.ends import CLOSE_CODES, CLOSE_CUT, CLOSE_LATER, CLOSE_MOVED, KICKS, Gone
from tim.errors import InstanceGone
from tim.events import EVENT, Event
from tim.hub import End, InstancesChanged, News
from tim.model import Instance, Message
from tim.tab import Tab
from tim.web import tab_page
from tim.web.sockets import DEAD_CONNECTION, hang_up, wait
from tim.web.time_words import Shown

HEARTBEAT: Final = "{}"
"""A frame that htmx ignores. A page that receives nothing for two ping periods opens a new connection."""
TIME: Final = '<time id="{id}" hx-swap-oob="innerHTML">{words}</time>'
"""A relative time whose words have changed."""


def run(ws: Server, backend: Backend, id: str, ping_period: float, read: int | None) -> None:
    """Serves the stream of instance `id` on `ws` until either ends. Nothing else writes to this socket.

    Args:
        read: number of the newest message above `#new-messages` in the page; None for a page without this element.
    """
    g.shown = Shown()
    try:
        # Close the socket before the tab: a server that stops waits until its tabs are closed.
        with closing(Tab(backend, id, ws.event.set, after=read or 0)) as tab:
            end = _serve(ws, backend, tab, ping_period, read)
            closed = hang_up(ws, end.code)
            if end.gone is not None and end.gone.reason in KICKS:
                backend.measures.kick(end.gone, backend.clock(), acknowledged=closed)
    except InstanceGone as error:
        with suppress(*DEAD_CONNECTION):
            ws.send(_ended(error.instance, error.gone, []))
        hang_up(ws, CLOSE_CODES[error.gone.reason])


def _serve(ws: Server, backend: Backend, tab: Tab, ping_period: float, read: int | None) -> End:
    """Writes until the stream or the connection ends. Returns how it ends."""
    try:
        _begin(ws, tab, read)
        return _write(ws, backend, tab, ping_period)
    except ConnectionClosed:
        return End(CLOSE_LATER)  # the connection is dead or too slow


def _begin(ws: Server, tab: Tab, read: int | None) -> None:
    """Writes the list of instances, and the messages after number `read`; those of an earlier stream are replaced."""
    view, unread = tab.waiting()
    # Where the page lacks messages between `read` and these, all messages in it are replaced.
    follow_on = read is not None and (not view.messages or view.messages[0].seq == read + 1)
    events = [Event(EVENT.MESSAGE_RECEIVED, list(unread))] if unread else []
    waiting = _render(
        "_waiting.html", this=tab.instance, messages=view.messages, unread=unread, follow_on=follow_on, events=events
    )
    _send(ws, _list(tab, view.instances) + waiting)
    tab.become_ready()
    _send(ws, _state("ready", tab, [Event(EVENT.SDK_READY)]))


def _write(ws: Server, backend: Backend, tab: Tab, ping_period: float) -> End:
    due = time.monotonic() + ping_period  # when the relative times are looked at
    while ws.connected:
        happened = wait(ws, ping_period)
        ws.input_buffer.clear()  # a page sends nothing on its stream
        items = tab.read()
        end = items[-1] if items else None
        if isinstance(end, End) and end.code == CLOSE_CUT:
            return end
        frame = "".join(_fragment(backend, tab, item) for item in items)
        if time.monotonic() >= due:
            frame += _times()
            due = time.monotonic() + ping_period
        if frame or not happened:
            _send(ws, frame or HEARTBEAT)
        if isinstance(end, End):
            return end
    raise ConnectionClosed


def _times() -> str:
    """The relative times of the page that read otherwise by now."""
    return "".join(TIME.format(id=id, words=words) for id, words in g.shown.changed())


def _render(template: str, **values: Any) -> str:
    g.shown.write(template)
    return render_template(template, **values)


def _send(ws: Server, frame: str) -> None:
    """Writes a frame. Only an OSError of this write means a dead connection; a missing template raises one too."""
    try:
        ws.send(frame)
    except DEAD_CONNECTION as error:
        raise ConnectionClosed from error


def _fragment(backend: Backend, tab: Tab, item: News) -> str:
    events = tab.events(item)
    match item:
        case InstancesChanged():
            return _list(tab, backend.instances(tab.instance.user))
        case Message():
            return _render("_arrived.html", this=tab.instance, message=item, events=events)
        case End():
            if item.gone is not None:
                return _ended(tab.instance, item.gone, events)
            return _state("moved" if item.code == CLOSE_MOVED else "reconnecting", tab, events)
        case _:
            assert_never(item)


def _list(tab: Tab, instances: list[Instance]) -> str:
    tab.refresh(instances)
    g.shown.write("_instances.html")
    return tab_page.instances(tab.instance, instances, oob=True, state="ready" if tab.ready else "not-ready")


def _state(state: str, tab: Tab, events: list[Event]) -> str:
    return _render("_state.html", state=state, this=tab.instance, events=events)


def _ended(instance: Instance, gone: Gone, events: list[Event]) -> str:
    state = "kicked-out" if gone.reason in KICKS else "not-ready"
    return _render("_ended.html", this=instance, state=state, events=events)
