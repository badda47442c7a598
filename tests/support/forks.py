"""Commands without their imports: each is forked from a process that has imported what it begins with.

A start takes most of its time for imports, and most tests of the web need a server. After the imports all is as in
`python -m flask` or `python -m gunicorn`: its arguments, its environment, its folder, its session.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final, Self

FLASK: Final = """
import os, sys
sys.path.insert(0, os.getcwd())
import app, tim.store.sqlite.engine, ua_parser_builtins.matchers
from flask.cli import main as run

def main():
    # It ends without tidying up its memory, which would take as long as the imports.
    status = 0
    try:
        run()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
"""
"""`flask` with the product in this folder, and the expressions that recognise browsers: they take half of a start."""
GUNICORN: Final = """
import os, sys
import gunicorn.workers.ggevent, ua_parser_builtins.matchers
from gunicorn.app.wsgiapp import run

def main():
    sys.path[0] = os.getcwd()
    run(prog="gunicorn")
"""
"""gunicorn with what its master imports, and those expressions, in which is nothing that greenlets replace.

The product is imported by each worker, as always.
"""
SERVES: Final = """
import json

def follows(asked):
    os.setsid()
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for own, other in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(other, own)
    sys.argv[:] = asked["command"]

child = False
for line in sys.stdin:
    asked = json.loads(line)
    if isinstance(asked, int):
        print(os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1]), flush=True)
    elif pid := os.fork():
        print(pid, flush=True)
    else:
        follows(asked)
        child = True
        break
if child:
    main()
"""


class Forked:
    """A process that was forked, with what the tests use of `subprocess.Popen`."""

    def __init__(self, pid: int, parent: Forks) -> None:
        self.pid = pid
        self._parent = parent
        self._status: int | None = None
        self._end = os.pidfd_open(pid)

    def __del__(self) -> None:
        os.close(self._end)

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self._look(0)

    def wait(self, timeout: float) -> int:
        """Wait for its end; its exit status, or the signal that ended it, below zero.

        Raises:
            subprocess.TimeoutExpired: it still runs after `timeout` seconds.
        """
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float) -> int | None:
        if self._status is None and select.select([self._end], [], [], timeout)[0]:
            self._status = self._parent.status(self.pid)
        return self._status


class Forks:
    """The process that commands are forked from; it begins with the first one, and ends with the process of the tests.

    Several threads may start and stop what is forked.

    Args:
        program: FLASK or GUNICORN.
        folder: where it runs; the product that FLASK imports lies there.
    """

    def __init__(self, program: str, folder: Path, environment: dict[str, str]) -> None:
        self._program = program
        self._folder = folder
        self._environment = environment
        self._turn = threading.Lock()  # owns _process and what goes to and fro
        self._process: subprocess.Popen[str] | None = None

    def start(self, command: list[str], folder: Path, environment: dict[str, str], log: Path) -> Forked:
        """Start a command of the program in this folder and this environment; all it prints is appended to `log`."""
        asked = {"command": command, "folder": str(folder), "environment": environment, "log": str(log)}
        return Forked(self._asks(asked), self)

    def status(self, pid: int) -> int:
        """The exit status of one that has ended."""
        return self._asks(pid)

    def _asks(self, what: object) -> int:
        with self._turn:
            if self._process is None:
                self._process = self._begins()
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def _begins(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", self._program + SERVES],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
