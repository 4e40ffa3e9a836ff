"""Queries in rules: `SELECT` in `foreach`, and the query microservices, all by GenQuery1 as the client."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from .column_names import NAMES, NUMBERS
from .errors import Code, IrodsError
from .genquery1 import MAX_ROWS
from .rulescope import Arguments, Scope, microservice
from .ruletree import Condition, Expression, Query
from .rulevalues import RuleError, Value, integer, kind, text
from .wire import Node, element, leaf

GEN_QUERY = 702
_FUNCTIONS = {
    "": 1, "min": 2, "max": 3, "sum": 4, "avg": 5, "count": 6,
    "order": 0x400, "order_asc": 0x400, "order_desc": 0x800,
}  # fmt: skip
_SELECTED = re.compile(r"\s*(?:(\w+)\s*\(\s*(\w+)\s*\)|(\w+))\s*")
_STRING_QUERY = re.compile(r"\s*select\s+(.*?)(?:\s+where\s+(.*))?\s*", re.I | re.S)
_AND = re.compile(r"(?<=['\)])\s+and\s+", re.I)

Evaluate = Callable[[Expression], Value]


@dataclass(frozen=True, slots=True)
class Request:
    """A query before it is asked: columns with their functions, and conditions on columns."""

    select: tuple[tuple[int, int], ...]
    where: tuple[tuple[int, str], ...]

    def packed(self, continue_index: int, rows: int = MAX_ROWS) -> str:
        """Return the packed `GenQueryInp_PI`; no rows close a query."""
        columns = [leaf("inx", number) for number, _ in self.select]
        flags = [leaf("ivalue", flag) for _, flag in self.select]
        conditions = [leaf("inx", number) for number, _ in self.where]
        values = [leaf("svalue", value) for _, value in self.where]
        return element(
            "GenQueryInp_PI",
            leaf("maxRows", rows),
            leaf("continueInx", continue_index),
            leaf("partialStartIndex", 0),
            leaf("options", 0),
            element("KeyValPair_PI", leaf("ssLen", 0)),
            element("InxIvalPair_PI", leaf("iiLen", len(columns)), *columns, *flags),
            element("InxValPair_PI", leaf("isLen", len(conditions)), *conditions, *values),
        )


class Answer:
    """Rows of a query, a page at a time; going through them fetches what follows."""

    def __init__(self, scope: Scope, request: Request) -> None:
        self._scope, self._request = scope, request
        self.continue_index = 0
        self.page: list[dict[str, str]] = []
        self.fetch()

    def fetch(self) -> None:
        """Get the next page; it is empty when there are no more rows. Raises the catalogue's refusals."""
        reply = self._scope.request(GEN_QUERY, self._request.packed(self.continue_index))
        if reply.int_info == Code.CAT_NO_ROWS_FOUND:
            self.page, self.continue_index = [], 0
            return
        if reply.int_info < 0:
            raise IrodsError(reply.int_info)
        node = Node.parse(reply.body)
        self.continue_index = node.number("continueInx")
        columns = [
            (NAMES.get(column.number("attriInx"), ""), column.texts("value"))
            for column in node.children("SqlResult_PI")
            if column.number("attriInx")
        ]
        count = node.number("rowCnt")
        self.page = [{name: values[row] for name, values in columns} for row in range(count)]

    def close(self) -> None:
        """Give up the rows that were not fetched."""
        if self.continue_index:
            self._scope.request(GEN_QUERY, self._request.packed(self.continue_index, rows=0))
            self.continue_index = 0

    def __iter__(self) -> Iterator[Value]:
        """Return all rows from the present page on."""
        try:
            while True:
                yield from self.page
                if not self.continue_index:
                    return
                self.fetch()
        finally:
            self.close()


def _column(name: str) -> int:
    if name not in NUMBERS:
        raise RuleError(Code.RE_DYNAMIC_TYPE_ERROR, f"Unable to get valid ICAT column index for {name}.")
    return NUMBERS[name]


def ask(scope: Scope, query: Query, evaluate: Evaluate) -> Value:
    """Return the answer to a query in a rule. Raises `RuleError`, with the place of the query."""
    try:
        columns = tuple((_column(name), _FUNCTIONS[function]) for function, name in query.columns)
        _check_once([condition.column for condition in query.conditions])
        where = tuple(
            (_column(condition.column), _condition(condition, evaluate)) for condition in query.conditions
        )
        return Answer(scope, Request(columns, where))
    except RuleError as error:
        raise RuleError(error.code, error.message, error.offset or query.offset) from error
    except IrodsError as error:
        raise RuleError(error.code, f"query: {error}", query.offset) from error


