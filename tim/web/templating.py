"""What the templates may use: filters for times and texts, and a few globals."""

from __future__ import annotations

import secrets

from babel.dates import LOCALTZ
from flask import Flask
from flask_babel import Babel

from tim.events import EVENT_WORDS
from tim.web import language, time_words
from tim.web.context import service


def install(app: Flask) -> None:
    """Give the templates of `app` their filters, globals and translations."""
    babel = Babel(app, locale_selector=language.choose_language, timezone_selector=lambda: LOCALTZ)
    babel.domain_instance = language.Catalogues()
    for words in (
        time_words.clock,
        time_words.iso,
        time_words.moment,
        time_words.span,
        time_words.duration,
        language.translated,
    ):
        app.add_template_filter(words)
    app.jinja_env.globals.update(
        now=_now,
        relative=time_words.relative,
        language_tag=language.current_tag,
        other_languages=language.other_languages,
        here=language.here,
        event_words=EVENT_WORDS,
        new_number=_new_number,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def _now() -> float:
    return service().backend.clock()


def _new_number() -> str:
    """32 random hex digits that identify one message or login of a form."""
    return secrets.token_hex(16)
