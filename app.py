"""Composes the server: reads the settings, opens the service, registers the routes."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - pip installs all of it on an older one, where an import below fails
    sys.stderr.write(f"tim: Python 3.11 or newer is needed, and this is {sys.version.split()[0]}\n")
    sys.exit(4)  # tim.web.lifetime.REFUSED, which cannot be imported yet

import os
from pathlib import Path

from flask import Flask

from tim import Backend
from tim.timing import DEFAULT, Timing
from tim.web import (
    choose,
    cli,
    dispatch,
    guard,
    language,
    lifetime,
    login,
    logs,
    ops,
    problems,
    static_files,
    tabs,
    templating,
)
from tim.web.client import load_names
from tim.web.console import accounts, api, instances, overview, session
from tim.web.console import audit as audit_page
from tim.web.console import settings as settings_page
from tim.web.console import usersig as usersig_page
from tim.web.console import webhook as webhook_page
from tim.web.context import Service
from tim.web.identity import Identity
from tim.web.metrics import Metrics
from tim.web.settings import check_names, log_form, read_settings
from tim.web.tencent import gateway, rest


def create_app(timing: Timing = DEFAULT) -> Flask:
    """The application. Its store is open where this process is going to answer requests.

    A setting that cannot be used ends the process with one line on stderr.
    """
    app = Flask(__name__)
    logs.clean_lines()
    with lifetime.refusing():
        logs.write_lines(log_form(os.environ))
        check_names(os.environ)
        app.config.from_prefixed_env("TIM", loads=str)
    dispatch.install(app)
    guard.install(app)
    templating.install(app)
    static_files.install(app)
    session.install(app)
    consoles = (session, overview, instances, accounts, audit_page, settings_page, usersig_page, webhook_page, api)
    for face in (language, login, choose, tabs, gateway, rest, ops, *consoles):
        app.register_blueprint(face.blueprint)
    app.cli.add_command(cli.commands)
    problems.install(app)
    if lifetime.serves():
        load_names()  # before the process is ready, not with its first login
        _open(app, timing)
    return app


def _open(app: Flask, timing: Timing) -> None:
    """Open the service that the settings of `app` describe."""
    with lifetime.refusing():
        settings = read_settings(app.config, Path(app.instance_path))
        backend = Backend(
            settings.store,
            sdk_app_id=settings.sdk_app_id,
            secret_key=settings.sdk_secret_key,
            online_web_instances=settings.online_web_instances,
            detach_grace=settings.detach_grace,
            audit_days=settings.audit_days,
            webhook=settings.webhook,
            webhook_local=settings.webhook_local,
            timing=timing,
        )
    lifetime.refuse_forks()
    lifetime.stop_on_signals(backend, timing)
    identity, operators = Identity(settings.secret_keys, backend.clock), backend.operators(settings.tokens)
    app.extensions["tim"] = Service(settings, backend, identity, timing, operators, Metrics(backend))
    lifetime.announce_console(settings)
    app.wsgi_app = dispatch.behind_proxies(app.wsgi_app, settings.trusted_proxies)  # type: ignore[assignment, method-assign]


def __getattr__(name: str) -> Flask:
    """`app`, made on first access by `flask run` or gunicorn. A test imports `create_app` and opens no store."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()["app"] = create_app()
    lifetime.freeze_what_is_loaded()
    return made
