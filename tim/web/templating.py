"""What the templates may use: filters for times, and a few globals."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from babel.dates import LOCALTZ
from flask import Flask
from flask_babel import Babel, format_datetime, format_timedelta, get_locale

from tim.events import EVENT_WORDS
from tim.web.context import service


def install(app: Flask) -> None:
    """Give the templates of `app` their filters, globals and translations."""
    Babel(app, timezone_selector=lambda: LOCALTZ)
    app.add_template_filter(_clock, "clock")
    app.add_template_filter(_iso, "iso")
    app.add_template_filter(_moment, "moment")
    app.add_template_filter(_span, "span")
    app.jinja_env.globals.update(now=_now, get_locale=get_locale, event_words=EVENT_WORDS, new_number=_new_number)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def _now() -> float:
    return service().backend.clock()


def _new_number() -> str:
    """32 random hex digits that identify one message or login of a form."""
    return secrets.token_hex(16)


def _clock(seconds: float, form: str = "d MMM y, HH:mm:ss z") -> str:
    """Unix seconds as text, in the time zone of the server."""
    return str(format_datetime(datetime.fromtimestamp(seconds, UTC), form))


def _moment(seconds: float) -> str:
    """Unix seconds as a short text: without the date if it is today."""
    today = _clock(_now(), "y-MM-dd") == _clock(seconds, "y-MM-dd")
    return _clock(seconds, "HH:mm:ss" if today else "d MMM, HH:mm")


def _span(seconds: float) -> str:
    """A number of seconds in words, rounded to its largest unit."""
    return str(format_timedelta(timedelta(seconds=seconds), threshold=1.5))


def _iso(seconds: float) -> str:
    """Unix seconds in ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
