"""A parser for the part of the iRODS rule language that rule bases are written in.

It reads rules with parameters, blocks, `on`/`or` alternatives, `if`, `while`, `for`, `foreach`, `delay`
and `remote`, recoveries (`:::`), functions and expressions. It does not read data type declarations,
`match` and `let`, nor the old syntax with bars: a rule base that uses those is refused as a whole, as one
with an error is.
"""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"(?P<space>\s+|\#[^\n]*)|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<variable>[*$][A-Za-z_]\w*)|(?P<name>@?[A-Za-z_]\w*)"
    r"|(?P<operator>:::|\+\+|&&|\|\||==|!=|<=|>=|like\b|[-+*/%<>=!(){};,.\[\]:])",
    re.S,
)
_BINARY = [
    ("||", "or"), ("&&", "and"), ("==", "!=", "like"), ("<", "<=", ">", ">="),
    ("++",), ("+", "-"), ("*", "/", "%"),
]  # fmt: skip


class RuleSyntaxError(Exception):
    """A rule base or rule that cannot be parsed, with the place after the token that did not fit."""

    def __init__(self, source: str, offset: int) -> None:
        super().__init__("parseRuleSet: error parsing rule.\n" + location(source, offset))


def location(source: str, offset: int) -> str:
    """Return a place in a source as the rule engine shows it: line, column, the line and a caret under it."""
    line = source.count("\n", 0, offset)
    start = source.rfind("\n", 0, offset) + 1
    end = source.find("\n", offset)
    text = source[start:] if end < 0 else source[start:end]
    column = offset - start
    return f"line {line}, col {column}\n{text}\n{' ' * column}^\n\n"


@dataclass(frozen=True, slots=True)
class Literal:
    """A string or number."""

    value: str | int | float


