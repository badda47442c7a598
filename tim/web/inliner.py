"""Compiles what a template extends and includes, and the macros that it prints, into the template itself.

Each include makes a context, each call of a macro a string, and each block hands on all that it prints piece by piece.
Compiled in place they are parts of one function, and a condition on what the caller wrote out is decided once.
Templates stay as they are written, and render the same. A macro inside an expression is still called.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from jinja2 import TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

NodeType = TypeVar("NodeType", bound=nodes.Node)
Macros = Mapping[str, nodes.Macro]


class _Printed(NodeTransformer):
    """Puts statements in place of an expression that a template prints."""

    def generic_visit(self, node: nodes.Node, *args: Any, **options: Any) -> nodes.Node:
        super().generic_visit(node, *args, **options)
        for _, value in node.iter_fields():
            if isinstance(value, list):
                value[:] = _joined(value)
        return node

    def visit_Output(self, node: nodes.Output) -> list[nodes.Node]:
        statements: list[nodes.Node] = []
        printed: list[nodes.Expr] = []
        for each in node.nodes:
            found = self.in_place(each)
            if found is None:
                printed.append(each)
                continue
            statements += [nodes.Output(printed, lineno=node.lineno), found]
            printed = []
        return [*statements, nodes.Output(printed, lineno=node.lineno)]

    def in_place(self, node: nodes.Expr) -> nodes.Node | None:
        """What to put in place of the expression; None where it stays."""
        raise NotImplementedError


class Inliner(_Printed):
    """Puts what is extended, included and called in place.

    Args:
        parse: returns the nodes of the template with a name; they are copied, not changed.
        own: the macros that are called by their name alone: those of the file in which the visited nodes stand.
    """

    def __init__(self, parse: Callable[[str], nodes.Template], own: Macros | None = None) -> None:
        self._parse = parse
        self._own: Macros = own or {}
        self._imported: dict[str, Macros] = {}

    def visit_Template(self, node: nodes.Template) -> nodes.Node:
        node.body = self._extended(node)
        self.generic_visit(node)
        node.body = [each for each in node.body if not (isinstance(each, nodes.Import) and _is_idle(each, node))]
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

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        self.generic_visit(node)
        macros, macro = self._called(node.call)
        if macro is None or node.args or _names(macro, "store", "param") & _names(node, "load"):
            return node
        made = _Call("caller", node.body).visit(_body(macro, node.call, Inliner(self._parse, macros)))
        return node if "caller" in _names(made, "load") else made

    def visit_With(self, node: nodes.With) -> nodes.Node:
        self.generic_visit(node)
        changed = set[str]().union(*(_names(each, "store", "param") for each in node.body))
        given = list(zip(node.targets, node.values, strict=True))
        constants = {
            target.name: value
            for target, value in given
            if isinstance(target, nodes.Name) and isinstance(value, nodes.Const) and target.name not in changed
        }
        if not constants:
            return node
        others = [(target, value) for target, value in given if value not in constants.values()]
        body = [_Constants(constants).visit(each) for each in node.body]
        made = nodes.With([target for target, _ in others], [value for _, value in others], body, lineno=node.lineno)
        return self.generic_visit(made)

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

    def _extended(self, template: nodes.Template) -> list[nodes.Node]:
        """The statements of the template, in those of the one that it extends.

        One that extends none keeps its blocks, for those that extend it by a name that is not written out.
        """
        if template.find(nodes.Extends) is None:
            return template.body
        blocks: dict[str, list[nodes.Block]] = {}
        before: list[nodes.Node] = []
        while True:
            for block in template.find_all(nodes.Block):
                blocks.setdefault(block.name, []).append(block)
            extends = template.find(nodes.Extends)
            if extends is None:
                return [*before, *_Blocks(blocks).visit(template).body]
            if not isinstance(extends.template, nodes.Const):
                return template.body
            left_out = nodes.Extends | nodes.Block | nodes.Output
            before += [each for each in template.body if not isinstance(each, left_out)]
            template = _copied(self._parse(extends.template.value))

    def in_place(self, node: nodes.Expr) -> nodes.Node | None:
        macros, macro = self._called(node)
        if macro is None or not isinstance(node, nodes.Call):
            return None
        return _body(macro, node, Inliner(self._parse, macros))

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


class _Call(_Printed):
    """Puts statements in place of the call of a name."""

    def __init__(self, name: str, body: list[nodes.Node]) -> None:
        self._name = name
        self._body = body

    def in_place(self, node: nodes.Expr) -> nodes.Node | None:
        if not isinstance(node, nodes.Call) or not isinstance(node.node, nodes.Name) or node.node.name != self._name:
            return None
        return nodes.Scope([_copied(each) for each in self._body], lineno=node.lineno)


class _Blocks(_Printed):
    """Puts the body of each block in its place, and where `self` prints it: of those with its name, the first, in which
    `super()` is the next."""

    def __init__(self, blocks: Mapping[str, list[nodes.Block]]) -> None:
        self._blocks = blocks

    def visit_Block(self, node: nodes.Block) -> nodes.Node:
        return self._body(node.name, node.lineno)

    def in_place(self, node: nodes.Expr) -> nodes.Node | None:
        match node:
            case nodes.Call(node=nodes.Getattr(node=nodes.Name(name="self"), attr=str(name))):
                return self._body(name, node.lineno)
        return None

    def _body(self, name: str, line: int) -> nodes.Node:
        body: list[nodes.Node] = []
        for block in reversed(self._blocks[name]):
            body = [_Call("super", body).visit(nodes.Scope(_copied(block).body, lineno=line))]
        made = self.generic_visit(nodes.Scope(body, lineno=line))
        if _names(made, "load") & {"self", "super"}:
            raise TemplateSyntaxError("what self and super() give is printed, and nothing else is done with it", line)
        return made


class _Constants(NodeTransformer):
    """Writes constants in place of the parameters that have them."""

    def __init__(self, values: Mapping[str, nodes.Const]) -> None:
        self._values = values

    def visit_Name(self, node: nodes.Name) -> nodes.Expr:
        return self._values.get(node.name, node)


def _names(node: nodes.Node, *contexts: str) -> set[str]:
    """The names below the node that are read, written or parameters."""
    return {each.name for each in node.find_all(nodes.Name) if each.ctx in contexts}


def _is_idle(imported: nodes.Import, template: nodes.Template) -> bool:
    """Whether nothing in the template calls what the statement imports."""
    return imported.target not in _names(template, "load")


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
    below: Iterable[nodes.Node] = node.find_all(nodes.Node)
    environments = [node.environment, *(each.environment for each in below)]
    return copy.deepcopy(node, {id(each): each for each in environments})


def _body(macro: nodes.Macro, call: nodes.Call, inliner: Inliner) -> nodes.Node:
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
