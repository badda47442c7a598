"""Starts of `flask run` that end by themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final, Self

from tests.support.forks import FLASK, Forks
from tests.support.ports import free_port
from tests.support.server import clean_environment

PATIENCE: Final = 60
"""Seconds after which a start goes too well."""


class Starts:
    """Starts the product that has its `app.py` there.

    Attributes:
        instance: the folder of its keys and its default store.
    """

    def __init__(self, app: Path) -> None:
        self._app = app
        self.instance = app.parent / "instance"
        self._forks = Forks(FLASK, app.parent, clean_environment())

    def start(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """`flask run` with these settings, until it ends."""
        folder = self._app.parent
        command = ["flask", "--app", str(self._app), "run", "--port", str(free_port())]
        log = folder / "log"
        log.unlink(missing_ok=True)
        started = self._forks.start(command, folder, clean_environment(**environment), log)
        try:
            status = started.wait(PATIENCE)
        finally:
            started.kill()
        return subprocess.CompletedProcess(command, status, "", log.read_text(errors="replace"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._forks.close()
