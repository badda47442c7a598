"""A reload of gunicorn on a SQLite file, which one process has at a time."""

from __future__ import annotations

import os
import runpy
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.gunicorn import children
from tests.support.server import ROOT, Server
from tests.support.waiting import until


@pytest.fixture
def server(not_quick: None, tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, gevent=True, options=("--keep-alive", "5"))
    yield made.start()
    made.stop()


def reloads(server: Server) -> tuple[int, int]:
    """SIGHUP; the old worker, which has stopped listening, and the new one."""
    [old] = children(server.pid())
    os.kill(server.pid(), signal.SIGHUP)
    until(lambda: len(children(server.pid())) == 2, "no new worker is started")
    [new] = children(server.pid()) - {old}
    return old, new


def handles(process: int, number: signal.Signals) -> bool:
    """Whether it has a handler of this signal, by proc(5)."""
    caught = Path(f"/proc/{process}/status").read_text().partition("SigCgt:")[2].split()[0]
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_a_new_worker_waits_until_the_old_one_has_left_the_file(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)):  # gunicorn waits for its first request
        _, new = reloads(server)
        until(lambda: children(server.pid()) == {new}, "the old worker does not end")
    until(server.answers, server.log)
    server.has_no_traceback()
    assert "is in use by process" not in server.log()


def test_a_worker_that_waits_for_the_file_can_be_stopped(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)):
        old, new = reloads(server)
        until(lambda: not handles(new, signal.SIGTERM), "it keeps the handlers of the master")
        os.kill(new, signal.SIGTERM)
        until(lambda: new not in children(server.pid()), "it goes on waiting")
        assert old in children(server.pid()), "and ends before the one that it waits for"


@pytest.mark.parametrize(
    ("store", "wanted", "before", "waits"),
    [
        ("", 1, [1], True),
        ("", 1, [1, 2], True),
        ("", 1, [], False),
        ("", 4, [1, 2], False),
        ("", 2, [2], False),
        ("redis://127.0.0.1/0", 1, [1], False),
    ],
    ids=["a reload", "two reloads", "a start", "several at a start", "one that was killed", "Redis"],
)
def test_a_worker_waits_for_those_that_it_replaces(
    store: str, wanted: int, before: list[int], waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waits(Exception):
        pass

    def notify() -> None:
        raise Waits

    monkeypatch.setenv("TIM_STORE", store)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    post_fork: Any = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["post_fork"]
    running = [os.getpid(), os.getppid()]
    workers = {process: SimpleNamespace(age=age) for process, age in zip(running, before, strict=False)}
    arbiter = SimpleNamespace(WORKERS=workers, num_workers=wanted)
    worker = SimpleNamespace(age=max(before, default=0) + 1, notify=notify)
    if waits:
        with pytest.raises(Waits):
            post_fork(arbiter, worker)
    else:
        post_fork(arbiter, worker)
