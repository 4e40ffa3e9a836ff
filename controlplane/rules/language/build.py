"""From what the grammar found to the syntax tree."""

from __future__ import annotations

import re
from typing import Any

from lark import Token, Tree, v_args
from lark.exceptions import VisitError
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from controlplane.rules.language import ast
from controlplane.rules.language.ast import Place
from controlplane.rules.language.strings import LONGEST_STRING, split

Children = list[Any]
_LOCAL = re.compile(r"\*[A-Za-z_]\w*", re.ASCII)
Parts = tuple[str | ast.Variable, ...]


class RefusedError(Exception):
    """Something that the grammar allows and the engine refuses or cannot hold, with its place."""

    def __init__(self, text: str, place: Place) -> None:
        super().__init__(text)
        self.text, self.place = text, place


def _place(meta: Meta) -> Place:
    return Place(meta.line, meta.column)


def _at(token: Token) -> Place:
    return Place(token.line or 0, token.column or 0)


def _parts(token: Token, begin: int, end: int) -> Parts:
    """The parts of the string in a token, from one character of it to another. Raises `RefusedError`."""
    at = _at(token)
    parts = split(token[begin:end], Place(at.line, at.column + begin))
    _bounded("".join(part if isinstance(part, str) else part.name for part in parts), token)
    return parts or ("",)


def _bounded(text: str, token: Token) -> None:
    length = len(text.encode())
    if length > LONGEST_STRING:
        raise RefusedError(
            f"this string has {length:,} bytes, and the engine reads at most {LONGEST_STRING:,}:"
            " join shorter strings with ++",
            _at(token),
        )


def _plain(token: Token) -> str:
    """The text of a string in which variables mean nothing."""
    return "".join(part if isinstance(part, str) else part.name for part in _parts(token, 1, -1))


def _old_argument(token: Token) -> ast.String | ast.Variable:
    """An argument of the syntax with bars: quoted, one variable, or text that needs no quotes."""
    if token.startswith(("'", '"')):
        return ast.String(_parts(token, 1, -1), place=_at(token))
    text = token.rstrip()
    _bounded(text, token)
    if _LOCAL.fullmatch(text):
        return ast.Variable(text, place=_at(token))
    return ast.String(split(text, _at(token), escapes=False), place=_at(token))


def _nodes(children: Children) -> Children:
    """What is no word or sign."""
    return [child for child in children if isinstance(child, ast.Node)]


