"""A tab's stream: sends each event of its instance as an HTML fragment, which htmx swaps into the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
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
from tim.web.time_words import Shown, relative
from tim.web.unseen import Unseen

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
            end = _Page(ws, backend, tab).serve(ping_period, read)
            closed = hang_up(ws, end.code)
            if end.gone is not None and end.gone.reason in KICKS:
                backend.measures.kick(end.gone, backend.clock(), acknowledged=closed)
    except InstanceGone as error:
        with suppress(*DEAD_CONNECTION):
            ws.send(_ended(error.instance, error.gone, []))
        hang_up(ws, CLOSE_CODES[error.gone.reason])


class _Page:
    """The page at the other end of a socket."""

    def __init__(self, ws: Server, backend: Backend, tab: Tab) -> None:
        self._ws = ws
        self._backend = backend
        self._tab = tab
        self._unseen = Unseen()

    def serve(self, ping_period: float, read: int | None) -> End:
        """Writes until the stream or the connection ends. Returns how it ends."""
        try:
            self._begin(read)
            return self._write(ping_period)
        except ConnectionClosed:
            return End(CLOSE_LATER)  # the connection is dead or too slow

    def _begin(self, read: int | None) -> None:
        """Writes the list of instances, and the messages after number `read` in place of those of an earlier stream."""
        view, unread = self._tab.waiting()
        for message in unread:
            self._unseen.add(message.seq)
        # Where the page lacks messages between `read` and these, all messages in it are replaced.
        follow_on = read is not None and (not view.messages or view.messages[0].seq == read + 1)
        events = [Event(EVENT.MESSAGE_RECEIVED, list(unread))] if unread else []
        waiting = self._render(
            "_waiting.html", messages=view.messages, unread=unread, follow_on=follow_on, events=events
        )
        self._send(self._list(view.instances) + waiting)
        self._tab.become_ready()
        self._send(self._state("ready", [Event(EVENT.SDK_READY)]))

    def _write(self, ping_period: float) -> End:
        ws = self._ws
        due = time.monotonic() + ping_period  # when the relative times are looked at
        while ws.connected:
            happened = wait(ws, ping_period)
            count = len(self._unseen)
            self._unseen.take_reports(self._received())
            items = self._tab.read()
            end = items[-1] if items else None
            if isinstance(end, End) and end.code == CLOSE_CUT:
                return end
            frame = "".join(map(self._fragment, items))
            if len(self._unseen) != count and not isinstance(end, End):
                frame += self._render("_unseen.html", state="ready")
            if time.monotonic() >= due:
                frame += _times()
                due = time.monotonic() + ping_period
            if frame or not happened:
                self._send(frame or HEARTBEAT)
            if isinstance(end, End):
                return end
        raise ConnectionClosed

    def _received(self) -> Iterator[bytes | str]:
        while self._ws.input_buffer:
            yield self._ws.input_buffer.pop(0)

    def _send(self, frame: str) -> None:
        """Writes a frame. Only an OSError of this write means a dead connection; a missing template raises one too."""
        try:
            self._ws.send(frame)
        except DEAD_CONNECTION as error:
            raise ConnectionClosed from error

    def _fragment(self, item: News) -> str:
        tab = self._tab
        events = tab.events(item)
        match item:
            case InstancesChanged():
                return self._list(self._backend.instances(tab.instance.user))
            case Message():
                if item.sender != tab.instance.user:
                    self._unseen.add(item.seq)
                return self._render("_arrived.html", message=item, events=events)
            case End():
                if item.gone is not None:
                    return _ended(tab.instance, item.gone, events)
                return self._state("moved" if item.code == CLOSE_MOVED else "reconnecting", events)
            case _:
                assert_never(item)

    def _list(self, instances: list[Instance]) -> str:
        self._tab.refresh(instances)
        g.shown.write("_instances.html")
        state = "ready" if self._tab.ready else "not-ready"
        return tab_page.instances(self._tab.instance, instances, oob=True, state=state, unseen=len(self._unseen))

    def _state(self, state: str, events: list[Event]) -> str:
        return self._render("_state.html", state=state, events=events)

    def _render(self, template: str, **more: Any) -> str:
        return _render(template, this=self._tab.instance, unseen=len(self._unseen), **more)


def _times() -> str:
    """The relative times of the page that read otherwise by now."""
    return "".join(TIME.format(id=id, words=words) for id, words in g.shown.changed(relative))


def _render(template: str, **values: Any) -> str:
    g.shown.write(template)
    return render_template(template, **values)


def _ended(instance: Instance, gone: Gone, events: list[Event]) -> str:
    state = "kicked-out" if gone.reason in KICKS else "not-ready"
    return _render("_ended.html", this=instance, state=state, events=events)