def _check_once(names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        message = "Unsupported gen query format: multiple query conditions on one attribute"
        raise RuleError(Code.RE_DYNAMIC_TYPE_ERROR, f"{message} {twice}.")


def _condition(condition: Condition, evaluate: Evaluate) -> str:
    parts = []
    for operator, expressions in condition.parts:
        values = []
        for expression in expressions:
            value = evaluate(expression)
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise RuleError(Code.RE_DYNAMIC_TYPE_ERROR, f"a condition does not take {kind(value)}")
            # GenQuery1 knows values in quotes alone.
            values.append(value if operator == "in" else f"'{text(value)}'")
        parts.append(f"{operator} {' '.join(map(str, values))}")
    return f" {condition.junction} ".join(parts)


def _selected(names: str) -> tuple[tuple[int, int], ...]:
    found = []
    for part in names.split(","):
        match = _SELECTED.fullmatch(part)
        function = (match[1] or "").lower() if match else "?"
        if match is None or function not in _FUNCTIONS:
            raise RuleError(Code.SYS_INVALID_INPUT_PARAM, f"error: {part.strip()} is no column")
        found.append((_column((match[2] or match[3]).upper()), _FUNCTIONS[function]))
    return tuple(found)


def _where(conditions: str) -> tuple[tuple[int, str], ...]:
    found = []
    for part in _AND.split(conditions.strip()) if conditions.strip() else ():
        name, _, condition = part.strip().replace("=", " = ", 1).partition(" ")
        found.append((_column(name), re.sub(r"([<>!]) = ", r"\1= ", condition).strip()))
    return tuple(found)


@microservice("msiMakeGenQuery")
def make_query(_scope: Scope, arguments: Arguments) -> int:
    """Make a query of a list of columns and a text of conditions: `(select, where, *query)`."""
    names, conditions = arguments[0], arguments[1]
    arguments[2] = Prepared(Request(_selected(str(names)), _where(str(conditions))))
    return 0


@microservice("msiExecGenQuery")
def execute_query(scope: Scope, arguments: Arguments) -> int:
    """Ask a query that was made before: `(*query, *answer)`."""
    query = arguments[0]
    if not isinstance(query, Prepared):
        return Code.USER_PARAM_TYPE_ERR
    arguments[1] = Page(Answer(scope, query.request))
    return 0


@microservice("msiExecStrCondQuery")
def execute_text(scope: Scope, arguments: Arguments) -> int:
    """Ask a query that is written as one text: `(text, *answer)`."""
    match = _STRING_QUERY.fullmatch(str(arguments[0]))
    if match is None:
        return Code.SYS_INVALID_INPUT_PARAM
    arguments[1] = Answer(scope, Request(_selected(match[1]), _where(match[2] or "")))
    return 0


@microservice("msiGetContInxFromGenQueryOut")
def continuation(_scope: Scope, arguments: Arguments) -> int:
    """Tell whether there are more rows: `(*answer, *index)`."""
    page = arguments[0]
    if not isinstance(page, Page):
        return Code.USER_PARAM_TYPE_ERR
    arguments[1] = integer(page.answer.continue_index)
    return 0


@microservice("msiGetMoreRows")
def more_rows(_scope: Scope, arguments: Arguments) -> int:
    """Get the next page of an answer: `(*query, *answer, *index)`."""
    page = arguments[1]
    if not isinstance(page, Page):
        return Code.USER_PARAM_TYPE_ERR
    page.answer.fetch()
    arguments[2] = integer(page.answer.continue_index)
    return 0


@microservice("msiCloseGenQuery")
def close_query(_scope: Scope, arguments: Arguments) -> int:
    """End a query whose rows were not all fetched: `(*query, *answer)`."""
    page = arguments[1]
    if not isinstance(page, Page):
        return Code.USER_PARAM_TYPE_ERR
    page.answer.close()
    return 0


class Page:
    """An answer of which `foreach` goes through one page alone, as after `msiExecGenQuery`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def __iter__(self) -> Iterator[Value]:
        """Return the rows of the present page."""
        return iter(list[Value](self.answer.page))


class Prepared:
    """A query that was not asked yet; it has no rows."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __iter__(self) -> Iterator[Value]:
        """Return nothing."""
        return iter(())


def rows(
    scope: Scope, columns: str, equal: Mapping[str, str], conditions: Mapping[str, str] | None = None
) -> list[dict[str, str]]:
    """Return all rows with exactly these values that meet further conditions; for the server's questions."""
    where = [(_column(name), f"= '{value}'") for name, value in equal.items()]
    where += [(_column(name), condition) for name, condition in (conditions or {}).items()]
    answer = Answer(scope, Request(_selected(columns), tuple(where)))
    return [row for row in answer if isinstance(row, dict)]
