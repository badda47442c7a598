"""In which writes a page of the SDK gets what is for it, and what is done after they are made."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from tests.support.actors import APP
from tests.support.ends import LONG, Ends
from tests.support.frames import frame
from tim import Backend, Client
from tim.mailbox import Stream
from tim.timing import Timing
from tim.web import framing
from tim.web.allowance import Allowances
from tim.web.context import QUESTIONS, QUESTIONS_PER_SECOND, RETURNS, RETURNS_PER_SECOND
from tim.web.identity import Identity
from tim.web.lobby import Lobby
from tim.web.tencent import gateway
from tim.web.tencent.commands import ALIVE, LOGIN, Commands
from tim.web.tencent.connection import Page

TIMING = Timing(socket_close=0.01)
CLIENT = Client("Firefox", "203.0.113.7")


class Watched(Lobby):
    """A lobby that notes what the peer of `ends` has been sent when somebody enters it."""

    def __init__(self, ends: Ends) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self._ends = ends

    def enter(self, stream: Stream, address: str) -> None:
        self._ends.peer.settimeout(0)
        try:
            self.sent.append(self._ends.peer.recv(65536))
        except BlockingIOError:
            self.sent.append(b"")
        super().enter(stream, address)


class Visitor:
    """A page of the SDK that is connected to `backend`. Each of its writes is one read there, and the reverse."""

    def __init__(self, backend: Backend) -> None:
        self.ends = Ends(TIMING)
        self.lobby = Watched(self.ends)
        self._backend = backend
        service: Any = SimpleNamespace(
            backend=backend,
            timing=TIMING,
            identity=Identity([secrets.token_hex(16)], backend.clock),
            questions=Allowances(QUESTIONS_PER_SECOND, QUESTIONS),
            returns=Allowances(RETURNS_PER_SECOND, RETURNS),
        )
        page = Page(backend, self.lobby, CLIENT.address, self.ends.ws.wake, TIMING)
        commands = Commands(
            service,
            page,
            client=lambda: CLIENT,
            address=CLIENT.address,
            page_id="",
            follows=lambda *_: False,
        )
        self._serving = gevent.spawn(gateway._run, self.ends.ws, page, commands, str.encode, TIMING)

    def writes(self, command: str) -> None:
        head = {
            "servcmd": command, "seq": 1, "sdkappid": APP, "reqtime": 1,
            "identifier": "alice", "usersig": self._backend.user_sig("alice"),
        }  # fmt: skip
        self.ends.peer.send(frame(framing.BINARY, json.dumps({"head": head, "body": {}}).encode()))

    def reads(self) -> bytes:
        """What has come in one write."""
        self.ends.peer.settimeout(LONG)
        return bytes(self.ends.peer.recv(65536))

    def leaves(self) -> None:
        self.ends.peer.close()
        self._serving.get(timeout=LONG)
        self.ends.ours.close()


@pytest.fixture
def visitors(backend: Backend) -> Iterator[list[Visitor]]:
    both = [Visitor(backend), Visitor(backend)]
    yield both
    for each in both:
        each.leaves()


@pytest.fixture
def backend() -> Iterator[Backend]:
    opened = Backend("sqlite://", sdk_app_id=APP)
    yield opened
    opened.close()


def test_the_answer_to_a_hello_leaves_with_that_to_the_login_behind_it(visitors: list[Visitor]) -> None:
    [page, _] = visitors
    page.writes(ALIVE)
    page.writes(LOGIN)
    answers = page.reads()
    assert ALIVE.encode() in answers
    assert LOGIN.encode() in answers, "a write of its own, and a pass of the loop, before the login"


def test_a_kick_is_written_before_anything_else_that_an_end_causes(visitors: list[Visitor]) -> None:
    old, new = visitors
    old.writes(LOGIN)
    assert LOGIN.encode() in old.reads()
    new.writes(LOGIN)
    assert LOGIN.encode() in new.reads()
    while len(old.lobby.sent) < 2:
        gevent.sleep(0.001)
    assert b"stat_forceoffline" in old.lobby.sent[-1]
