"""GenQuery1: selections and conditions by column number, turned into one SQL statement.

The statement is built from the tables in `columns`; every value that a client sends is bound, never pasted.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from .access import Client
from .catalogue import Row, Transaction
from .columns import COLUMNS, LINKS, RESOURCE_HIERARCHY, TABLES
from .errors import Code, IrodsError
from .wire import Node, element, leaf, text

MAX_ROWS = 500
_MAX_COLUMNS = 50
_MIN_WIDTH = 50

_AGGREGATES = {2: "min", 3: "max", 4: "sum", 5: "avg", 6: "count"}
_ORDER_BY, _ORDER_BY_DESC = 0x400, 0x800
_TOTAL_ROW_COUNT, _NO_DISTINCT, _UPPER_CASE = 0x20, 0x40, 0x200

_SPLIT = re.compile(r"(?<=['\)])\s*(\|\||&&)\s*(?=[a-zA-Z=<>!])")
_SIMPLE = re.compile(
    r"(=|<>|!=|<=|>=|<|>|n=|n<>|n<=|n>=|n<|n>|not like|like|begin_of|parent_of)\s*'(.*)'", re.S | re.I
)
_SET = re.compile(r"(in|not in)\s*\((.*)\)", re.S | re.I)
_BETWEEN = re.compile(r"between\s+'(.*?)'\s+(?:and\s+)?'(.*)'", re.S | re.I)

_HIERARCHY = (
    "(with recursive h(parent, path) as (select resc_parent, resc_name from r_resc_main"
    " where resc_id = r_data_main.resc_id union all select r.resc_parent, r.resc_name || ';' || h.path"
    " from h join r_resc_main r on h.parent <> '' and r.resc_id = cast(h.parent as integer))"
    " select path from h where parent = '')"
)
_VISIBLE = (
    "{column} in (select a.object_id from r_objt_access a join r_user_group g on g.group_user_id = a.user_id"
    " where g.user_id = ? and a.access_type_id >= 1050)"
)


@dataclass(frozen=True, slots=True)
class Request:
    """A GenQuery1 request: column numbers with their flags, and conditions by column number."""

    select: list[tuple[int, int]]
    where: list[tuple[int, str]]
    max_rows: int = MAX_ROWS
    continue_index: int = 0
    offset: int = 0
    options: int = 0

    @classmethod
    def parse(cls, node: Node) -> "Request":
        """Read a `GenQueryInp_PI`. Raises -130000 for numbers that are none."""
        selected, conditions = node.child("InxIvalPair_PI"), node.child("InxValPair_PI")
        try:
            select = list(
                zip(map(int, selected.texts("inx")), map(int, selected.texts("ivalue")), strict=True)
            )
            where = list(zip(map(int, conditions.texts("inx")), conditions.texts("svalue"), strict=True))
        except ValueError as error:
            raise IrodsError(Code.SYS_INVALID_INPUT_PARAM) from error
        return cls(
            select,
            where,
            node.number("maxRows"),
            node.number("continueInx"),
            node.number("partialStartIndex"),
            node.number("options"),
        )


def _column(number: int, suffix: str = "") -> tuple[str, str]:
    """Return the alias and the SQL of a column. Raises -823000 for one the catalogue does not have."""
    if number not in COLUMNS:
        raise IrodsError(Code.CAT_UNKNOWN_TABLE)
    alias, column = COLUMNS[number]
    if number == RESOURCE_HIERARCHY:
        return alias, _HIERARCHY
    return alias, f"{alias}{suffix}.{column}"


def condition(column: str, expression: str, parameters: list[object]) -> str:
    """Return the SQL of a condition on a column and append its values to the parameters.

    Raises -816000 for an expression that is none.
    """
    parts = _SPLIT.split(expression.strip())
    sql = [_one_condition(column, parts[0].strip(), parameters)]
    for operator, part in zip(parts[1::2], parts[2::2], strict=True):
        sql.append({"||": "or", "&&": "and"}[operator])
        sql.append(_one_condition(column, part.strip(), parameters))
    return f"({' '.join(sql)})"


def _one_condition(column: str, expression: str, parameters: list[object]) -> str:  # noqa: PLR0911
    if match := _BETWEEN.fullmatch(expression):
        parameters.extend(match.groups())
        return f"{column} between ? and ?"
    if match := _SET.fullmatch(expression):
        values = re.findall(r"'(.*?)'\s*(?:,|$)", match[2].strip(), re.S)
        parameters.extend(values)
        return f"{column} {match[1].lower()} ({', '.join('?' * len(values))})"
    match = _SIMPLE.fullmatch(expression)
    if match is None:
        raise IrodsError(Code.CAT_INVALID_ARGUMENT)
    operator, value = match[1].lower(), match[2]
    if operator == "parent_of":
        # A collection that is above the value: the value begins with it and a slash, or is it.
        parameters.extend((value, value))
        return f"(? = {column} or substr(?, 1, length({column}) + 1) = {column} || '/')"
    parameters.append(value)
    if operator == "begin_of":
        return f"substr(?, 1, length({column})) = {column}"
    if operator in ("like", "not like"):
        return f"{column} {operator} ? escape '\\'"
    if operator.startswith("n"):
        return f"cast({column} as integer) {operator[1:]} cast(? as integer)"
    return f"{column} {operator} ?"


@dataclass(slots=True)
class _Tables:
    """The aliases that a statement uses, joined along the links."""

    used: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    def need(self, alias: str) -> None:
        if alias not in self.used:
            self.used.append(alias)

    def sql(self) -> str:
        joined = {self.used[0]}
        sql = [_aliased(self.used[0])]
        for target in self.used[1:]:
            for alias, on in _path(joined, target):
                sql.append(f"join {_aliased(alias)} on {on}")
                joined.add(alias)
        return " ".join(sql + self.extra)


def _aliased(alias: str) -> str:
    return f"{TABLES[alias]} {alias}" if alias in TABLES else alias


def _path(joined: set[str], target: str) -> Iterable[tuple[str, str]]:
    """Return the aliases to join, with their conditions, to reach a target.

    Raises -825000 when there is no way.
    """
    if target in joined:
        return []
    reached: dict[str, tuple[str, str]] = {}
    frontier = sorted(joined)
    while frontier:
        following: list[str] = []
        for known in frontier:
            for left, left_column, right, right_column in LINKS:
                other = right if left == known else left if right == known else None
                if other is None or other in joined or other in reached:
                    continue
                reached[other] = (known, f"{left}.{left_column} = {right}.{right_column}")
                following.append(other)
        if target in reached:
            break
        frontier = following
    else:
        raise IrodsError(Code.CAT_FAILED_TO_LINK_TABLES)
    steps: list[tuple[str, str]] = []
    while target not in joined:
        previous, on = reached[target]
        steps.append((target, on))
        target = previous
    return reversed(steps)


def _extra_metadata(tables: _Tables, alias: str, occurrence: int) -> str:
    """Join a further AVU of the same object, for the second and later conditions on one column."""
    kind = alias.removeprefix("r_").removesuffix("_meta_main")
    table, key = {
        "data": ("r_data_main", "data_id"),
        "coll": ("r_coll_main", "coll_id"),
        "resc": ("r_resc_main", "resc_id"),
        "user": ("r_user_main", "user_id"),
    }[kind]
    tables.need(table)
    suffix = f"_{occurrence}"
    join = (
        f"join r_objt_metamap m{alias}{suffix} on m{alias}{suffix}.object_id = {table}.{key}"
        f" join r_meta_main {alias}{suffix} on {alias}{suffix}.meta_id = m{alias}{suffix}.meta_id"
    )
    if join not in tables.extra:
        tables.extra.append(join)
    return suffix


def statement(request: Request, client: Client) -> tuple[str, list[object]]:  # noqa: PLR0912
    """Return the SQL and its parameters for a request, limited to what the client may see."""
    if not request.select or len(request.select) > _MAX_COLUMNS:
        raise IrodsError(Code.SYS_INVALID_INPUT_PARAM)
    tables, parameters = _Tables(), list[object]()
    selected, group, order = [], [], []
    for position, (number, flags) in enumerate(request.select, 1):
        alias, column = _column(number)
        tables.need(alias)
        aggregate = _AGGREGATES.get(flags & 0xF)
        selected.append(f"{aggregate}({column})" if aggregate else column)
        if not aggregate:
            group.append(str(position))
        if flags & _ORDER_BY_DESC:
            order.append(f"{position} desc")
        elif flags & _ORDER_BY:
            order.append(str(position))
    conditions = []
    seen: Counter[int] = Counter()
    for number, expression in request.where:
        alias, _ = _column(number)
        tables.need(alias)
        seen[number] += 1
        suffix = ""
        if seen[number] > 1 and alias.endswith("_meta_main"):
            suffix = _extra_metadata(tables, alias, seen[number])
        _, column = _column(number, suffix)
        if request.options & _UPPER_CASE:
            column = f"upper({column})"
        conditions.append(condition(column, expression, parameters))
    joins = tables.sql()
    if not client.admin:
        for table, key in (("r_data_main", "data_id"), ("r_coll_main", "coll_id")):
            if re.search(rf"\b{table}\b", joins):
                conditions.append(_VISIBLE.format(column=f"{table}.{key}"))
                parameters.append(client.user_id)
        if "r_ticket_main" in tables.used:
            conditions.append("r_ticket_main.user_id = ?")
            parameters.append(client.user_id)
    for kind in ("data", "coll"):
        if f"r_{kind}_tokn_accs" in tables.used:
            conditions.append(f"r_{kind}_tokn_accs.token_namespace = 'access_type'")
    sql = "select " if request.options & _NO_DISTINCT else "select distinct "
    sql += f"{', '.join(selected)} from {joins}"
    if conditions:
        sql += f" where {' and '.join(conditions)}"
    if group and len(group) < len(selected):
        sql += f" group by {', '.join(group)}"
    if order:
        sql += f" order by {', '.join(order)}"
    return sql, parameters


@dataclass(slots=True)
class Cursor:
    """The rows of a query that a client has not fetched yet."""

    columns: list[int]
    rows: list[Row]
    position: int
    total: int


class Cursors:
    """One connection's open queries, by the index that the client continues them with."""

    def __init__(self) -> None:
        self._open: dict[int, Cursor] = {}

    def answer(self, tx: Transaction, client: Client, request: Request) -> str:
        """Run or go on with a query and return the packed `GenQueryOut_PI`.

        Raises -808000, with an empty output, when there are no (more) rows.
        """
        index = request.continue_index
        if request.max_rows <= 0:
            self._open.pop(index, None)
            return output([], [], 0, 0)
        if index:
            cursor = self._open.get(index)
            if cursor is None:
                raise IrodsError(Code.CAT_INVALID_ARGUMENT)
        else:
            sql, parameters = statement(request, client)
            rows = tx.rows(sql, parameters)
            total = len(rows) if request.options & _TOTAL_ROW_COUNT else 0
            cursor = Cursor([number for number, _ in request.select], rows, max(request.offset, 0), total)
            index = next(number for number in range(1, len(self._open) + 2) if number not in self._open)
        page = cursor.rows[cursor.position : cursor.position + request.max_rows]
        cursor.position += len(page)
        if not page:
            self._open.pop(index, None)
            raise IrodsError(Code.CAT_NO_ROWS_FOUND, body=output([], [], 0, cursor.total))
        # A full page keeps the query open, even if it was the last one: the client finds out by asking.
        if len(page) == request.max_rows:
            self._open[index] = cursor
        else:
            self._open.pop(index, None)
            index = 0
        return output(cursor.columns, page, index, cursor.total)


_EMPTY_COLUMN = element("SqlResult_PI", leaf("attriInx", 0), leaf("reslen", 0))


def output(columns: list[int], rows: list[Row], continue_index: int, total: int) -> str:
    """Return a packed `GenQueryOut_PI`; the real server always sends fifty columns, empty ones last."""
    packed = []
    for position, number in enumerate(columns):
        values = ["" if row[position] is None else str(row[position]) for row in rows]
        longest = max(map(len, values), default=0) + 1
        width = longest if number == RESOURCE_HIERARCHY else max(_MIN_WIDTH, longest)
        cells = "".join(f"<value>{text(value)}</value>\n" for value in values)
        packed.append(element("SqlResult_PI", leaf("attriInx", number), leaf("reslen", width), cells))
    return element(
        "GenQueryOut_PI",
        leaf("rowCnt", len(rows)),
        leaf("attriCnt", len(columns) if rows else 0),
        leaf("continueInx", continue_index),
        leaf("totalRowCount", total),
        *packed,
        _EMPTY_COLUMN * (_MAX_COLUMNS - len(packed)),
    )
