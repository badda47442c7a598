"""Which worker of gunicorn takes a new connection: the one that has clearly fewer, if it is there to take it."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.faults.conftest import MakeGunicorn
from tests.support.gunicorn import children, connections, has_ended
from tests.support.redis_server import RedisServer
from tests.support.server import ROOT, Server
from tests.support.waiting import until
from tests.support.wire import get, log_in

BEFORE: Final = 24
MORE: Final = 20
"""As many as the emptier worker takes before the fuller one takes the next."""
AT_LEAST: Final = 16
"""Of MORE; a worker that gets no CPU for 10 ms leaves one to the fuller one."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """gunicorn closes an idle connection after a minute; by default after 2 s."""
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--keep-alive 60")


def has(server: Server, *workers: int) -> int:
    """How many connections of clients these workers have."""
    return sum(port == server.port for worker in workers for port, _ in connections(worker))


def opens(server: Server, number: int, until_the_end_of: ExitStack, *workers: int) -> None:
    """Open idle connections, each once one of these workers has taken the one before."""
    before = has(server, *workers)
    for more in range(before + 1, before + 1 + number):
        until_the_end_of.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        until(
            partial(lambda more: has(server, *workers) == more, more),
            partial(
                lambda more: f"{[has(server, worker) for worker in workers]} are open, and not {more}:\n{server.log()}",
                more,
            ),
        )


@pytest.mark.parametrize("what", ["connections", "streams"])
def test_a_stuck_worker_holds_nobody_up_and_takes_the_next_ones_when_it_is_back(
    redis: RedisServer, make_gunicorn: MakeGunicorn, what: str
) -> None:
    server = make_gunicorn(redis.port)
    workers = server.workers()
    for stuck in workers:  # in turn: the kernel may prefer either
        [full] = workers - {stuck}
        with ExitStack() as held:
            os.kill(stuck, signal.SIGSTOP)
            try:
                if what == "connections":
                    opens(server, BEFORE, held, full)
                else:
                    for n in range(BEFORE):
                        held.callback(log_in(server, f"{stuck}-{n}").goes_online().leaves)
            finally:
                os.kill(stuck, signal.SIGCONT)
            until(partial(lambda full: has(server, full) == BEFORE, full), "a request stays open")
            opens(server, MORE, held, *workers)
            assert has(server, stuck) >= AT_LEAST
        until(lambda: not has(server, *workers), "a connection stays open")  # else the one stopped next counts it
    server.has_no_traceback()


def test_a_new_worker_takes_what_comes_next(redis: RedisServer, make_gunicorn: MakeGunicorn) -> None:
    server = make_gunicorn(redis.port)
    killed, spared = server.workers()
    with ExitStack() as held:
        opens(server, 2 * BEFORE, held, killed, spared)
        server.kills_worker(killed)
        until(lambda: len(server.workers() - {killed}) == 2, "the worker is not replaced")
        [new] = server.workers() - {killed, spared}
        while not has(server, new):  # it is at work before it listens
            opens(server, 1, held, spared, new)
        opens(server, MORE, held, spared, new)
        assert has(server, new) > AT_LEAST


@pytest.mark.usefixtures("not_quick")
def test_only_workers_that_accept_count(tmp_path: Path) -> None:
    server = Server(tmp_path, app=ROOT / "tests" / "support" / "accepting_app.py", gevent=True, workers=2)

    def count(workers: int) -> None:
        until(lambda: len(get(server, "/").body.split()) == workers, lambda: get(server, "/").body)

    try:
        server.start()
        count(2)
        for to_master, workers in ((signal.SIGTTIN, 3), (signal.SIGTTOU, 2)):
            os.kill(server.pid(), to_master)
            count(workers)
        old = set(children(server.pid()))
        os.kill(server.pid(), signal.SIGHUP)
        until(lambda: not old & set(children(server.pid())), "an old worker does not end")
        count(2)
        oldest, newer = sorted(children(server.pid()))
        until(lambda: not has(server, oldest, newer), "a request stays open")
        with ExitStack() as held:
            opens(server, BEFORE, held, oldest, newer)
            os.kill(server.pid(), signal.SIGTTOU)
            count(1)
            assert not has_ended(oldest), "it serves its connections to their end"
        os.kill(server.pid(), signal.SIGTTIN)
        count(2)
        os.kill(newer, signal.SIGSTOP)
        os.kill(server.pid(), signal.SIGTTOU)
        os.kill(newer, signal.SIGKILL)
        count(1)
    finally:
        server.stop()
