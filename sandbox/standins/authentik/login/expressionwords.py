"""The operators, functions and methods of Python that expressions may use."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}
ONLY_NUMBERS = (ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda value, among: value in among,
    ast.NotIn: lambda value, among: value not in among,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        [
            "lower",
            "upper",
            "title",
            "casefold",
            "strip",
            "lstrip",
            "rstrip",
            "split",
            "rsplit",
            "partition",
            "rpartition",
            "startswith",
            "endswith",
            "removeprefix",
            "removesuffix",
            "replace",
            "join",
            "isdigit",
            "isalpha",
            "isalnum",
            "find",
            "count",
        ]
    ),
    dict: frozenset(["get", "items", "keys", "values", "update", "pop", "setdefault", "copy"]),
    list: frozenset(["append", "extend", "insert", "index", "count", "pop", "remove", "copy"]),
    set: frozenset(
        [
            "add",
            "discard",
            "union",
            "intersection",
            "difference",
            "issubset",
            "issuperset",
            "isdisjoint",
            "update",
        ]
    ),
    tuple: frozenset({"index", "count"}),
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(all, any, bool, dict, enumerate, float, int, isinstance, iter, len, list, max, min, next),
        *(reversed, set, sorted, str, sum, tuple, zip),
    )
}
