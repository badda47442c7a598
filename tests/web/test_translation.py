"""Every word that a person reads is marked for translation, and translated: in another language none stays English.

A test that names a text fails where one was added or changed. `.venv/bin/python -m tests.support.catalogue` brings the
catalogue up to date, and lists what is still to be translated in its .po file.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, nodes

from tests.support import catalogue
from tests.support.server import ROOT, Server
from tests.support.wire import log_in
from tim.text import text
from tim.web.language import ENGLISH
from tim.web.language import LANGUAGES as LANGUAGES_OF_PAGES

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
READ_OUT = ("aria-label", "title", "placeholder", "alt", "data-empty", "data-label")
"""Attributes whose values are read by people."""
SAME_EVERYWHERE = {"UserID", "●", "○", "→", "·", "●○"}
"""Names of the field and signs, which are the same in every language."""
LANGUAGES = [language for language in LANGUAGES_OF_PAGES if language != ENGLISH]
COMMAND = "run: .venv/bin/python -m tests.support.catalogue"
PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?(.)?")
ERRORS = {
    "IMError",
    "BadParameter",
    "UserSigRefused",
    "UserSigRevoked",
    "SettingError",
    "NotDisplaced",
    "TooManyRequests",
}
"""Errors that are given their text where they are raised."""
FOR_MACHINES = ("tim/web/tencent/", "tim/store/", "tim/web/settings.py", "tim/web/console/api.py", "tim/secret_file.py",
                "tim/backend.py", "tim/faults.py", "tim/sdk.py")  # fmt: skip
"""What raises errors that no page shows: those of protocols and of scripts, and those that stop the start."""
TRANSLATORS = ("_", "gettext", "ngettext")
WORD = re.compile(r"[^\W\d_]{2,}")


def _environment() -> Environment:
    return Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True)


def _bare_texts(source: str) -> list[str]:
    """What the template writes by itself, outside any call of the translator, as people would read it."""
    tree = _environment().parse(source)
    html = ""
    for output in tree.find_all(nodes.TemplateData):
        html += output.data + "\0"  # where an expression stood
    html = re.sub(r"(?s)<(script|style)\b.*?</\1>", "", html)
    bare = []
    bare += re.findall(r'<input\b[^>]*\svalue="([^"\0]+)"', html)
    for attribute in READ_OUT:
        bare += re.findall(rf'\s{attribute}="([^"\0]+)"', html)
    text = re.sub(r'(?s)<!--.*?-->|<!doctype[^>]*>|</?[a-zA-Z](?:[^>"]|"[^"]*")*>', "\n", html)
    bare += re.split(r"[\n\0]+", text)
    return [one.strip() for one in bare if WORD.search(one) and one.strip() not in SAME_EVERYWHERE]


def test_there_are_templates() -> None:
    assert len(TEMPLATES) > 10


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_words_that_cannot_be_translated(template: Any) -> None:
    assert _bare_texts(template.read_text()) == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_prints_a_string_of_its_own(template: Any) -> None:
    written = ""
    for output in _environment().parse(template.read_text()).find_all(nodes.Output):
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                written += node.data
            elif written.rfind("<") <= written.rfind(">"):  # not inside a tag, where it is a name for machines
                for constant in _printed(node):
                    assert not WORD.search(constant), constant


def _printed(node: nodes.Expr) -> list[str]:
    """String constants that an expression prints as they are: not what it hands to a function or compares with."""
    if isinstance(node, nodes.Const):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, nodes.CondExpr):
        return _printed(node.expr1) + (_printed(node.expr2) if node.expr2 else [])
    if isinstance(node, nodes.Concat | nodes.Or | nodes.And):
        parts = node.nodes if isinstance(node, nodes.Concat) else [node.left, node.right]
        return [text for part in parts for text in _printed(part)]
    return []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_hands_on_words_that_cannot_be_translated(template: Any) -> None:
    assert [words for words in _constants(_environment().parse(template.read_text())) if _is_said(words)] == []


def _constants(node: nodes.Node) -> list[str]:
    """The strings in the expressions of a template, apart from what the translator gets."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in TRANSLATORS:
        return [text for argument in node.kwargs for text in _constants(argument)]
    found = [node.value] if isinstance(node, nodes.Const) and isinstance(node.value, str) else []
    return found + [text for child in node.iter_child_nodes() for text in _constants(child)]


