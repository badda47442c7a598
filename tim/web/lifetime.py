"""The life of a server process: whether it serves, how it refuses to start, and how it stops."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final
from urllib.parse import quote

import click
from flask.helpers import get_debug_flag
from werkzeug.serving import is_running_from_reloader

from tim.backend import Backend
from tim.errors import SettingError
from tim.log import log_event, log_problem
from tim.operators import Role
from tim.timing import Timing
from tim.web.logs import JSONForm
from tim.web.settings import Settings, log_form

REFUSED: Final = 4
"""Exit status of a start that is refused. gunicorn does not start a worker again that ends with it."""


@contextmanager
def refusing() -> Iterator[None]:
    """Ends the process with one line on stderr and exit status REFUSED if a setting cannot be used."""
    try:
        yield
    except SettingError as error:
        if os.environ.get("TIM_LOG") == "json":
            log_problem("start-refused", setting=error.name, why=str(error))
        else:
            click.echo(f"tim: {error}", err=True)
        sys.exit(REFUSED)


def serves() -> bool:
    """Whether this process answers requests, and so opens the store.

    `flask routes` and the like load the application without serving it. So does the watcher process of
    `flask run --debug`, which starts the server as its child.
    """
    command = click.get_current_context(silent=True)
    if command is None:
        return True
    if command.info_name != "run":
        return False
    reload = command.params.get("reload")
    return is_running_from_reloader() or not (get_debug_flag() if reload is None else reload)


def announce_console(settings: Settings) -> None:
    """Prints the address that signs in to the console of the demo app; logs that the console is off where it is."""
    if settings.prints_token:
        address = f"{_own_address()}/console?token={quote(settings.tokens[Role.ADMIN], safe='')}"
        words = f"the console is at {address}"
        # Not by a logger: each hides tokens.
        line = logging.makeLogRecord({"name": "tim", "levelno": logging.INFO, "levelname": "INFO", "msg": words})
        click.echo(JSONForm().format(line) if log_form(os.environ) == "json" else f"tim: {words}", err=True)
    elif not settings.tokens:
        log_event("console-off", hint="set TIM_ADMIN_TOKEN to have it at /console")


def _own_address() -> str:
    """Where `flask run` serves; empty under another server, which does not say."""
    command = click.get_current_context(silent=True)
    if command is None or "port" not in command.params:
        return ""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(command.params["host"], command.params["host"])
    return f"http://{f'[{host}]' if ':' in host else host}:{command.params['port']}"


def freeze_what_is_loaded() -> None:
    """Excludes from garbage collection what is there now, which stays: modules, routes, templates.

    A full collection then takes a few milliseconds with few tabs, not a tenth of a second in which nobody is answered.
    """
    gc.collect()
    gc.freeze()


def refuse_forks() -> None:
    """End each child process from now on: the store, its threads and its lock belong to this process."""
    os.register_at_fork(after_in_child=_refuse_fork)


def stop_on_signals(backend: Backend, timing: Timing) -> None:
    """On SIGTERM and Ctrl+C, close all streams and end the process.

    gunicorn ends its workers itself; there the streams are closed only, and the process waits for that at its exit:
    gunicorn does not know the sockets that have left their requests. Its own handler of Ctrl+C ends in a traceback
    where workers use greenlets.
    """
    before = signal.getsignal(signal.SIGTERM)
    alone = not callable(before)  # no gunicorn
    stopped = threading.Event()
    if not alone:
        atexit.register(_close_streams, backend, timing)

    def stop(number: int, frame: FrameType | None) -> None:
        # Nothing more: the interrupted thread may hold a lock, and with greenlets nothing here may block.
        stopped.set()
        if callable(before):
            before(number, frame)

    with suppress(ValueError):  # only the main thread receives signals; a server is started from it
        for number in (signal.SIGTERM, signal.SIGINT) if alone else (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, stop)
        threading.Thread(target=_stop, args=(backend, stopped, alone, timing), name="tim-stop", daemon=True).start()


def _refuse_fork() -> None:
    os.write(
        2, b"tim: TIM_STORE: a server must not be forked once its store is open; start gunicorn without --preload\n"
    )
    os._exit(REFUSED)


def _stop(backend: Backend, stopped: threading.Event, alone: bool, timing: Timing) -> None:
    stopped.wait()
    if alone:
        _close_streams(backend, timing)
        os._exit(0)
    backend.drain()


def _close_streams(backend: Backend, timing: Timing) -> None:
    """Close all streams, and wait until their sockets are closed too."""
    backend.drain()
    deadline = time.monotonic() + timing.server_stop
    while backend.streams and time.monotonic() < deadline:
        time.sleep(timing.poll)
    log_event("stop")
