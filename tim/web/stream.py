"""A tab's stream: sends each event of its instance as an HTML fragment, which htmx swaps into the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any, Final, assert_never

from simple_websocket import ConnectionClosed

from tim.backend import Backend
from tim.ends import CLOSE_CODES, CLOSE_CUT, CLOSE_LATER, CLOSE_MOVED, KICKS, Gone
from tim.errors import InstanceGone
from tim.events import EVENT, Event
from tim.mailbox import End, InstancesChanged, News
from tim.model import Instance, Message
from tim.tab import Tab
from tim.web.sockets import DEAD_CONNECTION, Socket, hang_up
from tim.web.tab_page import TabPage
from tim.web.time_words import Shown
from tim.web.unseen import Unseen

HEARTBEAT: Final = "{}"
"""A frame that htmx ignores. A page that receives nothing for two ping periods opens a new connection."""
TIME: Final = '<time id="{id}" hx-swap-oob="innerHTML">{words}</time>'
"""A relative time whose words have changed."""


def run(ws: Socket, backend: Backend, id: str, page: TabPage, *, ping_period: float, read: int | None) -> None:
    """Serves the stream of instance `id` on `ws` until either ends. Nothing else writes to this socket.

    Args:
        page: renders its fragments.
        read: number of the newest message above `#new-messages` in the page; None for a page without this element.
    """
    try:
        # Close the socket before the tab: a server that stops waits until its tabs are closed.
        with closing(Tab.open(backend, id, ws.wake, after=read or 0)) as tab:
            end = _Stream(ws, backend, tab, page).serve(ping_period, read)
            closed = hang_up(ws, end.code)
            if end.gone is not None and end.gone.reason in KICKS:
                backend.measures.kick(end.gone, backend.clock(), acknowledged=closed)
    except InstanceGone as error:
        with suppress(*DEAD_CONNECTION):
            ws.send(_ended(page, error.instance, error.gone, []))
        hang_up(ws, CLOSE_CODES[error.gone.reason])


class _Stream:
    """What is written on a socket, and what the page at its other end has."""

    __slots__ = ("_backend", "_page", "_shown", "_tab", "_unseen", "_ws")

    def __init__(self, ws: Socket, backend: Backend, tab: Tab, page: TabPage) -> None:
        self._ws = ws
        self._backend = backend
        self._tab = tab
        self._page = page
        self._unseen = Unseen()
        self._shown = Shown()

    def serve(self, ping_period: float, read: int | None) -> End:
        """Writes until the stream or the connection ends. Returns how it ends."""
        try:
            self._begin(read)
            return self._write(ping_period)
        except ConnectionClosed:
            return End(CLOSE_LATER)  # the connection is dead or too slow

    def _begin(self, read: int | None) -> None:
        """Writes the list of instances, the messages after number `read` in place of those of an earlier stream, and
        the state "ready": in one frame, which the browser draws at once."""
        view, unread = self._tab.waiting()
        for message in unread:
            self._unseen.add(message.seq)
        # Where the page lacks messages between `read` and these, all messages in it are replaced.
        follow_on = read is not None and (not view.messages or view.messages[0].seq == read + 1)
        received = [Event(EVENT.MESSAGE_RECEIVED, list(unread))] if unread else []
        frame = self._list(
            view.instances,
            "_opened.html",
            messages=view.messages,
            unread={message.seq for message in unread},
            follow_on=follow_on,
            events=[*received, Event(EVENT.SDK_READY)],
        )
        self._send(frame)
        self._tab.become_ready()

    def _write(self, ping_period: float) -> End:
        ws = self._ws
        due = time.monotonic() + ping_period  # when the relative times are looked at
        while ws.connected:
            happened = ws.wait(ping_period)
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
                frame += self._times()
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
                    return _ended(self._page, tab.instance, item.gone, events)
                return self._state("moved" if item.code == CLOSE_MOVED else "reconnecting", events)
            case _:
                assert_never(item)

    def _list(self, instances: list[Instance], template: str = "_instances.html", **more: Any) -> str:
        self._tab.refresh(instances)
        self._shown = Shown()  # no other template of the stream writes any
        more |= {"oob": True, "state": "ready", "unseen": len(self._unseen), "shown": self._shown}
        return self._page.instances(self._tab.instance, instances, template, **more)

    def _state(self, state: str, events: list[Event]) -> str:
        return self._render("_state.html", state=state, events=events)

    def _render(self, template: str, **more: Any) -> str:
        return self._page.fragment(template, self._tab.instance, unseen=len(self._unseen), **more)

    def _times(self) -> str:
        """The relative times of the page that read otherwise by now."""
        return "".join(TIME.format(id=id, words=words) for id, words in self._shown.changed(self._page.relative))


def _ended(page: TabPage, instance: Instance, gone: Gone, events: list[Event]) -> str:
    state = "kicked-out" if gone.reason in KICKS else "not-ready"
    return page.fragment("_ended.html", instance, state=state, events=events)
