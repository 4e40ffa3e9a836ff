"""Expressions of policies and property mappings: the part of Python that is safe to carry out.

Authentik runs such expressions as Python with everything that Python can do. This module reads them with
`ast` and walks the tree itself: assignments, `if`, `for`, `return`, `def` with plain arguments, literals,
comprehensions, f-strings without format specifications, comparisons, `+ - * / // %` on numbers and `+` on
what can be joined, what `expressionwords` has, and attributes of `Record`s. Everything else
(imports, `lambda`, `while`, `try`, names or attributes that start with an underscore, formatting with `%` or
`.format`) is refused with `ExpressionError`, never passed by.
"""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .expressionwords import BINARY, COMPARE, FUNCTIONS, METHODS, ONLY_NUMBERS, UNARY

MAXIMUM_STEPS = 50_000
# Of a text, a list or a number; few steps could make very large ones.
MAXIMUM_LENGTH = 10_000
MAXIMUM_NUMBER = 2**64
Value = Any


class ExpressionError(Exception):
    """An expression has something in it that is not carried out here, or failed; it says in which line."""


class Record:
    """What an expression may read: the named values and functions, and no other attribute."""

    def __init__(self, kind: str, **values: Value) -> None:
        self._kind = kind
        self._values = values

    def read(self, name: str) -> Value:
        """The value of that name; raises KeyError for a name that the record does not have."""
        return self._values[name]

    def __repr__(self) -> str:
        return f"<{self._kind}>"


_FAILURES = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, StopIteration)


class _Returned(Exception):
    def __init__(self, value: Value) -> None:
        self.value = value


def parse(expression: str) -> ast.Module:
    """Read an expression, whose `return` needs no function around it; raises `ExpressionError`."""
    indented = "\n".join(" " + line for line in expression.splitlines()) or " pass"
    try:
        tree = ast.parse(f"def handler():\n{indented}\n pass\n")
    except (SyntaxError, ValueError, RecursionError) as problem:
        line = getattr(problem, "lineno", None)
        raise ExpressionError(f"line {(line or 2) - 1}: not valid Python") from problem
    handler = tree.body[0]
    if len(tree.body) != 1 or not isinstance(handler, ast.FunctionDef):
        raise ExpressionError("line 1: not valid Python")
    return ast.Module(body=handler.body, type_ignores=[])


def evaluate(expression: str, names: Mapping[str, Any]) -> Value:
    """What the expression returns (None when it returns nothing).

    `names` are the values that it may read; functions among them may be called. Raises `ExpressionError` when
    something in it is refused, fails, or takes more than `MAXIMUM_STEPS` steps.
    """
    return _Walk(dict(names)).run(parse(expression))


