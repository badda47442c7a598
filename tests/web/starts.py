"""Starts of `flask run` that end by themselves. They are forked from one process that has imported the product.

A start takes most of its time for imports, and the tables of bad settings have many starts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

from tests.support.ports import free_port
from tests.support.server import clean_environment

SERVES: Final = """
import json, os, signal, sys, tempfile
sys.path.insert(0, os.getcwd())
import app
from flask.cli import main

for line in sys.stdin:
    asked = json.loads(line)
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            signal.alarm(60)  # a start that goes well would never end
            os.environ.update(asked["environment"])
            os.dup2(said.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            os.dup2(1, 0)
            sys.argv[:] = asked["command"]
            try:
                main()
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
            except BaseException:
                sys.excepthook(*sys.exc_info())
                status = 1
            sys.stderr.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        print(json.dumps([status, said.read().decode(errors="replace")]), flush=True)
"""


class Starts:
    """Starts the product that has its `app.py` there.

    Attributes:
        instance: the folder of its keys and its default store.
    """

    def __init__(self, app: Path) -> None:
        self._app = app
        self.instance = app.parent / "instance"
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVES],
            cwd=app.parent,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """`flask run` with these settings, until it ends."""
        command = ["flask", "--app", str(self._app), "run", "--port", str(free_port())]
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"command": command, "environment": environment}) + "\n")
        process.stdin.flush()
        status, said = json.loads(process.stdout.readline())
        return subprocess.CompletedProcess(command, status, "", said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