def _is_said(words: str) -> bool:
    """Whether a string looks like words for people: more than one, or one with a capital."""
    return words not in SAME_EVERYWHERE and re.match(r"[A-Z][a-z]+\b|[^<]*[a-z,] [a-z]", words) is not None


def test_this_test_finds_what_it_looks_for() -> None:
    assert _bare_texts('<p class="x">{{ _("marked") }} and not marked</p>') == ["and not marked"]
    assert _bare_texts('<b title="a bare title">{{ x }}</b><i aria-label="{{ _("marked") }}"></i>') == ["a bare title"]
    assert _bare_texts('<meta name="viewport" content="width=device-width">{# a comment #}') == []
    handed_on = _constants(
        _environment().parse('{{ field("token", "Bare", hint="not marked") }}{{ _("marked words") }}')
    )
    assert [words for words in handed_on if _is_said(words)] == ["Bare", "not marked"]


# The errors


def _raised(file: Path) -> list[str]:
    """The texts that errors get in this file and that no page can translate."""
    found = []
    for call in ast.walk(ast.parse(file.read_text())):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ERRORS:
            said = [value for value in call.args[1:2] if isinstance(value, ast.Constant | ast.JoinedStr)]
            found += [f"{file.name}:{value.lineno}: {ast.unparse(value)}" for value in said]
    return found


def test_an_error_that_a_page_shows_can_be_translated() -> None:
    files = (file for file in sorted((ROOT / "tim").rglob("*.py")))
    shown = [file for file in files if not str(file.relative_to(ROOT)).startswith(FOR_MACHINES)]
    assert [words for file in shown for words in _raised(file)] == [], 'write text("…", name=value); see tim/text.py'


def test_a_text_is_english_until_it_is_translated() -> None:
    inner = text("it has %(n)s", n=3)
    whole = text("%(why)s; 100 %% bad", why=inner)
    assert (whole, whole.id, whole.values) == ("it has 3; 100 % bad", "%(why)s; 100 %% bad", {"why": inner})
    assert text("100 %") == "100 %"


# The catalogues


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    known = catalogue.read(language)
    used = {str(message.id) for message in catalogue.texts() if message.id}
    assert sorted(used - {str(message.id) for message in known if message.id}) == [], COMMAND
    assert catalogue.missing(known) == [], "translate these in the .po file"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_left_over(language: str) -> None:
    used = {str(message.id) for message in catalogue.texts()}
    assert sorted({str(message.id) for message in catalogue.read(language)} - used) == [], COMMAND
    assert not catalogue.read(language).obsolete, COMMAND


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_placeholders_of_its_text(language: str) -> None:
    assert [
        (message.id, translation)
        for message in catalogue.read(language)
        if message.id
        for translation in _forms(message.string)
        if translation and _placeholders(translation) != _placeholders(_forms(message.id)[-1])
    ] == []


def _forms(words: Any) -> list[str]:
    """A text, or each of its plural forms."""
    return [words] if isinstance(words, str) else list(words)


def _placeholders(words: str) -> list[tuple[str, str]]:
    return sorted(PLACEHOLDER.findall(words))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_is_as_its_command_writes_it(language: str) -> None:
    assert catalogue.written(catalogue.read(language), language).decode() == catalogue.file_of(language).read_text()


def test_the_page_says_in_which_language_it_is(server: Server) -> None:
    assert '<html lang="en">' in log_in(server, "language").gets().body
