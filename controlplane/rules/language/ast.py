"""The syntax tree of a rule file: plain, immutable values that know where in the file they begin.

Two trees are equal when they mean the same, wherever their parts stand. Brackets around a single expression
are not in the tree; `f` and `f()` are the same call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import NamedTuple


class Place(NamedTuple):
    """A place in a rule file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Anything in a rule file, and where it begins."""

    place: Place = field(default=Place(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """A local (`*name`) or session (`$name`) variable, with its sign."""

    name: str


@dataclass(frozen=True, slots=True)
class String(Node):
    """A string in any of the three kinds of quotes: text, and the variables whose values are put in."""

    parts: tuple[str | Variable, ...]

    @property
    def text(self) -> str:
        """The string as written, without quotes and escapes; variables by their names."""
        return "".join(part if isinstance(part, str) else part.name for part in self.parts)


@dataclass(frozen=True, slots=True)
class Path(Node):
    """A path that stands without quotes, as `/zone/home/*name`."""

    parts: tuple[str | Variable, ...]


@dataclass(frozen=True, slots=True)
class Number(Node):
    """An integer or a double, as written."""

    text: str


@dataclass(frozen=True, slots=True)
class Boolean(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A rule, function, microservice or constructor with its arguments, by name."""

    name: str
    arguments: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Application(Node):
    """The value of an expression, applied to arguments: `f(1)(2)`."""

    function: Expression
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Tuple(Node):
    """No or several values in parentheses."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """An operator before its operand."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """An operator between its operands."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Assignment(Node):
    """`target = value`; the target is a pattern: a variable, a key of one, a tuple or a constructor."""

    target: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Typed(Node):
    """An expression with its type; the type as text with single spaces."""

    expression: Expression
    type: str


@dataclass(frozen=True, slots=True)
class Statement(Node):
    """An action, and after `:::` what undoes it when a later one fails."""

    action: Expression
    recovery: Expression | None = None


@dataclass(frozen=True, slots=True)
class Block(Node):
    """Statements in braces."""

    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class If(Node):
    """`if (…) {…}`, with or without an `else`."""

    condition: Expression
    then: Block
    otherwise: Block | If | Choice | None = None


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """`if … then … else …`, which has a value."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class While(Node):
    """`while (…) {…}`."""

    condition: Expression
    body: Block


@dataclass(frozen=True, slots=True)
class For(Node):
    """`for (first; condition; step) {…}`."""

    first: Expression
    condition: Expression
    step: Expression
    body: Block


@dataclass(frozen=True, slots=True)
class Foreach(Node):
    """`foreach (*item in collection) {…}`; without `in` the variable is the collection and then its items."""

    variable: Variable
    collection: Expression | None
    body: Block


@dataclass(frozen=True, slots=True)
class Delay(Node):
    """`delay(condition) {…}`: statements for the delay server."""

    condition: Expression
    body: Block


@dataclass(frozen=True, slots=True)
class Remote(Node):
    """`remote(host, condition) {…}`: statements for another server."""

    host: Expression
    condition: Expression
    body: Block


@dataclass(frozen=True, slots=True)
class Let(Node):
    """`let pattern = value in body`."""

    pattern: Expression
    value: Expression
    body: Expression


@dataclass(frozen=True, slots=True)
class Case(Node):
    """One case of a match: `pattern => value`."""

    pattern: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Match(Node):
    """`match subject with | pattern => value …`."""

    subject: Expression
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Column(Node):
    """A column of a query, and the function applied to it or nothing."""

    name: str
    function: str = ""


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """An operator of a query with what it compares to."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Condition(Node):
    """A column and its comparisons, all joined by `||` or all by `&&` (nothing where there is one)."""

    column: Column
    comparisons: tuple[Comparison, ...]
    junction: str = ""


@dataclass(frozen=True, slots=True)
class Query(Node):
    """`select … where … and …`."""

    columns: tuple[Column, ...]
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Metadata(Node):
    """`@("attribute", "value", "unit")` after a rule."""

    attribute: str
    value: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Head(Node):
    """What a rule or function is called and takes; parameters are patterns, mostly variables."""

    name: str
    parameters: tuple[Expression, ...] = ()
    result: str = ""


@dataclass(frozen=True, slots=True)
class Alternative(Node):
    """One body of a rule, and its condition. The keyword is `on`, `or`, or nothing for a rule of one body."""

    keyword: str
    condition: Expression | None
    body: Block
    metadata: tuple[Metadata, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule(Node):
    """A rule with its bodies, tried in their order."""

    head: Head
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Function(Node):
    """`name(…) = expression`."""

    head: Head
    body: Expression
    recovery: Expression | None = None
    metadata: tuple[Metadata, ...] = ()


@dataclass(frozen=True, slots=True)
class OldRule(Node):
    """A rule in the syntax with bars. Arguments of its calls are strings; `condition` is None where empty."""

    head: Head
    condition: Expression | None
    actions: tuple[Call, ...]
    recoveries: tuple[Call, ...]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Constructor(Node):
    """A constructor of values with its type: alone, or in a data type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class DataType(Node):
    """`data name = | constructor : type …`."""

    head: Head
    constructors: tuple[Constructor, ...] = ()


@dataclass(frozen=True, slots=True)
class Extern(Node):
    """`name : type`, for a function that is defined elsewhere."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Directive(Node):
    """`@include "name"` or `@backwardCompatible word`; any other word is read over by the engine."""

    name: str
    value: str = ""


Expression = (
    Variable
    | String
    | Path
    | Number
    | Boolean
    | Call
    | Application
    | Tuple
    | Unary
    | Binary
    | Assignment
    | Typed
    | Block
    | If
    | Choice
    | While
    | For
    | Foreach
    | Delay
    | Remote
    | Let
    | Match
    | Query
)
Item = Rule | Function | OldRule | DataType | Constructor | Extern | Directive


@dataclass(frozen=True, slots=True)
class RuleFile(Node):
    """The items of a rule file in their order."""

    items: tuple[Item, ...]


def children(node: Node) -> Iterator[Node]:
    """The parts of a node, in the order in which they stand in the file."""
    for name in _PARTS[type(node)]:
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from (part for part in value if isinstance(part, Node))


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, each before its parts."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += reversed(tuple(children(found)))


_PARTS = {
    kind: tuple(entry.name for entry in fields(kind) if entry.name != "place")
    for kind in Node.__subclasses__()
}
