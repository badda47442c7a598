"""Includes and macros that are compiled in place render what Jinja renders of them."""

from __future__ import annotations

import itertools

import pytest
from flask import Flask
from jinja2 import DictLoader

from tests.support.server import ROOT
from tim.web import templating
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
"""
SOURCES = {
    "a constant": '{{ put.shout("a", loud=True) }} {{ put.shout("a", "very") }} {{ put.shout("a") }}',
    "a variable": "{{ put.shout(a, b) }} {{ put.shout(loud=a, words=b) }}",
    "a parameter named as a variable outside": "{{ put.pair(b, a) }} {{ put.pair(a=b, b=a, sign=a) }} {{ a }}{{ b }}",
    "in a loop": "{% for a in items %}{{ put.pair(a, b) }};{% endfor %}{{ a }}",
    "a loop in it": "{{ put.every(items, b) }}",
    "an assignment in it": "{% set y = 1 %}{{ put.kept(a) }}{{ put.kept(nothing) }}{{ y }}",
    "with a block": '{% call put.around("b") %}{{ put.shout(a) }}{% endcall %}',
    "in an expression": "{% set x = put.shout(a, True) %}{{ x|length }}{{ put.shout(put.shout(a), b) }}",
    "in a text": '{{ _("%(a)s and %(b)s", a=put.shout(a), b=put.shout(b, True)) }}',
    "an include": '{% set y = 1 %}{% include "part" %}{{ y }}{% with a = b %}{% include "part" %}{% endwith %}',
    "an include in a block that is set": '{% set x %}{% include "part" %}{% endset %}{{ x }}{{ x|length }}',
    "a branch": "{% if false %}{{ a }}{% elif a %}{{ put.shout(a, a) }}{% else %}{{ b }}{% endif %}",
    "a branch that always holds": "{% if a %}{{ a }}{% elif true %}{{ b }}{% elif b %}-{% else %}+{% endif %}!",
}
PART = '{% import "macros" as put %}{% set y = 2 %}({{ put.shout(a, y == 2) }}{{ y }})'
VALUES = ("", "x", "<y>")


def environment(*, inline: bool, **more: str) -> Templates:
    app = Flask(__name__)
    templating.install(app)
    assert isinstance(app.jinja_env, Templates)
    app.jinja_env.auto_reload = not inline
    app.jinja_env.loader = DictLoader({"macros": MACROS, "part": PART, **more})
    return app.jinja_env.in_language("en")


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_put_in_place_renders_the_same(name: str) -> None:
    source = {"it": '{% import "macros" as put %}' + SOURCES[name]}
    called, inlined = environment(inline=False, **source), environment(inline=True, **source)
    for a, b in itertools.product(VALUES, VALUES):
        values = {"a": a, "b": b, "items": ["x", "z&"]}
        assert inlined.render("it", values) == called.render("it", values), values


def test_the_page_of_a_tab_calls_no_macro_but_with_a_block_and_includes_nothing() -> None:
    app = Flask(__name__, template_folder=str(ROOT / "templates"))
    templating.install(app)
    assert isinstance(app.jinja_env, Templates)
    templates = app.jinja_env.in_language("en")
    for name in ("tab.html", "_instances.html", "_opened.html", "_arrived.html", "_state.html", "_ended.html"):
        source, _, _ = templates.loader.get_source(templates, name)  # type: ignore[union-attr]
        code = templates.compile(source, name, raw=True)
        assert "get_or_select_template" not in code and "new_context" not in code, name
        called = [line for line in code.splitlines() if "context.call(environment.getattr" in line and "'put'" in line]
        assert all("'form'" in line for line in called), called
