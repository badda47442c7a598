"""Compiles what a template includes, and the macros that it prints, into the template itself.

Each include makes a context and each call of a macro a string, a dozen times in the page of a tab. Compiled in place
they are parts of one function, and a condition on what the caller wrote out is decided once. Templates stay as they are
written, and render the same. A macro that is called with a block, or inside an expression, is still called.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

NodeType = TypeVar("NodeType", bound=nodes.Node)
Macros = Mapping[str, nodes.Macro]


class Inliner(NodeTransformer):
    """Puts includes and macros in place.

    Args:
        parse: returns the nodes of the template with a name; they are copied, not changed.
        own: the macros that are called by their name alone: those of the file in which the visited nodes stand.
    """

    def __init__(self, parse: Callable[[str], nodes.Template], own: Macros | None = None) -> None:
        self._parse = parse
        self._own: Macros = own or {}
        self._imported: dict[str, Macros] = {}

    def generic_visit(self, node: nodes.Node, *args: Any, **options: Any) -> nodes.Node:
        super().generic_visit(node, *args, **options)
        for _, value in node.iter_fields():
            if isinstance(value, list):
                value[:] = _joined(value)
        return node

    def visit_Import(self, node: nodes.Import) -> nodes.Node:
        if isinstance(node.template, nodes.Const) and not node.with_context:
            found = self._parse(node.template.value).body
            self._imported[node.target] = {each.name: each for each in found if isinstance(each, nodes.Macro)}
        return node

    def visit_Include(self, node: nodes.Include) -> nodes.Node:
        if not isinstance(node.template, nodes.Const):
            return node
        included = Inliner(self._parse).visit(_copied(self._parse(node.template.value)))
        return nodes.Scope(included.body, lineno=node.lineno)

    def visit_Output(self, node: nodes.Output) -> list[nodes.Node]:
        statements: list[nodes.Node] = []
        printed: list[nodes.Expr] = []
        for each in node.nodes:
            macros, macro = self._called(each)
            if macro is None or not isinstance(each, nodes.Call):
                printed.append(each)
                continue
            statements += [
                nodes.Output(printed, lineno=node.lineno),
                _in_place(macro, each, Inliner(self._parse, macros)),
            ]
            printed = []
        return [*statements, nodes.Output(printed, lineno=node.lineno)]

    def visit_If(self, node: nodes.If) -> nodes.Node | list[nodes.Node]:
        context = nodes.EvalContext(node.environment) if node.environment is not None else None
        open_branches: list[nodes.If] = []
        otherwise = node.else_
        for branch in (node, *node.elif_):
            try:
                holds = branch.test.as_const(context)  # type: ignore[attr-defined]
            except nodes.Impossible:
                open_branches.append(branch)
                continue
            if holds:
                otherwise = branch.body
                break
        made = [nodes.If(each.test, self._all(each.body), [], [], lineno=each.lineno) for each in open_branches]
        if not made:
            return self._all(otherwise)
        made[0].elif_, made[0].else_ = made[1:], self._all(otherwise)
        return made[0]

    def _all(self, statements: list[nodes.Node]) -> list[nodes.Node]:
        return _joined([made for each in statements for made in self.visit_list(each)])

    def _called(self, node: nodes.Expr) -> tuple[Macros, nodes.Macro | None]:
        """The macro that an expression calls with arguments written out, and those of its file."""
        match node:
            case nodes.Call(node=nodes.Name(name=str(name)), dyn_args=None, dyn_kwargs=None):
                return self._own, self._own.get(name)
            case nodes.Call(
                node=nodes.Getattr(node=nodes.Name(name=str(alias)), attr=str(name)), dyn_args=None, dyn_kwargs=None
            ):
                macros = self._imported.get(alias, {})
                return macros, macros.get(name)
        return {}, None


class _Constants(NodeTransformer):
    """Writes constants in place of the parameters that have them."""

    def __init__(self, values: Mapping[str, nodes.Const]) -> None:
        self._values = values

    def visit_Name(self, node: nodes.Name) -> nodes.Expr:
        return self._values.get(node.name, node)


def _joined(statements: list[Any]) -> list[Any]:
    """The same statements with one in place of several that print one after the other."""
    joined: list[Any] = []
    for each in statements:
        if isinstance(each, nodes.Output) and joined and isinstance(joined[-1], nodes.Output):
            joined[-1] = nodes.Output(joined[-1].nodes + each.nodes, lineno=joined[-1].lineno)
        elif not isinstance(each, nodes.Output) or each.nodes:
            joined.append(each)
    return joined


def _copied(node: NodeType) -> NodeType:
    """The node with all below it, for the same environment."""
    return copy.deepcopy(node, {id(node.environment): node.environment})


def _in_place(macro: nodes.Macro, call: nodes.Call, inliner: Inliner) -> nodes.Node:
    """The body of the macro, in a scope in which its parameters have what the call gives them."""
    made = _copied(macro)
    names = [each.name for each in made.args]
    given = dict(zip(names[len(names) - len(made.defaults) :], made.defaults, strict=True))
    given |= dict(zip(names, call.args, strict=False)) | {pair.key: pair.value for pair in call.kwargs}
    constants = {name: value for name, value in given.items() if isinstance(value, nodes.Const)}
    variables = {name: value for name, value in given.items() if name not in constants}
    made = inliner.visit(_Constants(constants).visit(made))
    targets = [nodes.Name(name, "param") for name in variables]
    return nodes.With(targets, list(variables.values()), made.body, lineno=call.lineno)
