"""The catalogues of translations: `python -m tests.support.catalogue` brings them up to date with the texts in use.

It adds the texts that a catalogue lacks, removes those that nothing uses any more, and says which have no translation
yet: write these into the .po file.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from tests.support.server import ROOT
from tim.web.language import CATALOGUES, ENGLISH, LANGUAGES

METHODS: Final = [("web/tencent/**.py", "ignore"), ("**.py", "python"), ("**.html", "jinja2")]
KEYWORDS: Final = {"_": None, "gettext": None, "ngettext": (1, 2), "text": None}
HEADER: Final = r"""# Brought up to date by: python -m tests.support.catalogue
msgid ""
msgstr ""
"Project-Id-Version: tim\n"
"Language: {language}\n"
"Plural-Forms: {plurals}\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"

"""
OPTIONS: Final = {"**.html": {"trimmed": "false", "silent": "false"}}


def texts() -> Catalog:
    """Every text that can be translated."""
    found = Catalog(charset="utf-8")
    for folder in ("templates", "tim"):
        for _file, _line, id, _comments, context in extract_from_dir(ROOT / folder, METHODS, OPTIONS, KEYWORDS):
            found.add(id, context=context)
    return found


def file_of(language: str) -> Path:
    return CATALOGUES / language / "LC_MESSAGES" / "messages.po"


def read(language: str) -> Catalog:
    with open(file_of(language), "rb") as file:
        return read_po(file, locale=language)


def missing(catalogue: Catalog) -> list[str]:
    """The texts without a translation, or with a doubtful one."""
    return [str(message.id) for message in catalogue if message.id and (message.fuzzy or not _whole(message.string))]


def _whole(translation: str | tuple[str, ...] | list[str] | None) -> bool:
    return all(translation) if isinstance(translation, tuple | list) else bool(translation)


def update(language: str) -> list[str]:
    """Bring the catalogue up to date. Returns the texts that still need a translation."""
    catalogue = read(language)
    catalogue.update(texts(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    file_of(language).write_bytes(written(catalogue, language))
    return missing(catalogue)


def written(catalogue: Catalog, language: str) -> bytes:
    """The .po file of the catalogue: sorted, without places and times, so that only changes of one text collide."""
    file = BytesIO()
    file.write(HEADER.format(language=language, plurals=catalogue.plural_forms).encode())
    write_po(file, catalogue, width=120, no_location=True, sort_output=True, omit_header=True)
    return file.getvalue()


if __name__ == "__main__":
    left = {language: update(language) for language in LANGUAGES if language != ENGLISH}
    for language, ids in left.items():
        sys.stdout.write("".join(f"{language}: {id!r}\n" for id in ids))
    sys.exit(any(left.values()))
