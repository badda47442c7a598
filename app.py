"""The server: settings in, service made, routes registered. What `flask run` and gunicorn find."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click
from flask import Flask
from flask.helpers import get_debug_flag
from flask_babel import Babel, get_locale
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import is_running_from_reloader

from tim import Backend
from tim.errors import SettingError
from tim.events import EVENT_WORDS
from tim.web import guard, login, ops, sdk_gateway, tabs
from tim.web.identity import Identity
from tim.web.service import Service
from tim.web.settings import read_settings
from tim.web.sockets import OPTIONS

PATIENCE = 3
"""Seconds that open streams have to say goodbye when the server stops."""


def create_app() -> Flask:
    """The application, with its store open."""
    app = Flask(__name__)
    app.config.from_prefixed_env("TIM", loads=str)
    app.config["SOCK_SERVER_OPTIONS"] = OPTIONS
    Babel(app)
    guard.install(app)
    app.add_template_filter(_clock, "clock")
    app.jinja_env.globals.update(now=time.time, get_locale=get_locale, event_words=EVENT_WORDS)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_blueprint(login.blueprint)
    app.register_blueprint(tabs.blueprint)
    app.register_blueprint(sdk_gateway.blueprint)
    app.register_blueprint(ops.blueprint)
    if _serves():
        _open(app)
    return app


def _open(app: Flask) -> None:
    try:
        settings = read_settings(app.config, Path(app.instance_path))
        backend = Backend(
            settings.store,
            sdk_app_id=settings.sdk_app_id,
            secret_key=settings.sdk_secret_key,
            online_web_instances=settings.online_web_instances,
            detach_grace=settings.detach_grace,
        )
    except SettingError as error:
        sys.exit(f"tim: {error}")
    app.extensions["tim"] = Service(settings, backend, Identity(settings.secret_keys, backend.clock))
    if settings.trusted_proxies:
        n = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=n, x_proto=n, x_host=n)  # type: ignore[method-assign]
    if threading.current_thread() is threading.main_thread():
        _drain_on_sigterm(backend)


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


def _drain_on_sigterm(backend: Backend) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def drain(number: int, frame: FrameType | None) -> Any:
        backend.drain()
        if callable(before):
            return before(number, frame)
        threading.Thread(target=_leave, args=(backend,), daemon=True).start()
        return None

    signal.signal(signal.SIGTERM, drain)


def _leave(backend: Backend) -> None:
    """Stop as soon as all streams have said goodbye, and in any case soon."""
    deadline = time.monotonic() + PATIENCE
    while len(backend.hub) and time.monotonic() < deadline:
        time.sleep(0.02)
    os._exit(0)


def _clock(seconds: float, form: str = "%d %b %Y, %H:%M:%S %Z") -> str:
    """Unix seconds in words, in the time zone of the server."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime(form)


app = create_app()
