"""A parser for the iRODS rule language, as far as rule bases of our days use it.

It reads rules with parameters, blocks, `on`/`or` alternatives, control structures, queries, recoveries
(`:::`), functions and expressions, with the operators and priorities of iRODS 5.0.2's own parser. It does not
read data type declarations, `match` and `let`, nor the old syntax with bars: a rule base that uses those is
refused as a whole, as one with an error is.
"""

import re

from .ruletree import (
    Block,
    Call,
    Choice,
    Condition,
    Expression,
    Literal,
    Operation,
    Query,
    Rule,
    Statement,
    Text,
    Variable,
)

_TOKEN = re.compile(
    r"(?P<space>\s+|\#[^\n]*)|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<variable>[*$][A-Za-z_]\w*)|(?P<name>@?[A-Za-z_]\w*)"
    r"|(?P<operator>:::|\+\+|&&|\|\||%%|\^\^|==|!=|<>|<=|>=|[-+*/%<>=!(){};,.\[\]:^])",
    re.S,
)
_PRIORITIES = {
    "=": 1,
    **dict.fromkeys(("||", "%%"), 2),
    "&&": 3,
    **dict.fromkeys(("==", "!=", "like", "not like", "like regex", "not like regex"), 4),
    **dict.fromkeys(("<", "<=", ">", ">="), 5),
    **dict.fromkeys(("++", "+", "-"), 6),
    **dict.fromkeys(("*", "/", "%"), 7),
    **dict.fromkeys((".", "^", "^^"), 8),
}
_UNARY = 10
_CONDITIONS = ("=", "==", "<>", "!=", ">", "<", ">=", "<=", "in", "between", "like", "not")
_SELECTORS = ("count", "sum", "min", "max", "avg", "order", "order_asc", "order_desc")
_CONTROL = ("if", "while", "for", "foreach", "delay", "remote")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_INTERPOLATED = re.compile(r"\\.|[*$][A-Za-z]\w*", re.S)


class RuleSyntaxError(Exception):
    """A rule base or rule that cannot be parsed, with the place after the token that did not fit."""

    def __init__(self, source: str, offset: int, rule_base: str = "") -> None:
        super().__init__("parseRuleSet: error parsing rule.\n" + location(source, offset, rule_base))
        self.source, self.offset = source, offset

    def named(self, rule_base: str) -> "RuleSyntaxError":
        """Return the same error with the name of the rule base, as the engine writes it to the log."""
        return RuleSyntaxError(self.source, self.offset, rule_base)


def location(source: str, offset: int, rule_base: str = "") -> str:
    """Return a place in a source as the rule engine shows it: line, column, the line and a caret under it."""
    line = source.count("\n", 0, offset)
    start = source.rfind("\n", 0, offset) + 1
    end = source.find("\n", offset)
    text = source[start:] if end < 0 else source[start:end]
    column = offset - start
    margin = "".join("\t" if character == "\t" else " " for character in text[:column].ljust(column))
    where = f", rule base {rule_base}" if rule_base else ""
    return f"line {line}, col {column}{where}\n{text}\n{margin}^\n\n"