@dataclass(frozen=True, slots=True)
class Variable:
    """A local (`*x`) or session (`$x`) variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A rule or microservice with its arguments, and where it stands in the source."""

    name: str
    arguments: tuple["Expression", ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator with its operands; `=` assigns."""

    operator: str
    operands: tuple["Expression", ...]


Expression = Literal | Variable | Call | Operation


@dataclass(frozen=True, slots=True)
class Statement:
    """An action: an expression, or a control structure by its keyword with conditions and blocks."""

    keyword: str
    expressions: tuple[Expression, ...]
    blocks: tuple[tuple["Statement", ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its parameters, the condition under which it applies (or None), its actions and its source."""

    name: str
    parameters: tuple[str, ...]
    condition: Expression | None
    body: tuple[Statement, ...]
    source: str


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens: list[_Token] = []
        self._next = 0
        position = 0
        while position < len(source):
            match = _TOKEN.match(source, position)
            if match is None or match.lastgroup is None:
                raise RuleSyntaxError(source, position + 1)
            if match.lastgroup != "space":
                self._tokens.append(_Token(match.lastgroup, match[0], position, match.end()))
            position = match.end()

    def _peek(self, ahead: int = 0) -> _Token:
        index = self._next + ahead
        return (
            self._tokens[index]
            if index < len(self._tokens)
            else _Token("end", "", len(self._source), len(self._source))
        )

    def _fail(self) -> RuleSyntaxError:
        return RuleSyntaxError(self._source, self._peek().end)

    def _accept(self, *texts: str) -> bool:
        token = self._peek()
        if token.kind == "string" or token.text.lower() not in texts:
            return False
        self._next += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._fail()

    def _name(self) -> _Token:
        token = self._peek()
        if token.kind != "name":
            raise self._fail()
        self._next += 1
        return token

    def rules(self) -> list[Rule]:
        found: list[Rule] = []
        while self._peek().kind != "end":
            found += self._rule()
        return found

    def _rule(self) -> list[Rule]:
        # Rules sent by clients are named `@external rule`.
        name = self._name().text
        if name == "@external":
            name = self._name().text if self._peek().kind == "name" else name
        parameters: list[str] = []
        if self._accept("("):
            while not self._accept(")"):
                token = self._peek()
                if token.kind not in ("variable", "name", "string"):
                    raise self._fail()
                self._next += 1
                parameters.append(token.text)
                if self._peek().text != ")":
                    self._expect(",")
        if self._accept("="):
            statement = Statement("", (self._expression(),))
            self._accept(";")
            return [Rule(name, tuple(parameters), None, (statement,), self._source)]
        self._expect("{")
        if self._peek().text.lower() not in ("on", "or"):
            return [Rule(name, tuple(parameters), None, self._block(), self._source)]
        found = []
        while self._accept("on", "or"):
            condition = None
            if self._accept("("):
                condition = self._expression()
                self._expect(")")
            self._expect("{")
            found.append(Rule(name, tuple(parameters), condition, self._block(), self._source))
        self._expect("}")
        return found

    def _block(self) -> tuple[Statement, ...]:
        """Parse statements up to the closing brace; the opening one has been taken."""
        found: list[Statement] = []
        while not self._accept("}"):
            found.append(self._statement())
        return tuple(found)

    def _braced(self) -> tuple[Statement, ...]:
        if self._accept("{"):
            return self._block()
        return (self._statement(),)

    def _statement(self) -> Statement:
        token = self._peek()
        keyword = token.text.lower() if token.kind == "name" and self._peek(1).text == "(" else ""
        if keyword not in ("if", "while", "for", "foreach", "delay", "remote"):
            return self._action()
        self._next += 2
        expressions = []
        while not self._accept(")"):
            if not self._accept(";", ",", "in"):
                expressions.append(self._expression())
        if keyword == "if" and self._accept("then"):
            pass
        blocks = [self._braced()]
        if keyword == "if" and self._accept("else"):
            blocks.append(self._braced())
        self._accept(";")
        return Statement(keyword, tuple(expressions), tuple(blocks))

    def _action(self) -> Statement:
        if self._accept("{"):
            return Statement("block", (), (self._block(),))
        expressions = [self._expression()]
        if self._accept(":::"):
            expressions.append(self._expression())
        if self._peek().text != "}":
            self._expect(";")
        return Statement("", tuple(expressions))

    def _expression(self) -> Expression:
        left = self._binary(0)
        if self._accept("="):
            if not isinstance(left, Variable | Operation):
                raise self._fail()
            return Operation("=", (left, self._expression()))
        return left

    def _binary(self, priority: int) -> Expression:
        if priority == len(_BINARY):
            return self._unary()
        left = self._binary(priority + 1)
        while True:
            operator = self._peek().text
            if self._peek().kind == "string" or operator not in _BINARY[priority]:
                return left
            self._next += 1
            left = Operation(operator, (left, self._binary(priority + 1)))

    def _unary(self) -> Expression:
        for operator in ("!", "-"):
            if self._accept(operator):
                return Operation(operator, (self._unary(),))
        operand = self._operand()
        while self._accept("."):
            operand = Operation(".", (operand, Literal(self._name().text)))
        return operand

    def _operand(self) -> Expression:
        token = self._peek()
        self._next += 1
        if token.kind == "string":
            return Literal(
                re.sub(
                    r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), token.text[1:-1]
                )
            )
        if token.kind == "number":
            return Literal(float(token.text) if "." in token.text else int(token.text))
        if token.kind == "variable":
            return Variable(token.text)
        if token.text == "(":
            inner = self._expression()
            self._expect(")")
            return inner
        if token.kind != "name":
            self._next -= 1
            raise self._fail()
        arguments: list[Expression] = []
        if self._accept("("):
            while not self._accept(")"):
                arguments.append(self._expression())
                if self._peek().text != ")":
                    self._expect(",")
        return Call(token.text, tuple(arguments), token.start)


def parse(source: str) -> list[Rule]:
    """Return the rules of a rule base or of a client's rule. Raises `RuleSyntaxError`."""
    return _Parser(source).rules()
