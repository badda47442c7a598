"""Includes and macros that are compiled in place render what Jinja renders of them."""

from __future__ import annotations

import itertools

import pytest
from flask import Flask
from jinja2 import DictLoader, TemplateSyntaxError

from tests.support.server import ROOT
from tim.web import static_files, templating
from tim.web.templating import Templates

MACROS = """
{%- macro shout(words, loud=False) -%}
{% if loud == "very" %}{{ words|upper }}!!{% elif loud %}{{ words|upper }}!{% else %}{{ words }}{% endif -%}
{%- endmacro -%}
{%- macro pair(a, b, sign="-") -%}{{ shout(a) }}{{ sign }}{{ shout(b, loud=True) }}{%- endmacro -%}
{%- macro every(items, this) -%}
{% for item in items if item != this %}[{{ pair(item, this) }}]{% endfor %}
{%- endmacro -%}
{%- macro kept(x) -%}{% set y = x ~ "?" %}{{ y }}{% if x is defined %}.{% endif %}{%- endmacro -%}
{%- macro around(name) -%}<{{ name }}>{{ caller() }}</{{ name }}>{%- endmacro -%}
{%- macro twice(x="x") -%}{% set z = x ~ "!" %}{{ z }}{{ caller() }}{{ shout(x) }}{{ caller() }}{%- endmacro -%}
{%- macro longer() -%}{{ caller()|length }}{{ caller() }}{%- endmacro -%}
{%- macro to(name) -%}{{ caller(name) }}{%- endmacro -%}
"""
SOURCES = {
    "a constant": '{{ put.shout("a", loud=True) }} {{ put.shout("a", "very") }} {{ put.shout("a") }}',
    "a variable": "{{ put.shout(a, b) }} {{ put.shout(loud=a, words=b) }}",
    "a parameter named as a variable outside": "{{ put.pair(b, a) }} {{ put.pair(a=b, b=a, sign=a) }} {{ a }}{{ b }}",
    "in a loop": "{% for a in items %}{{ put.pair(a, b) }};{% endfor %}{{ a }}",
    "a loop in it": "{{ put.every(items, b) }}",
    "an assignment in it": "{% set y = 1 %}{{ put.kept(a) }}{{ put.kept(nothing) }}{{ y }}",
    "with a block": '{% call put.around("b") %}{{ put.shout(a) }}{% endcall %}',
    "with a block that reads a parameter": "{% set x = a %}{% call put.twice(b) %}{{ x }}{% endcall %}{{ x }}",
    "with a block that reads what the macro writes": "{% set z = a %}{% call put.twice(b) %}{{ z }}{% endcall %}",
    "with a block that calls a name of the macros": "{% call put.twice(b) %}{{ a }}{{ put.pair(b, a) }}{% endcall %}",
    "with a block in a block": "{% call put.twice(b) %}{% call put.around(a) %}{{ b }}{% endcall %}{% endcall %}",
    "with a block that is measured": "{% call put.longer() %}{{ a }}{{ b }}{% endcall %}",
    "with a block that is told something": "{% call(name) put.to(b) %}{{ name }}{{ a }}{% endcall %}",
    "a constant for an include": '{% with a = "&", y = b %}{% include "part" %}{{ a }}{{ y }}{% endwith %}{{ a }}',
    "a constant that changes": '{% with a = "x" %}{{ a }}{% set a = b %}{{ a }}{% endwith %}{{ a }}',
    "a constant that decides": "{% with c = 0 %}{% if c %}{{ a }}{% else %}{{ put.shout(b, c) }}{% endif %}"
    "{% endwith %}",
    "a constant beside a variable": "{% with c = 1, d = a %}{{ put.pair(c, d) }}{% endwith %}",
    "in an expression": "{% set x = put.shout(a, True) %}{{ x|length }}{{ put.shout(put.shout(a), b) }}",
    "in a text": '{{ _("%(a)s and %(b)s", a=put.shout(a), b=put.shout(b, True)) }}',
    "an include": '{% set y = 1 %}{% include "part" %}{{ y }}{% with a = b %}{% include "part" %}{% endwith %}',
    "an include in a block that is set": '{% set x %}{% include "part" %}{% endset %}{{ x }}{{ x|length }}',
    "a branch": "{% if false %}{{ a }}{% elif a %}{{ put.shout(a, a) }}{% else %}{{ b }}{% endif %}",
    "a branch that always holds": "{% if a %}{{ a }}{% elif true %}{{ b }}{% elif b %}-{% else %}+{% endif %}!",
}
PART = '{% import "macros" as put %}{% set y = 2 %}({{ put.shout(a, y == 2) }}{{ y }})'
VALUES = ("", "x", "<y>")


