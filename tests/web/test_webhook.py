"""The webhook of a server: its settings, and the receiver of the document."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.documents import block
from tests.support.ports import free_port
from tests.support.receiver import TOKEN, AReceiver, Reply, running_receiver
from tests.support.server import Server
from tests.support.waiting import until
from tests.support.wire import log_in
from tim.receiver import sign

TIMES = re.compile(r"alice (\w+) (\d)")


@pytest.fixture
def serves(tmp_path: Path, not_quick: None) -> Iterator[Callable[..., Server]]:
    """`serves(url)`: a server that reports to it."""
    made: list[Server] = []

    def serve(url: str) -> Server:
        home = tmp_path / "server"
        made.append(Server(home, WEBHOOK_URL=url, WEBHOOK_TOKEN=TOKEN, WEBHOOK_ALLOW_LOCAL="1"))
        return made[-1].start()

    yield serve
    for one in made:
        one.stop()


def test_the_receiver_of_the_document_prints_each_event_once(tmp_path: Path, serves: Callable[..., Server]) -> None:
    script, printed, port = tmp_path / "receiver.py", tmp_path / "printed", free_port()
    script.write_text(block("docs/webhook.md", "python"))
    with open(printed, "wb") as out:
        run = subprocess.Popen(
            [sys.executable, str(script)],
            env={**os.environ, "TOKEN": TOKEN, "PORT": str(port)},
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
    try:
        server = serves(f"http://127.0.0.1:{port}/hook")
        log_in(server, "alice")
        log_in(server, "alice").posts("logout")
        until(lambda: len(TIMES.findall(printed.read_text())) >= 3, printed.read_text)
        assert TIMES.findall(printed.read_text()) == [("Login", "0"), ("Login", "1"), ("Logout", "0")]
    finally:
        run.kill()
        run.wait()


def test_the_vector_of_the_document_is_right() -> None:
    assert f"`{sign('xxxxyyyy', '1669872112')}`" in (Path(__file__).parents[2] / "docs/webhook.md").read_text()


def test_a_server_that_was_killed_sends_what_it_had_queued(serves: Callable[..., Server]) -> None:
    with running_receiver() as receiver:
        receiver.reply = lambda _: Reply(503)
        server = serves(receiver.url)
        log_in(server, "bob")
        until(receiver.calls, "nobody tries")
        server.kill()
        receiver.reply = lambda _: Reply()
        server.start()
        is_reported(receiver, "bob")


def is_reported(receiver: AReceiver, user: str) -> None:
    until(lambda: receiver.accepted(user), f"no event of {user}")
    assert [call.action for call in receiver.accepted(user)] == ["Login"]
    assert len({call.delivery for call in receiver.calls(user)}) == 1
