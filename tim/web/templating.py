"""What the templates may use: filters for times and texts, and a few globals."""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

from babel.dates import LOCALTZ
from flask import Flask
from flask_babel import Babel

from tim.events import EVENT_WORDS, Event
from tim.model import Message
from tim.web import language, time_words
from tim.web.context import service

SHORT: Final = 40
"""Characters of a message that the log of SDK events shows."""


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
        data,
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


def data(event: Event) -> str:
    """The data of an SDK event as JSON, in the vendor's form; texts are cut short."""
    items = event.data
    if isinstance(items, list):
        items = [_message(item) if isinstance(item, Message) else item for item in items]
    return json.dumps(items, ensure_ascii=False)


def _message(message: Message) -> dict[str, Any]:
    text = message.text if len(message.text) <= SHORT else f"{message.text[:SHORT]}…"
    return {
        "ID": message.id,
        "from": message.sender,
        "to": message.to,
        "time": int(message.time),
        "payload": {"text": text},
    }
