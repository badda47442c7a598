"""gunicorn with several workers on a Redis, and each of them within reach of a test that wants to kill it."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from tests.support.server import ROOT, Server, gunicorn
from tests.support.shims import shim
from tests.support.tcp import still_open
from tests.support.waiting import until
from tests.support.wire import Socket


class Gunicorn(Server):
    """A master and its workers; each worker is a node of its own in the store.

    Args:
        redis_port: where the store is; what is there may be a line that fails.
        ahead: seconds by which the clock of all its processes is ahead of this machine's.
        settings: as for `Server`.
    """

    def __init__(
        self,
        home: Path,
        redis_port: int,
        *,
        workers: int = 2,
        ahead: int = 0,
        app: Path = ROOT / "app.py",
        **settings: Any,
    ) -> None:
        super().__init__(home, app=app, STORE=f"redis://127.0.0.1:{redis_port}/0", **settings)
        self._workers = workers
        self._redis_port = redis_port
        self._killed: list[int] = []  # masters whose workers may go on
        shifted = ["env", f"LD_PRELOAD={shim('ahead')}", f"TIM_TEST_AHEAD={ahead}"] if ahead else []
        self._command = [*shifted, *gunicorn(self.app, self.port, workers)]

    def start(self) -> Gunicorn:
        """Start it on its port, and wait until all of its workers are at work."""
        super().start()
        until(lambda: len(self.workers()) == self._workers, lambda: f"not all workers have come up:\n{self.log()}")
        self._wait_until_all_accept()
        return self

    def _wait_until_all_accept(self) -> None:
        """Open connections until each worker has one: it has found the store a moment before it listens."""
        own: set[int] = set()  # ports of these connections

        def peers(worker: int) -> set[int]:
            return {peer for port, peer in connections(worker) if port == self.port}

        with ExitStack() as opened:

            def all_serve() -> bool:
                line = opened.enter_context(socket.create_connection(("127.0.0.1", self.port)))
                own.add(line.getsockname()[1])
                return all(map(peers, self.workers()))

            until(all_serve, lambda: f"not all workers accept:\n{self.log()}")
        until(
            lambda: not any(own & peers(worker) for worker in self.workers()),
            lambda: f"a connection stays open:\n{self.log()}",
        )

    def kill(self) -> None:
        super().kill()
        self._killed.append(self.pid())

    def stop(self) -> None:
        super().stop()
        for master in self._killed:
            with suppress(ProcessLookupError):
                os.killpg(master, signal.SIGKILL)

    def workers(self) -> set[int]:
        """The processes that serve now: those that have found the store."""
        return set(filter(self._is_at_work, children(self.pid())))

    def worker_of(self, stream: Socket) -> int:
        """The process at the other end of a stream."""
        port = stream.line.getsockname()[1]
        found = [pid for pid in self.workers() if (self.port, port) in connections(pid)]
        assert len(found) == 1, (found, port)
        return found[0]

    def unsent(self, port: int) -> int:
        """Bytes that wait on the way to a client's port; 0 where there is no such connection any more."""
        return sum(one.unsent for one in still_open() if (one.port, one.peer) == (self.port, port))

    def reloads(self) -> None:
        """SIGHUP: the master starts new workers and ends the old ones; wait until the new ones are at work alone."""
        old = self.workers()
        self._require().send_signal(signal.SIGHUP)
        until(lambda: all(map(has_ended, old)), "an old worker does not end")
        until(lambda: len(self.workers()) == self._workers, "not all new workers have come up")
        self._wait_until_all_accept()

    def kills_worker(self, pid: int) -> None:
        """SIGKILL: no goodbye to anybody."""
        assert pid in self.workers()
        os.kill(pid, signal.SIGKILL)

    def _is_at_work(self, pid: int) -> bool:
        return any(port == self._redis_port for _, port in connections(pid))


def connections(pid: int) -> set[tuple[int, int]]:
    """The ports, its own and the peer's, of every connection that a process has."""
    inodes: set[str] = set()
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                inodes.add(str(descriptor.readlink()))
    return {(one.port, one.peer) for one in still_open() if one.inode in inodes}


def children(pid: int) -> set[int]:
    """The processes that a process has started."""
    with suppress(OSError):
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return set()


def has_ended(pid: int) -> bool:
    """Whether no process with this number runs any more; one that nobody has waited for does not run."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"
