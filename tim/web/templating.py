"""What the templates may use: filters for times and texts, and a few globals. Each is compiled once a language."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, MutableMapping
from functools import partial
from typing import Any, Final

from flask import Flask, current_app, request
from flask.templating import Environment
from jinja2 import Template, nodes

from tim.events import EVENT_WORDS, Event
from tim.model import Message
from tim.web import language
from tim.web.inliner import Inliner
from tim.web.time_words import TimeWords, iso
from tim.web.translator import Translator

FORM_NUMBER: Final = re.compile(r"[0-9a-f]{32}")
"""What a form has that identifies one login or one message, however often it is sent."""
SHORT: Final = 40
"""Characters of a message that the log of SDK events shows."""


class Templates(Environment):
    """The templates of `app`. Flask renders them in the language of the request, `in_language` in any.

    Attributes:
        language: the one in which they are; "" where that is the one of the request.
        words: for times, in that language.
    """

    def __init__(self, app: Flask, **options: Any) -> None:
        super().__init__(app, **options)
        self.language = ""
        self.words = TimeWords(language.ENGLISH, self._now)
        self._languages: dict[str, Templates] = {}
        self._loaded: dict[str, Template] = {}
        self._trees: dict[str, nodes.Template] = {}

    def in_language(self, code: str) -> Templates:
        """The same templates in one language. Filters and globals that are added later are not in them."""
        if code not in self._languages:
            self._languages[code] = self._translated(code)
        return self._languages[code]

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """Renders one with these values and the globals alone: it needs no request."""
        return self.get_template(name).render(values)

    def _now(self) -> float:
        """Unix seconds, by the clock of the service."""
        return float(self.app.extensions["tim"].backend.clock())

    def get_template(
        self, name: str | Template, parent: str | None = None, globals: MutableMapping[str, Any] | None = None
    ) -> Template:
        if not self.language:
            return self.in_language(language.current()).get_template(name, parent, globals)
        if self.auto_reload or globals or isinstance(name, Template):
            return super().get_template(name, parent, globals)
        if name not in self._loaded:  # Jinja's own cache takes a lock for each look
            self._loaded[name] = super().get_template(name)
        return self._loaded[name]

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        # Jinja would wrap them for templates that have their own. Each rendering copies them, which then takes longer.
        return super().make_globals(d) if d else self.globals

    def _translated(self, code: str) -> Templates:
        made = self.overlay()
        made.language, made._loaded, made._trees = code, {}, {}
        made.filters, made.globals = self.filters.copy(), self.globals.copy()
        made.words = words = TimeWords(code, self._now)
        made.filters |= {
            "clock": words.clock,
            "moment": words.moment,
            "span": words.span,
            "duration": words.duration,
            "translated": partial(language.translated, language=code),
        }
        made.globals |= {
            "now": self._now,
            "ngettext": partial(language.plural, language.catalogue(code)),
            "relative": words.relative,
            "language_tag": language.tag(code),
            "other_languages": language.others(code),
        }
        return made

    def _generate(self, source: nodes.Template, *args: Any, **options: Any) -> str:
        Translator(language.catalogue(self.language)).visit(source)
        if not self.auto_reload:  # that looks at the file of the template alone
            Inliner(self._parsed).visit(source)
        return super()._generate(source, *args, **options)

    def _parsed(self, name: str) -> nodes.Template:
        """The nodes of the template with this name, translated; each is parsed once."""
        if name not in self._trees:
            assert self.loader is not None
            source, path, _ = self.loader.get_source(self, name)
            tree = self._parse(source, name, path)
            Translator(language.catalogue(self.language)).visit(tree)
            self._trees[name] = tree  # complete, as other threads copy from it at once
        return self._trees[name]


def install(app: Flask) -> None:
    """Give the templates of `app` their filters, globals and translations."""
    app.jinja_environment = Templates  # type: ignore[assignment]
    app.jinja_options = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    for words in (iso, data, data_address):
        app.add_template_filter(words)
    app.jinja_env.globals.update(root=_root, here=language.here, event_words=EVENT_WORDS, new_number=new_number)


def templates() -> Templates:
    """The templates of the application, in the language of the request."""
    all_languages = current_app.jinja_env
    assert isinstance(all_languages, Templates)
    return all_languages.in_language(language.current())


def _root() -> str:
    """The path below which the service is; "" where it has a host of its own."""
    return request.script_root


def new_number() -> str:
    """A FORM_NUMBER, at random."""
    return secrets.token_hex(16)


def data(event: Event) -> str:
    """The data of an SDK event as JSON, in the vendor's form; texts are cut short."""
    items = event.data
    if isinstance(items, list):
        items = [_message(item) if isinstance(item, Message) else item for item in items]
    return json.dumps(items, ensure_ascii=False)


def data_address(html: str) -> str:
    """The address of a fragment that is its own content. What else it has, a browser encodes."""
    return "data:text/html;charset=utf-8," + str(html).replace("%", "%25").replace("#", "%23").replace("\n", "%0A")


def _message(message: Message) -> dict[str, Any]:
    text = message.text if len(message.text) <= SHORT else f"{message.text[:SHORT]}…"
    return {
        "ID": message.id,
        "from": message.sender,
        "to": message.to,
        "time": int(message.time),
        "payload": {"text": text},
    }
