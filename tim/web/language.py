"""The language of a page: which one a request gets, the switch, and the catalogues, which are read as they are written.

A page is in the language of the cookie that the switch sets; without it, in the first of the browser's languages that
there is; else in English. What an open page asks for by htmx, and its stream, is in the language of that page: the
switch may have been used in another tab meanwhile.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Blueprint, Response, abort, current_app, g, has_request_context, request, url_for
from markupsafe import Markup
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from tim.text import Text, text
from tim.web.dispatch import by_htmx, is_socket

blueprint = Blueprint("language", __name__)

ENGLISH: Final = "en"
LANGUAGES: Final = {ENGLISH: "English", "zh": "中文"}
"""Names of the languages, each in itself. All but English have a catalogue."""
TAGS: Final = {"zh": "zh-Hans"}
"""What `<html lang>` says of a language whose name alone does not tell its script."""
PAGE: Final = "Page-Language"
"""The header by which an open page says what its `<html lang>` is; its stream says it in the query, as `language`."""
COOKIE: Final = "lang"
LIFE: Final = 365 * 86400
"""Seconds for which a browser keeps its choice."""
CATALOGUES: Final = Path(__file__).parent / "translations"
SAFE: Final = "/~:@!$&'()*+,;="
"""Characters that stand in a path as they are, besides letters and digits."""
HEADERS: Final = 200
"""How many Accept-Language headers are kept with what they mean. Browsers send few different ones."""
LOCAL: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""A path of this server with its query. Browsers take a backslash for a slash."""


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
    for language in (_of_page(), request.cookies.get(COOKIE)):
        if language in LANGUAGES:
            return language
    return best_of(request.environ.get("HTTP_ACCEPT_LANGUAGE", ""))


def _of_page() -> str | None:
    """The language of the open page that has sent the current request; None for any other request."""
    if by_htmx(request.environ):
        said = request.headers.get(PAGE)
    elif is_socket(request.environ):
        said = request.args.get("language")
    else:
        return None
    return next((language for language in LANGUAGES if tag(language) == said), None)


@lru_cache(HEADERS)
def best_of(accepted: str) -> str:
    """The first of the languages in an Accept-Language header, the best first, that there is, in any script or country.

    A language at quality 0 is refused.
    """
    tags = [tag for tag, quality in parse_accept_header(accepted, LanguageAccept) if quality]
    names = (tag.lower().partition("-")[0] for tag in tags)
    return next((name for name in names if name in LANGUAGES), ENGLISH)


def current() -> str:
    """The language in which the current request is answered."""
    if not has_request_context():
        return ENGLISH
    if "language" not in g:
        g.language = choose_language()
    return str(g.language)


def gettext(words: str) -> str:
    """A text in the language of the current request."""
    return catalogue(current()).gettext(words)


def tag(language: str) -> str:
    """The language, as `<html lang>` says it."""
    return TAGS.get(language, language)


def translated(words: str, language: str = "") -> str:
    """`words`, if it is a text of `tim.text`, in the language, by default that of the request; otherwise as it is."""
    if not isinstance(words, Text):
        return words
    language = language or current()
    values: dict[str, Any] = {name: translated(value, language) for name, value in words.values.items()}
    found = catalogue(language).gettext(words.id)
    return found % values if values else found


def plural(texts: NullTranslations, singular: str, many: str, num: int, **values: object) -> Markup:
    """The form of a text for this number in a catalogue, as markup, with its values."""
    return Markup(texts.ngettext(singular, many, num)) % {"num": num, **values}


def others(language: str) -> list[tuple[str, str]]:
    """The languages to switch to from this one: code, and name."""
    return [(code, name) for code, name in LANGUAGES.items() if code != language]


def here() -> str:
    """The address to which the switch returns: the page itself, or that to which a page that answers a form belongs."""
    if request.method in ("GET", "HEAD"):
        query = request.query_string.decode("latin-1")
        return quote(request.script_root + request.path, safe=SAFE) + (f"?{query}" if query else "")
    pages = (f"{blueprint}.page" for blueprint in request.blueprints)
    page = next((name for name in pages if name in current_app.view_functions), "login.page")
    return url_for(page, userID=request.form.get("userID") or None)


def _of_user(address: str, user_id: str) -> str:
    """The address of the login page, with this UserID typed."""
    path, _, query = address.partition("?")
    return f"{path}?{urlencode(dict(parse_qsl(query)) | {'userID': user_id})}"


@blueprint.post("/language")
def choose() -> Response:
    """Keeps the chosen language in a cookie, and shows the page again."""
    language, following = request.form.get("lang", ""), request.form.get("next", "")
    if language not in LANGUAGES:
        abort(400, text("%(name)s must be one of: %(all)s", name="lang", all=", ".join(LANGUAGES)))
    if not LOCAL.fullmatch(following):
        following = url_for("login.home")
    elif "userID" in request.form:
        following = _of_user(following, request.form["userID"])
    if by_htmx(request.environ):
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
