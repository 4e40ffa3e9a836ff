"""What rules are made of, once they have been parsed."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """A string without variables, a number or a truth value."""

    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Text:
    """A string with variables in it; every second part is one."""

    parts: "tuple[str | Variable, ...]"


@dataclass(frozen=True, slots=True)
class Variable:
    """A local (`*x`) or session (`$x`) variable, and where it stands in the source."""

    name: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A rule, function or microservice with its arguments, and where it stands in the source."""

    name: str
    arguments: "tuple[Expression, ...]"
    offset: int


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator with its operands; `=` assigns and `.` takes a value of a key-value list."""

    operator: str
    operands: "tuple[Expression, ...]"
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """A query's conditions on one column: operators with values, all joined by `||` or `&&`."""

    column: str
    parts: "tuple[tuple[str, tuple[Expression, ...]], ...]"
    junction: str


@dataclass(frozen=True, slots=True)
class Query:
    """A query of the catalogue: columns with their functions, and conditions."""

    columns: tuple[tuple[str, str], ...]
    conditions: tuple[Condition, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Block:
    """Actions where an expression can stand, as in `errorcode({ ... })`."""

    body: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class Choice:
    """The expression `if (condition) then left else right`."""

    condition: "Expression"
    left: "Expression"
    right: "Expression"


Expression = Literal | Text | Variable | Call | Operation | Query | Block | Choice


@dataclass(frozen=True, slots=True)
class Statement:
    """An action: an expression with its recovery, or a control structure by its keyword.

    `text` is the source of a block that runs at another time or place.
    """

    keyword: str
    expressions: tuple[Expression, ...]
    blocks: "tuple[tuple[Statement, ...], ...]" = ()
    text: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its parameters, the condition under which it applies (or None), its actions and its source."""

    name: str
    parameters: tuple[str, ...]
    condition: Expression | None
    body: tuple[Statement, ...]
    source: str
    offset: int = 0


def expressions(body: tuple[Statement, ...]) -> Iterator[Expression]:
    """Return all expressions in some actions, those inside others included."""
    for statement in body:
        for expression in statement.expressions:
            yield from within(expression)
        for block in statement.blocks:
            yield from expressions(block)


def within(expression: Expression) -> Iterator[Expression]:
    """Return an expression and all that it is made of."""
    yield expression
    match expression:
        case Call(_, parts, _) | Operation(_, parts, _):
            pass
        case Choice(condition, left, right):
            parts = (condition, left, right)
        case Query(_, conditions, _):
            parts = tuple(
                value for condition in conditions for _, values in condition.parts for value in values
            )
        case Block(body):
            yield from expressions(body)
            return
        case Text(texts):
            parts = tuple(part for part in texts if isinstance(part, Variable))
        case _:
            return
    for part in parts:
        yield from within(part)
