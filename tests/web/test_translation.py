"""Every word that a person reads is marked for translation: in another language none stays English."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jinja2 import Environment, nodes

from tests.support.server import ROOT, Server
from tests.support.wire import log_in

TEMPLATES = sorted((ROOT / "templates").glob("*.html"))
READ_OUT = ("aria-label", "title", "placeholder", "alt", "data-empty", "value")
"""Attributes whose values are read by people."""
SAME_EVERYWHERE = {"UserID", "●", "○", "→", "·", "●○"}
"""Names of the field and signs, which are the same in every language."""
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


def test_this_test_finds_what_it_looks_for() -> None:
    assert _bare_texts('<p class="x">{{ _("marked") }} and not marked</p>') == ["and not marked"]
    assert _bare_texts('<b title="a bare title">{{ x }}</b><i aria-label="{{ _("marked") }}"></i>') == ["a bare title"]
    assert _bare_texts('<meta name="viewport" content="width=device-width">{# a comment #}') == []


def test_the_page_says_in_which_language_it_is(server: Server) -> None:
    assert '<html lang="en">' in log_in(server, "language").gets().body