@v_args(meta=True)
class _Builder(Transformer_NonRecursive[Token, ast.RuleFile]):
    """One method for each rule of the grammar, named as it; each gives the node of the tree."""

    def start(self, meta: Meta, children: Children) -> ast.RuleFile:
        return ast.RuleFile(tuple(children))

    def client(self, meta: Meta, children: Children) -> ast.RuleFile:
        if len(children) == 1 and isinstance(children[0], ast.Block):
            body, place = children[0], _place(meta)
            alternative = ast.Alternative("", None, body, place=place)
            return ast.RuleFile((ast.Rule(ast.Head("rule", place=place), (alternative,), place=place),))
        return ast.RuleFile(tuple(children))

    def directive(self, meta: Meta, children: Children) -> ast.Directive:
        value = children[1] if len(children) > 1 else ""
        if isinstance(value, Token) and value.type == "STRING":
            value = _plain(value)
        return ast.Directive(children[0][1:].strip(), str(value), place=_place(meta))

    # ------------------------------------------------------------ definitions

    def _head(self, children: Children) -> ast.Head:
        return ast.Head(str(children[0]), children[1], children[2] or "", place=_at(children[0]))

    def parameters(self, meta: Meta, children: Children) -> tuple[ast.Expression, ...]:
        return tuple(children)

    def result(self, meta: Meta, children: Children) -> str | None:
        found: str | None = children[0]
        return found

    def plain_rule(self, meta: Meta, children: Children) -> ast.Rule:
        body, metadata = children[3:]
        alternative = ast.Alternative("", None, body, metadata, place=body.place)
        return ast.Rule(self._head(children), (alternative,), place=_place(meta))

    def alternative_rule(self, meta: Meta, children: Children) -> ast.Rule:
        alternatives = tuple(child for child in children[3:] if isinstance(child, ast.Alternative))
        return ast.Rule(self._head(children), alternatives, place=_place(meta))

    def on_alternative(self, meta: Meta, children: Children) -> ast.Alternative:
        return ast.Alternative("on", *children[1:], place=_place(meta))

    def or_alternative(self, meta: Meta, children: Children) -> ast.Alternative:
        return ast.Alternative("or", None, *children[1:], place=_place(meta))

    def function(self, meta: Meta, children: Children) -> ast.Function:
        return ast.Function(self._head(children), *children[4:], place=_place(meta))

    def metadata(self, meta: Meta, children: Children) -> tuple[ast.Metadata, ...]:
        return tuple(children)

    def avu(self, meta: Meta, children: Children) -> ast.Metadata:
        return ast.Metadata(
            *(_plain(token) for token in children[1:] if token is not None), place=_place(meta)
        )

    def data_type(self, meta: Meta, children: Children) -> ast.DataType:
        constructors = tuple(child for child in children if isinstance(child, ast.Constructor))
        return ast.DataType(self._head(children[1:]), constructors, place=_place(meta))

    def data_constructor(self, meta: Meta, children: Children) -> ast.Constructor:
        return ast.Constructor(str(children[0]), children[1], place=_place(meta))

    def constructor(self, meta: Meta, children: Children) -> ast.Constructor:
        return ast.Constructor(str(children[1]), children[2], place=_place(meta))

    def extern(self, meta: Meta, children: Children) -> ast.Extern:
        return ast.Extern(str(children[0]), children[1], place=_place(meta))

    def statement(self, meta: Meta, children: Children) -> ast.Statement:
        return ast.Statement(*children, place=_place(meta))

    def block(self, meta: Meta, children: Children) -> ast.Block:
        statements = tuple(child for child in children if isinstance(child, ast.Statement))
        return ast.Block(statements, place=_place(meta))

    # ------------------------------------------------------------ the syntax with bars

    def old_rule(self, meta: Meta, children: Children) -> ast.OldRule:
        condition = children[3] if len(children) == 7 else None
        actions, recoveries, number = children[-3:]
        return ast.OldRule(
            self._head(children), condition, actions, recoveries, str(number or ""), place=_place(meta)
        )

    def old_actions(self, meta: Meta, children: Children) -> tuple[ast.Call, ...]:
        return tuple(children)

    def old_call(self, meta: Meta, children: Children) -> ast.Call:
        return ast.Call(
            str(children[0]), tuple(_old_argument(token) for token in children[1:]), place=_place(meta)
        )

    def old_comparison(self, meta: Meta, children: Children) -> ast.Binary:
        left, operator, right = children
        return ast.Binary(str(operator), left, _old_argument(right), place=_place(meta))

    # ------------------------------------------------------------ expressions

    def typed(self, meta: Meta, children: Children) -> ast.Typed:
        return ast.Typed(*children, place=_place(meta))

    def assign(self, meta: Meta, children: Children) -> ast.Assignment:
        return ast.Assignment(children[0], children[2], place=_place(meta))

    def binary(self, meta: Meta, children: Children) -> ast.Binary:
        left, operator, right = children
        return ast.Binary(str(operator), left, right, place=_place(meta))

    def unary(self, meta: Meta, children: Children) -> ast.Unary:
        return ast.Unary(str(children[0]), children[1], place=_place(meta))

    def name(self, meta: Meta, children: Children) -> ast.Call:
        return ast.Call(str(children[0]), place=_place(meta))

    def call(self, meta: Meta, children: Children) -> ast.Call:
        return ast.Call(str(children[0]), children[1], place=_place(meta))

    def application(self, meta: Meta, children: Children) -> ast.Application:
        return ast.Application(children[0], children[1], place=_place(meta))

    def group(self, meta: Meta, children: Children) -> ast.Expression:
        found: ast.Expression = (
            children[0] if len(children) == 1 else ast.Tuple(tuple(children), place=_place(meta))
        )
        return found

    def arguments(self, meta: Meta, children: Children) -> tuple[ast.Expression, ...]:
        return tuple(children)

    def variable(self, meta: Meta, children: Children) -> ast.Variable:
        return ast.Variable(str(children[0]), place=_place(meta))

    def integer(self, meta: Meta, children: Children) -> ast.Number:
        return ast.Number(str(children[0]), place=_place(meta))

    double = integer

    def boolean(self, meta: Meta, children: Children) -> ast.Boolean:
        return ast.Boolean(children[0] == "true", place=_place(meta))

    def string(self, meta: Meta, children: Children) -> ast.String:
        return ast.String(_parts(children[0], 1, -1), place=_place(meta))

    def literal(self, meta: Meta, children: Children) -> ast.String:
        _bounded(children[0][2:-2], children[0])
        return ast.String((children[0][2:-2],), place=_place(meta))

    def path(self, meta: Meta, children: Children) -> ast.Path:
        return ast.Path(_parts(children[0], 0, len(children[0])), place=_place(meta))

    # ------------------------------------------------------------ control structures

    def if_block(self, meta: Meta, children: Children) -> ast.If:
        return ast.If(*_nodes(children), place=_place(meta))

    def if_expression(self, meta: Meta, children: Children) -> ast.Choice:
        return ast.Choice(*_nodes(children), place=_place(meta))

    def while_(self, meta: Meta, children: Children) -> ast.While:
        return ast.While(*_nodes(children), place=_place(meta))

    def for_(self, meta: Meta, children: Children) -> ast.For:
        return ast.For(*_nodes(children), place=_place(meta))

    def foreach(self, meta: Meta, children: Children) -> ast.Foreach:
        _, variable, _, collection, body = children
        return ast.Foreach(
            ast.Variable(str(variable), place=_at(variable)), collection, body, place=_place(meta)
        )

    def delay(self, meta: Meta, children: Children) -> ast.Delay:
        return ast.Delay(*_nodes(children), place=_place(meta))

    def remote(self, meta: Meta, children: Children) -> ast.Remote:
        return ast.Remote(*_nodes(children), place=_place(meta))

    def let(self, meta: Meta, children: Children) -> ast.Let:
        return ast.Let(*_nodes(children), place=_place(meta))

    def match(self, meta: Meta, children: Children) -> ast.Match:
        subject, *cases = _nodes(children)
        return ast.Match(subject, tuple(cases), place=_place(meta))

    def case(self, meta: Meta, children: Children) -> ast.Case:
        return ast.Case(*children, place=_place(meta))

    def query(self, meta: Meta, children: Children) -> ast.Query:
        columns = tuple(child for child in children if isinstance(child, ast.Column))
        conditions = tuple(child for child in children if isinstance(child, ast.Condition))
        return ast.Query(columns, conditions, place=_place(meta))

    def column(self, meta: Meta, children: Children) -> ast.Column:
        *function, name = children
        word = function[0].rstrip("(").strip().lower() if function else ""
        return ast.Column(str(name), "order" if word == "order_asc" else word, place=_place(meta))

    def condition(self, meta: Meta, children: Children) -> ast.Condition:
        column, *others = children
        junctions = [child for child in others if isinstance(child, Token)]
        for junction in junctions:
            if junction != junctions[0]:
                raise RefusedError(
                    f"{junction} after {junctions[0]} on one column: all of them must be the same",
                    _at(junction),
                )
        comparisons = tuple(child for child in others if isinstance(child, ast.Comparison))
        return ast.Condition(column, comparisons, str(junctions[0]) if junctions else "", place=_place(meta))

    def comparison(self, meta: Meta, children: Children) -> ast.Comparison:
        sign, *operands = children
        if sign == "not like":
            raise RefusedError("in a query the engine does not read not like: write NOT LIKE", _at(sign))
        word = " ".join(sign.split()).lower()
        return ast.Comparison({"==": "=", "!=": "<>"}.get(word, word), tuple(operands), place=_place(meta))

    # ------------------------------------------------------------ types

    def type(self, meta: Meta, children: Children) -> str:
        return " ".join(str(child) for child in children if child is not None)

    function_type = factor = type_set = type


def build(tree: Tree[Token]) -> ast.RuleFile:
    """The syntax tree of what the grammar found. Raises `RefusedError`."""
    try:
        return _Builder().transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, RefusedError):
            raise error.orig_exc from None
        raise
