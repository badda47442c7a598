"""Templates are compiled once a language, with their texts translated: rendering looks up no text that is constant."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from flask import Flask
from jinja2 import DictLoader, TemplateSyntaxError, nodes

from tests.support.server import ROOT
from tests.support.waiting import PATIENCE
from tim.web import templating
from tim.web.console import session
from tim.web.language import LANGUAGES, catalogue
from tim.web.templating import Templates
from tim.web.translator import Translator

SOURCES = sorted((ROOT / "templates").rglob("*.html"))


@pytest.fixture(scope="module")
def templates() -> Templates:
    app = Flask(__name__, template_folder=str(ROOT / "templates"))
    templating.install(app)
    session.install(app)
    assert isinstance(app.jinja_env, Templates)
    return app.jinja_env


def rendered(templates: Templates, language: str, source: str, **values: object) -> str:
    return templates.in_language(language).from_string(source).render(values)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_template_looks_up_a_constant_text_when_it_is_rendered(language: str, templates: Templates) -> None:
    here = templates.in_language(language)
    for file in SOURCES:
        code = here.compile(file.read_text(), file.name, raw=True)
        assert not re.search(r"resolve\w*\('(_|gettext)'\)", code), file


def test_a_text_of_a_template_is_in_its_language(templates: Templates) -> None:
    source = '<b title="{{ _("Sign out") }}">{{ _("Sign out") }}</b>'
    assert rendered(templates, "en", source) == '<b title="Sign out">Sign out</b>'
    there = catalogue("zh").gettext("Sign out")
    assert there != "Sign out"
    assert rendered(templates, "zh", source) == f'<b title="{there}">{there}</b>'


def test_threads_that_compile_at_the_same_time_see_translated_texts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask(__name__)
    templating.install(app)
    app.jinja_env.loader = DictLoader({"page": '{% include "part" %}', "part": '{{ _("Sign out") }}'})
    here = app.jinja_env.in_language("en")  # type: ignore[attr-defined]
    begins, goes_on = Event(), Event()

    class Slow(Translator):
        def visit(self, node: nodes.Node, *args: object, **options: object) -> object:
            if isinstance(node, nodes.Template) and not node.find(nodes.Include) and not begins.is_set():
                begins.set()
                goes_on.wait(PATIENCE)
            return super().visit(node, *args, **options)

    monkeypatch.setattr(templating, "Translator", Slow)
    with ThreadPoolExecutor(1) as other:
        slow = other.submit(here.render, "page", {})
        try:
            assert begins.wait(PATIENCE)
            assert here.render("page", {}) == "Sign out"
        finally:
            goes_on.set()
        assert slow.result() == "Sign out"


def test_a_value_is_escaped_unless_it_is_markup_and_the_text_is_not(templates: Templates) -> None:
    source = '{% set m %}<i>{{ x }}</i>{% endset %}{{ _("<b>%(a)s</b> & %(m)s", a=x, m=m) }}'
    assert rendered(templates, "en", source, x="<&") == "<b>&lt;&amp;</b> & <i>&lt;&amp;</i>"


def test_a_text_with_a_value_can_be_handed_on(templates: Templates) -> None:
    source = '{% macro shown(words) %}[{{ words }}]{% endmacro %}{{ shown(_("<b> %(a)s", a=x)) }}'
    assert rendered(templates, "en", source, x="<") == "[<b> &lt;]"


def test_two_percent_signs_are_one_and_a_lone_one_stays(templates: Templates) -> None:
    assert rendered(templates, "en", '{{ _("100 %% of %(n)s %", n=3) }}') == "100 % of 3 %"


def test_a_plural_is_that_of_its_number(templates: Templates) -> None:
    source = '{{ ngettext("%(num)s unread", "%(num)s unread ones of %(who)s", n, who=who) }}'
    assert rendered(templates, "en", source, n=1, who="<") == "1 unread"
    assert rendered(templates, "en", source, n=2, who="<") == "2 unread ones of &lt;"


def test_a_text_whose_value_is_missing_fails_when_its_template_is_compiled(templates: Templates) -> None:
    with pytest.raises(TemplateSyntaxError, match="missing"):
        templates.in_language("en").from_string('{% if false %}{{ _("of %(missing)s", other=1) }}{% endif %}')
