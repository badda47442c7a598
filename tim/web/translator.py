"""Translates the texts of a template when it is compiled: once a language, not each time it is rendered.

The compiler joins a text that it knows with the markup around it. So what is the same in every page of a language is
one string. A plural is chosen when the template is rendered, as it depends on a number.
"""

from __future__ import annotations

import re
from typing import Final

from babel.support import NullTranslations
from jinja2 import TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

PLACEHOLDER: Final = re.compile(r"%(?:(%)|\((\w+)\)s)")
"""What a text may have in place of a value, or of a percent sign."""


class Translator(NodeTransformer):
    """Replaces each call of `_` with a constant text by the translation, with its values where the placeholders were.

    The translation is markup, as it is for Jinja's own `_`; a value that is not is escaped.
    """

    def __init__(self, catalogue: NullTranslations) -> None:
        self._catalogue = catalogue

    def visit_Call(self, node: nodes.Call) -> nodes.Expr:
        self.generic_visit(node)
        if not isinstance(node.node, nodes.Name) or node.node.name not in ("_", "gettext"):
            return node
        match node.args:
            case [nodes.Const(value=str(words))] if node.dyn_kwargs is None:
                return _joined(self._catalogue.gettext(words), {pair.key: pair.value for pair in node.kwargs}, node)
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Output:
        """Writes the parts of a text one after the other, which needs no joining."""
        self.generic_visit(node)
        node.nodes = [
            part for each in node.nodes for part in (each.nodes if isinstance(each, nodes.Concat) else [each])
        ]
        return node


def _joined(words: str, values: dict[str, nodes.Expr], call: nodes.Call) -> nodes.Expr:
    """The expression of `words` with its values. A placeholder without a value fails when the template is compiled."""
    parts: list[nodes.Expr] = []
    done = 0
    for found in PLACEHOLDER.finditer(words):
        percent, name = found.groups()
        parts.append(nodes.TemplateData(words[done : found.start()] + (percent or "")))
        if name is not None and name not in values:
            raise TemplateSyntaxError(f"the text has no value for {name}", call.lineno)
        if name is not None:
            parts.append(values[name])
        done = found.end()
    parts.append(nodes.TemplateData(words[done:]))
    whole = parts[0] if len(parts) == 1 else nodes.Concat(parts)
    whole.set_lineno(call.lineno)
    return whole