class _Token:
    __slots__ = ("end", "kind", "start", "text")

    def __init__(self, kind: str, text: str, start: int, end: int) -> None:
        self.kind, self.text, self.start, self.end = kind, text, start, end


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
        if index < len(self._tokens):
            return self._tokens[index]
        return _Token("end", "", len(self._source), len(self._source))

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

    def _take(self, *kinds: str) -> _Token:
        token = self._peek()
        if token.kind not in kinds:
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
        first = self._take("name")
        name = first.text
        if name == "@external":
            name = self._take("name").text if self._peek().kind == "name" else name
        parameters = self._parameters()
        if self._accept("="):
            statement = Statement("", (self._expression(),))
            self._accept(";")
            return [Rule(name, parameters, None, (statement,), self._source, first.start)]
        self._expect("{")
        if self._peek().text.lower() != "on" or self._peek().kind == "string":
            return [Rule(name, parameters, None, self._block(), self._source, first.start)]
        found = []
        while self._accept("on", "or"):
            condition = None
            if self._accept("("):
                condition = self._expression()
                self._expect(")")
            self._expect("{")
            found.append(Rule(name, parameters, condition, self._block(), self._source, first.start))
        self._expect("}")
        return found

    def _parameters(self) -> tuple[str, ...]:
        found: list[str] = []
        if self._accept("("):
            while not self._accept(")"):
                found.append(self._take("variable", "name", "string").text)
                if self._accept(":"):
                    self._take("name")
                if self._peek().text != ")":
                    self._expect(",")
        return tuple(found)

    def _block(self) -> tuple[Statement, ...]:
        """Parse statements up to the closing brace; the opening one has been taken."""
        found: list[Statement] = []
        while not self._accept("}"):
            found.append(self._statement())
        return tuple(found)

    def _braced(self) -> tuple[Statement, ...]:
        self._expect("{")
        return self._block()

    def _statement(self) -> Statement:
        token = self._peek()
        keyword = token.text.lower() if token.kind == "name" and self._peek(1).text == "(" else ""
        if keyword not in _CONTROL:
            return self._action()
        self._next += 2
        parsers = {"if": self._if, "while": self._while, "for": self._for, "foreach": self._foreach}
        if keyword in parsers:
            statement = parsers[keyword](token.start)
        else:
            statement = self._elsewhere(keyword, token.start)
        self._accept(";")
        return statement

    def _if(self, offset: int) -> Statement:
        condition = self._expression()
        self._expect(")")
        if self._accept("then") and self._peek().text != "{":
            left = self._expression()
            self._expect("else")
            return Statement("", (Choice(condition, left, self._expression()),), offset=offset)
        blocks = [self._braced()]
        if self._accept("else"):
            nested = self._peek().kind == "name" and self._peek().text.lower() == "if"
            blocks.append((self._statement(),) if nested else self._braced())
        return Statement("if", (condition,), tuple(blocks), offset=offset)

    def _while(self, offset: int) -> Statement:
        condition = self._expression()
        self._expect(")")
        return Statement("while", (condition,), (self._braced(),), offset=offset)

    def _for(self, offset: int) -> Statement:
        first = self._expression()
        self._expect(";")
        condition = self._expression()
        self._expect(";")
        step = self._expression()
        self._expect(")")
        return Statement("for", (first, condition, step), (self._braced(),), offset=offset)

    def _foreach(self, offset: int) -> Statement:
        token = self._take("variable")
        variable = Variable(token.text, token.start)
        over: Expression = variable
        if self._accept("in"):
            over = self._expression()
        self._expect(")")
        return Statement("foreach", (variable, over), (self._braced(),), offset=offset)

    def _elsewhere(self, keyword: str, offset: int) -> Statement:
        """Parse a block that runs at another time or place: it is kept as text too."""
        expressions = [self._expression()]
        while self._accept(","):
            expressions.append(self._expression())
        self._expect(")")
        start = self._peek().end
        block = self._braced()
        text = self._source[start : self._tokens[self._next - 1].start]
        return Statement(keyword, tuple(expressions), (block,), text, offset)

    def _action(self) -> Statement:
        offset = self._peek().start
        expressions = [self._expression()]
        if self._accept(":::"):
            expressions.append(self._expression())
        # Between actions the real parser wants no semicolon.
        self._accept(";")
        return Statement("", tuple(expressions), offset=offset)

    def _expression(self, priority: int = 0) -> Expression:
        if self._peek().kind == "name" and self._peek().text in ("SELECT", "select"):
            return self._query()
        left = self._unary()
        while True:
            operator, length, offset = self._operator()
            if not operator or _PRIORITIES[operator] <= priority:
                return left
            self._next += length
            if operator == "=" and not self._assignable(left):
                raise self._fail()
            # Assignment takes all that follows, the others bind to the left.
            level = 0 if operator == "=" else _PRIORITIES[operator]
            left = Operation(operator, (left, self._expression(level)), offset)

    @staticmethod
    def _assignable(left: Expression) -> bool:
        return isinstance(left, Variable) or (isinstance(left, Operation) and left.operator == ".")

    def _operator(self) -> tuple[str, int, int]:
        """Return the operator that comes next, of how many words it is, and where; none is empty."""
        token = self._peek()
        if token.kind == "operator":
            return (token.text if token.text in _PRIORITIES else ""), 1, token.start
        if token.kind != "name" or token.text not in ("like", "not"):
            return "", 0, token.start
        words = [token.text]
        for wanted in (("not", "like"), ("like", "regex")):
            following = self._peek(len(words))
            if words[-1] == wanted[0] and following.kind == "name" and following.text == wanted[1]:
                words.append(following.text)
        found = " ".join(words)
        return (found if found in _PRIORITIES else ""), len(words), token.start

    def _unary(self) -> Expression:
        offset = self._peek().start
        for operator in ("!", "-"):
            if self._accept(operator):
                return Operation(operator, (self._expression(_UNARY),), offset)
        return self._operand()

    def _operand(self) -> Expression:  # noqa: PLR0911 - one kind of operand each
        token = self._peek()
        self._next += 1
        if token.kind == "string":
            return _text(token.text[1:-1], token.start)
        if token.kind == "number":
            return Literal(float(token.text) if "." in token.text else int(token.text))
        if token.kind == "variable":
            return Variable(token.text, token.start)
        if token.text == "(":
            inner = self._expression()
            self._expect(")")
            return inner
        if token.text == "{":
            return Block(self._block())
        if token.kind != "name":
            self._next -= 1
            raise self._fail()
        if token.text == "if":
            condition = self._expression()
            self._expect("then")
            left = self._expression()
            self._expect("else")
            return Choice(condition, left, self._expression())
        if token.text in ("true", "false"):
            return Literal(token.text == "true")
        return Call(token.text, self._arguments(), token.start)

    def _arguments(self) -> tuple[Expression, ...]:
        found: list[Expression] = []
        if self._accept("("):
            while not self._accept(")"):
                found.append(self._expression())
                if self._peek().text != ")":
                    self._expect(",")
        return tuple(found)

    def _query(self) -> Query:
        offset = self._take("name").start
        columns = [self._column()]
        while self._accept(","):
            columns.append(self._column())
        conditions: list[Condition] = []
        if self._accept("where"):
            conditions.append(self._condition())
            while self._accept("and"):
                conditions.append(self._condition())
        return Query(tuple(columns), tuple(conditions), offset)

    def _column(self) -> tuple[str, str]:
        name = self._take("name").text
        if self._peek().text != "(":
            return "", name
        if name.lower() not in _SELECTORS:
            raise self._fail()
        self._expect("(")
        column = self._take("name").text
        self._expect(")")
        return name.lower(), column

    def _condition(self) -> Condition:
        """Parse the conditions on one column; their values are simple, as the real parser wants them."""
        _, column = self._column()
        junction = ""
        parts: list[tuple[str, tuple[Expression, ...]]] = []
        while True:
            operator = self._peek().text.lower()
            if not self._accept(*_CONDITIONS):
                raise self._fail()
            if operator == "not":
                self._expect("like")
                operator = "not like"
            operator = {"==": "=", "!=": "<>"}.get(operator, operator)
            values = [self._operand()]
            if operator == "between":
                values.append(self._operand())
            parts.append((operator, tuple(values)))
            found = self._peek().text
            if found not in ("||", "&&") or junction not in ("", found):
                return Condition(column, tuple(parts), junction)
            junction = found
            self._next += 1


def _text(raw: str, offset: int) -> Literal | Text:
    """Return a string; the variables that it names are put into it when it is read."""
    parts: list[str | Variable] = [""]
    position = 0
    for match in _INTERPOLATED.finditer(raw):
        parts[-1] = f"{parts[-1]}{raw[position : match.start()]}"
        position = match.end()
        if match[0].startswith("\\"):
            parts[-1] = f"{parts[-1]}{_ESCAPES.get(match[0][1], match[0][1])}"
        else:
            parts += [Variable(match[0], offset), ""]
    parts[-1] = f"{parts[-1]}{raw[position:]}"
    return Literal(str(parts[0])) if len(parts) == 1 else Text(tuple(parts))


def parse(source: str) -> list[Rule]:
    """Return the rules of a rule base or of a client's rule. Raises `RuleSyntaxError`."""
    return _Parser(source).rules()


def parse_actions(source: str) -> tuple[Statement, ...]:
    """Return the actions of a text without a rule around it, as a delayed rule is kept in the catalogue.

    Raises `RuleSyntaxError`.
    """
    return parse(f"delayed {{\n{source}\n}}")[0].body
