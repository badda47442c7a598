"""The server under test: a real `flask run` in a directory and an environment of its own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from tests.support.forks import FLASK, GUNICORN, Forked, Forks
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE, until
from tim import usersig
from tim.timing import Timing

ROOT: Final = Path(__file__).resolve().parents[2]
QUICK_APP: Final = ROOT / "tests" / "support" / "quick_app.py"
APP: Final = 1400000000
ADMINISTRATOR: Final = "administrator"
SDK_KEY: Final = "the-key-of-the-app-under-test-0123456789abcdef"
SECRET_KEY: Final = "the-secret-that-signs-cookies-under-test-42"
ADMIN_TOKEN: Final = "the-token-of-the-admin-under-test-4711"
VIEWER_TOKEN: Final = "the-token-of-the-viewer-under-test-0815"

SOCKET_SERVERS: Final[dict[str, Any]] = {
    "threads": {},
    "gevent": {"gevent": True},
    "gevent, stock": {"gevent": True, "STOCK_SOCKETS": "1"},
}
"""What makes a `Server` serve sockets in each of the ways there are."""


def copy_of_the_tree(to: Path) -> Path:
    """A copy of the product that a test may start from, change and write beside; its `app.py`."""
    to.mkdir(parents=True, exist_ok=True)
    for name in ("tim", "templates", "static", "translations"):
        if (ROOT / name).is_dir():
            # With what is compiled of it, which takes a third of a second; not with what is being written just now.
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    for name in ("app.py", "gunicorn.conf.py"):
        shutil.copy2(ROOT / name, to / name)
    return to / "app.py"


def clean_environment(**more: str) -> dict[str, str]:
    """This environment without what could set up a server by accident."""
    # With PYTHONDONTWRITEBYTECODE each start would compile it all again.
    foreign = ("TIM_", "FLASK_", "WERKZEUG_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"PYTHONUNBUFFERED": "1"} | more


def flask(app: Path, *words: str) -> list[str]:
    """The command line `flask --app app words…`."""
    return [sys.executable, "-m", "flask", "--app", str(app), *words]


def gunicorn(app: Path, port: int, workers: int = 1, more: Sequence[str] = ()) -> list[str]:
    """The command line that serves `app` as docs/operating.md says, with workers of greenlets."""
    top = _top(app)
    options = ["-k", "gevent", "-w", str(workers), "-b", f"127.0.0.1:{port}", "--chdir", str(top)]
    options += ["-c", str(top / "gunicorn.conf.py")]
    module = ".".join(app.relative_to(top).with_suffix("").parts)
    return [sys.executable, "-m", "gunicorn", *options, *more, f"{module}:app"]


FORKS: Final = {program: Forks(program, ROOT, clean_environment()) for program in (FLASK, GUNICORN)}
"""What the servers of all tests of this process are forked from."""


def _top(app: Path) -> Path:
    """The folder from which the module of `app` is imported."""
    return next(folder for folder in app.parents if not (folder / "__init__.py").exists())


class Server:
    """One server and everything it has written.

    Args:
        home: where its store, its log and its working directory are.
        app: which copy of the product to run.
        timing: how long the server waits, where that is not as usual.
        demo: start as somebody does who has configured nothing; `app` must then be a copy.
        tokens: whether it has a console, with the tokens above.
        debug: run with the reloader.
        gevent: run under gunicorn, in greenlets, instead of `flask run`, in threads.
        workers: processes of gunicorn; more than one need a `STORE` that many can be on.
        options: more of its options.
        prefix: the path that gunicorn serves it under, `/chat`.
        settings: `ONLINE_WEB_INSTANCES="2"` becomes TIM_ONLINE_WEB_INSTANCES.
    """

    def __init__(
        self,
        home: Path,
        *,
        app: Path = ROOT / "app.py",
        timing: Timing | None = None,
        demo: bool = False,
        tokens: bool = True,
        debug: bool = False,
        gevent: bool = False,
        workers: int = 1,
        options: Sequence[str] = (),
        prefix: str = "",
        **settings: str,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self._accounts: dict[str, str] = {}  # the test that uses each
        if timing is not None:
            app = QUICK_APP
        self.app = app
        self.environment = {} if timing is None else {"QUICK_TIMING": json.dumps(asdict(timing))}
        self.prefix = prefix
        self.port = free_port()
        self.log_file = home / "server.log"
        ours = {
            "STORE": f"sqlite:///{home / 'tim.db'}",
            "SDK_SECRET_KEY": SDK_KEY,
            "SECRET_KEY": SECRET_KEY,
            "TEST_USERSIG": "1",
        }
        console = {"ADMIN_TOKEN": ADMIN_TOKEN, "VIEWER_TOKEN": VIEWER_TOKEN} if tokens else {}
        self.settings = ({} if demo else ours | console) | settings
        debugging = ["--debug"] if debug else []
        self._command = flask(app, "run", "--port", str(self.port), *debugging)
        if gevent:
            self._command = gunicorn(app, self.port, workers, options)
        self._process: subprocess.Popen[bytes] | Forked | None = None

    @property
    def address(self) -> str:
        """What a browser's address bar calls it."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Server:
        """Start it on its port, and wait until it answers."""
        settings = {f"TIM_{name}": value for name, value in self.settings.items()}
        prefix = {"SCRIPT_NAME": self.prefix} if self.prefix else {}
        self._process = self._starts(clean_environment(**settings, **prefix, **self.environment))
        until(self._answers_or_died, lambda: f"the server does not answer:\n{self.log()}", 30)
        assert self._running(), f"the server did not start:\n{self.log()}"
        return self

    def _starts(self, environment: dict[str, str]) -> subprocess.Popen[bytes] | Forked:
        """A process in a session of its own, so that what it starts itself can be ended with it."""
        program = None
        if self._command[:3] == [sys.executable, "-m", "gunicorn"]:
            program = GUNICORN
        # Not a copy, which may have other code than ours.
        elif self.app in (ROOT / "app.py", QUICK_APP) and self._command == flask(
            self.app, "run", "--port", str(self.port)
        ):
            program = FLASK
        if program is not None:
            return FORKS[program].start(self._command[2:], self.home, environment, self.log_file)
        with open(self.log_file, "ab") as log:
            return subprocess.Popen(
                self._command,
                cwd=self.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def terminate(self) -> int:
        """SIGTERM, and wait for its end; its exit status."""
        self._require().terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; its exit status."""
        return self._require().wait(PATIENCE)

    def kill(self) -> None:
        """SIGKILL: no goodbye to anybody."""
        process = self._require()
        process.kill()
        process.wait(PATIENCE)

    def pause(self) -> None:
        """SIGSTOP: its connections stay, and nothing answers."""
        self._require().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._require().send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and everything it started, in whatever state it is."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)

    def pid(self) -> int:
        return self._require().pid

    def log(self) -> str:
        """Everything it has written, from its first start on."""
        return self.log_file.read_text(errors="replace")

    def has_no_traceback(self, since: int = 0) -> None:
        """Nothing failed in it, since its log had so many characters."""
        log = self.log()[since:]
        assert "Traceback" not in log, log[log.index("Traceback") :][:4000]

    def user_sig(self, user_id: str, expire: int = 86400, *, made: float | None = None) -> str:
        """A UserSig that this server accepts. Tests share servers, but no account apart from the administrator's."""
        test = os.environ.get("PYTEST_CURRENT_TEST", "").partition("[")[0].partition(" ")[0]
        first = self._accounts.setdefault(user_id, test)
        assert first == test or user_id == ADMINISTRATOR, (
            f"{first} uses the account {user_id!r} of this server already; take another name"
        )
        now = time.time() if made is None else made
        return usersig.make(self.settings["SDK_SECRET_KEY"], APP, user_id, now=now, expire=expire)

    def _require(self) -> subprocess.Popen[bytes] | Forked:
        assert self._process is not None, "start it first"
        return self._process

    def _running(self) -> bool:
        return self._require().poll() is None

    def _answers_or_died(self) -> bool:
        return not self._running() or self.answers()

    def answers(self) -> bool:
        """Whether it answers a request now."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", f"{self.prefix}/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