class _Walk:
    def __init__(self, names: dict[str, Any], steps: int = 0) -> None:
        self.names = names
        self.steps = steps

    def run(self, module: ast.Module) -> Value:
        try:
            self.body(module.body)
        except _Returned as returned:
            return returned.value
        except RecursionError as problem:
            raise ExpressionError("nested too deeply") from problem
        return None

    def refuse(self, node: ast.AST, what: str) -> ExpressionError:
        return ExpressionError(f"line {getattr(node, 'lineno', 2) - 1}: {what}")

    def step(self, node: ast.AST) -> None:
        self.steps += 1
        if self.steps > MAXIMUM_STEPS:
            raise self.refuse(node, f"more than {MAXIMUM_STEPS} steps")

    def body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.step(statement)
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Return():
                raise _Returned(None if node.value is None else self.value(node.value))
            case ast.Expr():
                self.value(node.value)
            case ast.Assign():
                value = self.value(node.value)
                for target in node.targets:
                    self.assign(target, value)
            case ast.AugAssign(target=ast.Name()):
                self.assign(
                    node.target, self.binary(node, node.op, self.load(node.target), self.value(node.value))
                )
            case ast.If():
                self.body(node.body if self.value(node.test) else node.orelse)
            case ast.For(orelse=[]):
                for item in self.iterate(node.iter):
                    self.assign(node.target, item)
                    self.body(node.body)
            case ast.Pass():
                pass
            case ast.FunctionDef(decorator_list=[]):
                self.assign(ast.Name(node.name, lineno=node.lineno), self.function(node))
            case _:
                raise self.refuse(node, f"{_word(node)} is not carried out here")

    def function(self, node: ast.FunctionDef) -> Callable[..., Value]:
        """What `def` makes: a function that sees the names around it, and changes none of them."""
        given = node.args
        if given.vararg or given.kwarg or given.kwonlyargs or given.posonlyargs or given.defaults:
            raise self.refuse(node, "arguments other than plain ones are not carried out here")
        wanted = [argument.arg for argument in given.args]

        def call(*values: Value) -> Value:
            if len(values) != len(wanted):
                raise TypeError(f"{node.name}() takes {len(wanted)} arguments")
            self.step(node)
            inner = _Walk({**self.names, **dict(zip(wanted, values, strict=True))}, self.steps)
            try:
                return inner.run(ast.Module(body=node.body, type_ignores=[]))
            finally:
                self.steps = inner.steps

        return call

    def assign(self, target: ast.expr, value: Value) -> None:
        match target:
            case ast.Name():
                self.public(target, target.id)
                self.names[target.id] = value
            case ast.Tuple() | ast.List():
                self.unpack(target, target.elts, value)
            case ast.Subscript():
                self.guard(
                    target, operator.setitem, self.value(target.value), self.value(target.slice), value
                )
            case _:
                raise self.refuse(target, f"assigning to {_word(target)} is not carried out here")

    def unpack(self, node: ast.expr, targets: list[ast.expr], value: Value) -> None:
        values = self.guard(node, list, value)
        if len(values) != len(targets):
            raise self.refuse(node, f"{len(values)} values for {len(targets)} names")
        for target, item in zip(targets, values, strict=True):
            self.assign(target, item)

    def value(self, node: ast.expr) -> Value:  # noqa: PLR0911, PLR0912 - one case for each kind of node
        self.step(node)
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self.load(node)
            case ast.Attribute():
                return self.attribute(node)
            case ast.Call():
                return self.call(node)
            case ast.Subscript():
                return self.guard(node, operator.getitem, self.value(node.value), self.value(node.slice))
            case ast.Slice():
                return slice(
                    *(
                        None if part is None else self.value(part)
                        for part in (node.lower, node.upper, node.step)
                    )
                )
            case ast.BoolOp():
                return self.boolean(node)
            case ast.IfExp():
                return self.value(node.body if self.value(node.test) else node.orelse)
            case ast.BinOp():
                return self.binary(node, node.op, self.value(node.left), self.value(node.right))
            case ast.UnaryOp() if type(node.op) in UNARY:
                return self.guard(node, UNARY[type(node.op)], self.value(node.operand))
            case ast.Compare():
                return self.compare(node)
            case ast.List():
                return [self.value(item) for item in node.elts]
            case ast.Tuple():
                return tuple(self.value(item) for item in node.elts)
            case ast.Set():
                return self.guard(node, set, [self.value(item) for item in node.elts])
            case ast.Dict():
                return self.dictionary(node)
            case ast.ListComp() | ast.GeneratorExp():
                return [self.value(node.elt) for _ in self.comprehend(node.generators)]
            case ast.SetComp():
                return self.guard(node, set, [self.value(node.elt) for _ in self.comprehend(node.generators)])
            case ast.DictComp():
                pairs = [
                    (self.value(node.key), self.value(node.value)) for _ in self.comprehend(node.generators)
                ]
                return self.guard(node, dict, pairs)
            case ast.JoinedStr():
                return "".join(self.text(part) for part in node.values)
            case _:
                raise self.refuse(node, f"{_word(node)} is not carried out here")

    def text(self, node: ast.expr) -> str:
        match node:
            case ast.Constant():
                return str(node.value)
            case ast.FormattedValue(format_spec=None, conversion=-1):
                return str(self.value(node.value))
            case _:
                raise self.refuse(node, "a format specification is not carried out here")

    def load(self, node: ast.expr) -> Value:
        assert isinstance(node, ast.Name)  # noqa: S101 - callers matched it
        self.public(node, node.id)
        if node.id in self.names:
            return self.names[node.id]
        if node.id in FUNCTIONS:
            return FUNCTIONS[node.id]
        raise self.refuse(node, f"the name {node.id!r} is not known here")

    def public(self, node: ast.AST, name: str) -> None:
        if name.startswith("_"):
            raise self.refuse(node, f"{name!r} starts with an underscore")

    def attribute(self, node: ast.Attribute) -> Value:
        self.public(node, node.attr)
        owner = self.value(node.value)
        if isinstance(owner, Record):
            try:
                return owner.read(node.attr)
            except KeyError:
                raise self.refuse(node, f"{owner!r} has no {node.attr!r} here") from None
        if node.attr in METHODS.get(type(owner), frozenset()):
            return getattr(owner, node.attr)
        raise self.refuse(node, f"{node.attr!r} of {type(owner).__name__} is not carried out here")

    def call(self, node: ast.Call) -> Value:
        function = self.value(node.func)
        if not callable(function) or (isinstance(function, type) and function not in FUNCTIONS.values()):
            raise self.refuse(node, f"{type(function).__name__} cannot be called")
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self.refuse(node, "** in a call is not carried out here")
            named[keyword.arg] = self.value(keyword.value)
        return self.guard(node, function, *(self.value(argument) for argument in node.args), **named)

    def boolean(self, node: ast.BoolOp) -> Value:
        wanted = isinstance(node.op, ast.Or)
        value: Value = None
        for part in node.values:
            value = self.value(part)
            if bool(value) is wanted:
                break
        return value

    def binary(self, node: ast.AST, kind: ast.operator, left: Value, right: Value) -> Value:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if type(kind) not in BINARY or (isinstance(kind, ONLY_NUMBERS) and not numbers):
            raise self.refuse(node, f"{_word(kind)} of these values is not carried out here")
        return self.guard(node, BINARY[type(kind)], left, right)

    def compare(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for kind, part in zip(node.ops, node.comparators, strict=True):
            right = self.value(part)
            if not self.guard(node, COMPARE[type(kind)], left, right):
                return False
            left = right
        return True

    def dictionary(self, node: ast.Dict) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key, part in zip(node.keys, node.values, strict=True):
            value = self.value(part)
            if key is None:
                self.guard(node, result.update, value)
            else:
                self.guard(node, operator.setitem, result, self.value(key), value)
        return result

    def comprehend(self, generators: list[ast.comprehension]) -> Iterator[None]:
        if not generators:
            yield
            return
        first, *others = generators
        for item in self.iterate(first.iter):
            self.assign(first.target, item)
            if all(self.value(condition) for condition in first.ifs):
                yield from self.comprehend(others)

    def iterate(self, node: ast.expr) -> Iterator[Any]:
        for item in self.guard(node, iter, self.value(node)):
            self.step(node)
            yield item

    def guard(self, node: ast.AST, function: Callable[..., Any], *values: Value, **named: Value) -> Value:
        try:
            result = function(*values, **named)
            _check_size(result)
            _check_size(getattr(function, "__self__", None))
        except ExpressionError:
            raise
        except _FAILURES as problem:
            raise self.refuse(node, f"{type(problem).__name__}: {problem}") from problem
        return result


def _check_size(value: object) -> None:
    if isinstance(value, str | list | dict | set | tuple) and len(value) > MAXIMUM_LENGTH:
        raise ValueError(f"a value of more than {MAXIMUM_LENGTH} parts")
    if isinstance(value, int) and abs(value) > MAXIMUM_NUMBER:
        raise ValueError("a number that is too large")


def _word(node: ast.AST) -> str:
    return type(node).__name__


def returned_keys(expression: str) -> list[str]:
    """The names that stand as keys in the dicts that an expression returns; none where it cannot be read."""
    try:
        module = parse(expression)
    except ExpressionError:
        return []
    returned = [node.value for node in ast.walk(module) if isinstance(node, ast.Return)]
    keys = [key for value in returned if isinstance(value, ast.Dict) for key in value.keys]
    return [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