GRAND = "[{% block a %}a{% endblock %}|{% block b %}b{% block c %}c{% endblock %}{% endblock %}|{{ a }}]"
PARENT = """{% extends "grand" %}{% set y = a ~ 1 %}
{% block b %}({{ y }}{% block d %}d{% endblock %}{% block c %}C{% endblock %}){% endblock %}
"""
EXTENDING = {
    "nothing changed": "",
    "a block": "{% block a %}{{ a }}{{ put.shout(b, True) }}{% endblock %}",
    "a block of the parent": "{% set y = b %}{% block d %}{{ y }}{% endblock %}",
    "a block in a block": '{% block c %}{% include "part" %}{% block e %}{{ b }}{% endblock %}{% endblock %}',
    "a variable of the file": "{% set x = a ~ b %}{% block a %}{{ x }}{% set x = 2 %}{% endblock %}"
    "{% block d %}{{ x }}{% endblock %}",
    "the block of the parent as well": "{% block b %}<{{ super() }}>{% endblock %}",
    "the blocks of both parents": "{% block b %}1{{ super() }}2{% endblock %}"
    "{% block c %}{{ super() }}{{ super() }}{% endblock %}",
    "a block that is printed twice": "{% block a %}{{ self.d() }}{% set y = b %}{{ y }}{% endblock %}{{ self.a() }}"
    "{% block c %}{{ self.a() }}{% endblock %}",
    "a text outside the blocks": "text {{ a }}{% block a %}{% endblock %}",
}


def environment(*, inline: bool, **more: str) -> Templates:
    app = Flask(__name__)
    templating.install(app)
    assert isinstance(app.jinja_env, Templates)
    app.jinja_env.auto_reload = not inline
    app.jinja_env.loader = DictLoader({"macros": MACROS, "part": PART, "grand": GRAND, "parent": PARENT, **more})
    return app.jinja_env.in_language("en")


def renders_the_same(it: str) -> None:
    source = {"it": it}
    called, inlined = environment(inline=False, **source), environment(inline=True, **source)
    for a, b in itertools.product(VALUES, VALUES):
        values = {"a": a, "b": b, "items": ["x", "z&"]}
        assert inlined.render("it", values) == called.render("it", values), values


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_put_in_place_renders_the_same(name: str) -> None:
    renders_the_same('{% import "macros" as put %}' + SOURCES[name])


@pytest.mark.parametrize("name", EXTENDING)
def test_what_extends_another_template_renders_the_same(name: str) -> None:
    renders_the_same('{% extends "parent" %}{% import "macros" as put %}' + EXTENDING[name])


def test_what_cannot_be_put_in_place_fails_when_the_template_is_compiled() -> None:
    for printed in ("super()|upper", "self.a()|upper"):
        source = '{% extends "parent" %}{% block d %}{{ ' + printed + " }}{% endblock %}"
        with pytest.raises(TemplateSyntaxError, match="is printed"):
            environment(inline=True, it=source).get_template("it")


def test_the_page_of_a_tab_is_one_function_that_calls_no_macro() -> None:
    app = Flask(__name__, template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"))
    templating.install(app)
    static_files.install(app)
    assert isinstance(app.jinja_env, Templates)
    templates = app.jinja_env.in_language("en")
    for name in ("tab.html", "_instances.html", "_opened.html", "_arrived.html", "_state.html", "_ended.html"):
        source, _, _ = templates.loader.get_source(templates, name)  # type: ignore[union-attr]
        code = templates.compile(source, name, raw=True)
        for call in ("get_template", "get_or_select_template", "new_context", "Macro(", "blocks["):
            assert call not in code, (name, call)
