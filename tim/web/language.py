"""The language of a page: which one a request gets, the switch, and the catalogues, which are read as they are written.

A page is in the language of the cookie that the switch sets; without it, in the first of the browser's languages that
there is; else in English. A stream is in the language of its handshake.
"""

from __future__ import annotations

import re
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Blueprint, Response, abort, current_app, has_request_context, request, url_for
from flask_babel import Domain, get_locale, gettext

from tim.text import Text, text

blueprint = Blueprint("language", __name__)

ENGLISH: Final = "en"
LANGUAGES: Final = {ENGLISH: "English", "zh": "中文"}
"""Names of the languages, each in itself. All but English have a catalogue."""
TAGS: Final = {"zh": "zh-Hans"}
"""What `<html lang>` says of a language whose name alone does not tell its script."""
COOKIE: Final = "lang"
LIFE: Final = 365 * 86400
"""Seconds for which a browser keeps its choice."""
CATALOGUES: Final = Path(__file__).parent / "translations"
SAFE: Final = "/~:@!$&'()*+,;="
"""Characters that stand in a path as they are, besides letters and digits."""
LOCAL: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""A path of this server with its query. Browsers take a backslash for a slash."""


class Catalogues(Domain):  # type: ignore[misc]
    """The translations of the current request's language."""

    def get_translations(self) -> NullTranslations:
        return catalogue(current())


@cache
def catalogue(language: str) -> NullTranslations:
    """The catalogue of a language, from its .po file; it is compiled in memory, so that no copy can be out of date."""
    if language == ENGLISH:
        return NullTranslations()
    with open(CATALOGUES / language / "LC_MESSAGES" / "messages.po", "rb") as file:
        texts = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, texts)
    compiled.seek(0)
    return Translations(compiled)


def choose_language() -> str:
    """The language of the current request."""
    if not has_request_context():
        return ENGLISH
    chosen = request.cookies.get(COOKIE, "")
    accepted = [tag for tag, quality in request.accept_languages if quality]  # at quality 0 it is refused
    return chosen if chosen in LANGUAGES else best_of(accepted)


def best_of(accepted: list[str]) -> str:
    """The first of the accepted languages, the best first, that there is, in whatever script or country."""
    names = (tag.lower().partition("-")[0] for tag in accepted)
    return next((name for name in names if name in LANGUAGES), ENGLISH)


def current() -> str:
    """The language in which the current request is answered."""
    locale = get_locale()
    return ENGLISH if locale is None else str(locale.language)


def current_tag() -> str:
    """The same, as `<html lang>` says it."""
    return TAGS.get(current(), current())


def translated(words: str) -> str:
    """`words` in the language of the request, if it is a text of `tim.text`; otherwise as it is."""
    if not isinstance(words, Text):
        return words
    values: dict[str, Any] = {name: translated(value) for name, value in words.values.items()}
    return str(gettext(words.id, **values))


def other_languages() -> list[tuple[str, str]]:
    """The languages to switch to: code, and name."""
    return [(code, name) for code, name in LANGUAGES.items() if code != current()]


def here() -> str:
    """The address to which the switch returns: the page itself, or that to which a page that answers a form belongs."""
    if request.method in ("GET", "HEAD"):
        query = request.query_string.decode("latin-1")
        return quote(request.script_root + request.path, safe=SAFE) + (f"?{query}" if query else "")
    pages = (f"{blueprint}.page" for blueprint in request.blueprints)
    page = next((name for name in pages if name in current_app.view_functions), "login.page")
    return url_for(page, userID=request.form.get("userID") or None)


@blueprint.post("/language")
def choose() -> Response:
    """Keeps the chosen language in a cookie, and shows the page again."""
    language, following = request.form.get("lang", ""), request.form.get("next", "")
    if language not in LANGUAGES:
        abort(400, text("%(name)s must be one of: %(all)s", name="lang", all=", ".join(LANGUAGES)))
    if not LOCAL.fullmatch(following):
        following = url_for("login.home")
    if "HX-Request" in request.headers:
        response = Response(headers={"HX-Redirect": following})
    else:
        response = Response(status=303, headers={"Location": following})
    response.set_cookie(
        COOKIE,
        language,
        max_age=LIFE,
        path=f"{request.script_root}/",
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )
    return response
