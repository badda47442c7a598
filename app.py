"""The server: settings in, service made, routes registered. What `flask run` and gunicorn find."""

from __future__ import annotations

import sys

REFUSED = 4
"""Exit status of a start that cannot be: the one at which gunicorn does not try again and again."""

if sys.version_info < (3, 11):  # noqa: UP036 - pip installs all of it on an older one, where an import below fails
    sys.stderr.write(f"tim: Python 3.11 or newer is needed, and this is {sys.version.split()[0]}\n")
    sys.exit(REFUSED)

import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click
from babel.dates import LOCALTZ
from flask import Flask, Response
from flask.helpers import get_debug_flag
from flask_babel import Babel, format_datetime, get_locale
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import is_running_from_reloader

from tim import Backend
from tim.errors import SettingError, StoreUnavailable
from tim.events import EVENT_WORDS
from tim.timing import DEFAULT, Timing
from tim.web import cli, guard, login, ops, tabs
from tim.web.context import Service, service
from tim.web.identity import Identity
from tim.web.logs import hide_usersigs, write_own_lines
from tim.web.settings import check_names, read_settings
from tim.web.sockets import options
from tim.web.tencent import gateway, rest


def create_app(timing: Timing = DEFAULT) -> Flask:
    """The application, with its store open."""
    app = Flask(__name__)
    write_own_lines()
    with _refusing():
        check_names(os.environ)
        app.config.from_prefixed_env("TIM", loads=str)
    app.config["SOCK_SERVER_OPTIONS"] = options(timing)
    Babel(app, timezone_selector=lambda: LOCALTZ)
    guard.install(app)
    hide_usersigs()
    app.add_template_filter(_clock, "clock")
    app.add_template_filter(_iso, "iso")
    app.add_template_filter(_moment, "moment")
    app.jinja_env.globals.update(now=_now, get_locale=get_locale, event_words=EVENT_WORDS, new_number=_new_number)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_blueprint(login.blueprint)
    app.register_blueprint(tabs.blueprint)
    app.register_blueprint(gateway.blueprint)
    app.register_blueprint(rest.blueprint)
    app.register_blueprint(ops.blueprint)
    app.cli.add_command(cli.commands)
    app.register_error_handler(StoreUnavailable, _say_later)
    if _serves():
        _open(app, timing)
    return app


def _say_later(error: StoreUnavailable) -> Response:
    return Response(f"{error.message}\n", 503, login.retry_after(error), mimetype="text/plain")


@contextmanager
def _refusing() -> Iterator[None]:
    """A setting that cannot be used stops the start, with one line."""
    try:
        yield
    except SettingError as error:
        click.echo(f"tim: {error}", err=True)
        sys.exit(REFUSED)


def _open(app: Flask, timing: Timing) -> None:
    with _refusing():
        settings = read_settings(app.config, Path(app.instance_path))
        backend = Backend(
            settings.store,
            sdk_app_id=settings.sdk_app_id,
            secret_key=settings.sdk_secret_key,
            online_web_instances=settings.online_web_instances,
            detach_grace=settings.detach_grace,
            timing=timing,
        )
    os.register_at_fork(after_in_child=_refuse_fork)
    app.extensions["tim"] = Service(settings, backend, Identity(settings.secret_keys, backend.clock), timing)
    if settings.trusted_proxies:
        n = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=n, x_proto=n, x_host=n, x_prefix=n)  # type: ignore[method-assign]
    with suppress(ValueError):  # only a main thread gets signals, and what is imported elsewhere is no server
        _drain_when_stopped(backend, timing)


def _refuse_fork() -> None:
    """The store, its threads and its lock belong to the process that opened them."""
    os.write(
        2, b"tim: TIM_STORE: a server must not be forked once its store is open; start gunicorn without --preload\n"
    )
    os._exit(REFUSED)


def _serves() -> bool:
    """Whether this process is going to answer requests.

    `flask routes` and the like load the application without serving it, and so does the watcher process of
    `flask run --debug`, which starts the server as its child. The store belongs to the one that serves.
    """
    command = click.get_current_context(silent=True)
    if command is None:
        return True
    if command.info_name != "run":
        return False
    reload = command.params.get("reload")
    return is_running_from_reloader() or not (get_debug_flag() if reload is None else reload)


def _drain_when_stopped(backend: Backend, timing: Timing) -> None:
    """Stop on SIGTERM and Ctrl+C alike: gunicorn's own way to take Ctrl+C in greenlets ends in a traceback."""
    before = signal.getsignal(signal.SIGTERM)
    alone = not callable(before)  # gunicorn ends its workers itself
    asked = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        # No more than this: whoever was interrupted may hold a lock, and in greenlets nothing here may block.
        asked.set()
        if callable(before):
            before(number, frame)

    for number in (signal.SIGTERM, signal.SIGINT) if alone else (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, stop)
    threading.Thread(target=_leave, args=(backend, asked, alone, timing), name="tim-stop", daemon=True).start()


def _leave(backend: Backend, asked: threading.Event, alone: bool, timing: Timing) -> None:
    """When asked, send all streams away. Where nobody else ends this process, end it when they have said goodbye."""
    asked.wait()
    backend.drain()
    deadline = time.monotonic() + timing.server_stop
    while alone and len(backend.hub) and time.monotonic() < deadline:
        time.sleep(timing.poll)
    if alone:
        os._exit(0)


def _now() -> float:
    return service().backend.clock()


def _new_number() -> str:
    """What tells one message of a form from all others."""
    return secrets.token_hex(16)


def _clock(seconds: float, form: str = "d MMM y, HH:mm:ss z") -> str:
    """Unix seconds in words, in the time zone of the server."""
    return str(format_datetime(datetime.fromtimestamp(seconds, UTC), form))


def _moment(seconds: float) -> str:
    """Unix seconds in few words: the time alone where it is today."""
    today = _clock(_now(), "y-MM-dd") == _clock(seconds, "y-MM-dd")
    return _clock(seconds, "HH:mm:ss" if today else "d MMM, HH:mm")


def _iso(seconds: float) -> str:
    """Unix seconds as a machine reads them."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def __getattr__(name: str) -> Flask:
    """`app`, made when somebody asks for it: `flask run` and gunicorn do; a test imports only create_app."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()["app"] = create_app()
    return made
