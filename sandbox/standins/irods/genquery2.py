"""GenQuery2: a parser for its query language and the SQL it becomes.

The joins are those of iRODS 5.0.2, with their known effect that a query which touches collections or data
objects has a row for every user, group member included, that may access the object.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .access import Client
from .catalogue import Transaction
from .columns2 import COLUMNS, RESOURCE_HIERARCHY, mappings
from .errors import Code, IrodsError

DEFAULT_LIMIT = 256

_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|([A-Za-z_][A-Za-z0-9_]*)|(\d+)|(<>|!=|<=|>=|[=<>(),*]))")
_NUMBERED = re.compile(r"\\x([0-9A-Fa-f]{2})")
_FUNCTIONS = ("count", "sum", "avg", "min", "max", "lower", "upper", "length")
_AGGREGATES = ("count", "sum", "avg", "min", "max")

_JOINS = [
    ("R_COLL_MAIN", "coll_id", "R_DATA_MAIN", "coll_id"),
    ("R_DATA_MAIN", "resc_id", "R_RESC_MAIN", "resc_id"),
    ("R_USER_MAIN", "user_id", "R_USER_AUTH", "user_id"),
    ("R_USER_MAIN", "user_id", "R_USER_GROUP", "group_user_id"),
]
_METADATA = {
    "META_DATA_": ("md", "R_DATA_MAIN", "data_id"),
    "META_COLL_": ("mc", "R_COLL_MAIN", "coll_id"),
    "META_RESC_": ("mr", "R_RESC_MAIN", "resc_id"),
    "META_USER_": ("mu", "R_USER_MAIN", "user_id"),
}
_ACCESS = {"DATA_ACCESS_": ("pd", "R_DATA_MAIN", "data_id"), "COLL_ACCESS_": ("pc", "R_COLL_MAIN", "coll_id")}
_HIERARCHY = (
    "(with recursive h(parent, path) as (select resc_parent, resc_name from R_RESC_MAIN"
    " where resc_id = {alias}.resc_id union all select r.resc_parent, r.resc_name || ';' || h.path"
    " from h join R_RESC_MAIN r on h.parent <> '' and r.resc_id = cast(h.parent as integer))"
    " select path from h where parent = '')"
)


def _syntax_error() -> IrodsError:
    return IrodsError(Code.SYS_LIBRARY_ERROR)


def _tokens(query: str) -> Iterator[str]:
    position = 0
    stripped = query.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise _syntax_error()
        position = match.end()
        yield match[0].strip()


@dataclass(slots=True)
class _Builder:
    """Collects tables, joins and values while the query is parsed, in the order in which they appear."""

    aliases: dict[str, str] = field(default_factory=dict)
    metadata: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)
    unknown: bool = False

    def table(self, name: str) -> str:
        return self.aliases.setdefault(name, f"t{len(self.aliases)}")

    def column(self, name: str) -> str:
        """Return the SQL of a column. An unknown one is only noted: errors of syntax come first."""
        if name not in COLUMNS:
            self.unknown = True
            return name
        table, column = COLUMNS[name]
        if name == RESOURCE_HIERARCHY:
            return _HIERARCHY.format(alias=self.table("R_DATA_MAIN"))
        for prefix, (alias, owner, _) in _METADATA.items():
            if name.startswith(prefix):
                self.table(owner)
                if prefix not in self.metadata:
                    self.metadata.append(prefix)
                return f"{alias}.{column}"
        for prefix, (alias, owner, _) in _ACCESS.items():
            if name.startswith(prefix) and name != "DATA_ACCESS_TIME":
                self.table(owner)
                kind = {"R_TOKN_MAIN": "t", "R_USER_MAIN": "u"}.get(table, "oa")
                return f"{alias}{kind}.{column}"
        return f"{self.table(table)}.{column}"

    def joins(self, *, admin: bool) -> str:
        """Return the from clause. Raises -130000 when the tables cannot be linked."""
        names = list(self.aliases)
        joined = [names[0]]
        sql = [f"from {names[0]} {self.aliases[names[0]]}"]
        waiting = names[1:]
        while waiting:
            step = next(
                ((name, link) for name in waiting for link in _JOINS if _links(link, name, joined)), None
            )
            if step is None:
                # The only two tables that are linked through a third.
                if "R_DATA_MAIN" in joined + waiting:
                    raise IrodsError(Code.SYS_INVALID_INPUT_PARAM)
                waiting.append("R_DATA_MAIN")
                self.table("R_DATA_MAIN")
                continue
            name, (left, left_key, right, right_key) = step
            on = f"{self.aliases[left]}.{left_key} = {self.aliases[right]}.{right_key}"
            sql.append(f"inner join {name} {self.aliases[name]} on {on}")
            joined.append(name)
            waiting.remove(name)
        for prefix in self.metadata:
            alias, owner, key = _METADATA[prefix]
            sql.append(
                f"left join R_OBJT_METAMAP o{alias} on {self.aliases[owner]}.{key} = o{alias}.object_id"
                f" left join R_META_MAIN {alias} on o{alias}.meta_id = {alias}.meta_id"
            )
        kind = "left" if admin else "inner"
        for alias, owner, key in _ACCESS.values():
            if owner in self.aliases:
                sql.append(
                    f"{kind} join R_OBJT_ACCESS {alias}oa"
                    f" on {self.aliases[owner]}.{key} = {alias}oa.object_id"
                    f" {kind} join R_TOKN_MAIN {alias}t on {alias}oa.access_type_id = {alias}t.token_id"
                    f" {kind} join R_USER_GROUP {alias}ug on {alias}oa.user_id = {alias}ug.group_user_id"
                    f" {kind} join R_USER_MAIN {alias}u on {alias}ug.user_id = {alias}u.user_id"
                )
        return " ".join(sql)

    def visibility(self, client: Client) -> list[str]:
        """Return the conditions that keep a user to what it may read."""
        conditions = []
        for alias, owner, _ in _ACCESS.values():
            if owner in self.aliases:
                conditions.append(f"{alias}u.user_id = ? and {alias}oa.access_type_id >= 1050")
                self.values.append(client.user_id)
        return conditions


def _links(link: tuple[str, str, str, str], name: str, joined: list[str]) -> bool:
    left, _, right, _ = link
    return (left == name and right in joined) or (right == name and left in joined)


class _Parser:
    """Recursive descent over the tokens of one query."""

    def __init__(self, query: str) -> None:
        self._tokens = list(_tokens(query))
        self._next = 0
        self.builder = _Builder()

    def _peek(self) -> str:
        return self._tokens[self._next].lower() if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        if self._next >= len(self._tokens):
            raise _syntax_error()
        self._next += 1
        return self._tokens[self._next - 1]

    def _accept(self, *words: str) -> bool:
        following = [token.lower() for token in self._tokens[self._next : self._next + len(words)]]
        if following != list(words):
            return False
        self._next += len(words)
        return True

    def _expect(self, *words: str) -> None:
        if not self._accept(*words):
            raise _syntax_error()

    def _literal(self) -> str:
        token = self._take()
        if not token.startswith("'"):
            raise _syntax_error()
        return _NUMBERED.sub(lambda found: chr(int(found[1], 16)), token[1:-1].replace("''", "'"))

    def _number(self) -> int:
        token = self._take()
        if not token.isdigit():
            raise _syntax_error()
        return int(token)

    def _expression(self) -> tuple[str, bool]:
        """Return the SQL of a column or function and whether it aggregates."""
        token = self._take()
        if token.lower() in _FUNCTIONS and self._accept("("):
            distinct = "distinct " if self._accept("distinct") else ""
            inner, _ = self._expression()
            self._expect(")")
            return f"{token.lower()}({distinct}{inner})", token.lower() in _AGGREGATES
        if not re.fullmatch(r"[A-Za-z_]\w*", token):
            raise _syntax_error()
        return self.builder.column(token.upper()), False

    def _list(self) -> list[str]:
        found = [self._expression()[0]]
        while self._accept(","):
            found.append(self._expression()[0])
        return found

    def _disjunction(self) -> str:
        sql = self._conjunction()
        while self._accept("or"):
            sql = f"{sql} or {self._conjunction()}"
        return sql

    def _conjunction(self) -> str:
        sql = self._condition()
        while self._accept("and"):
            sql = f"{sql} and {self._condition()}"
        return sql

    def _condition(self) -> str:  # noqa: PLR0911 - one form of condition each
        if self._accept("not"):
            return f"not {self._condition()}"
        if self._accept("("):
            sql = self._disjunction()
            self._expect(")")
            return f"({sql})"
        column, _ = self._expression()
        negation = "not " if self._accept("not") else ""
        operator = self._take().lower()
        if operator == "like":
            self.builder.values.append(self._literal())
            return f"{column} {negation}like ? escape '\\'"
        if operator == "in":
            self._expect("(")
            values = [self._literal()]
            while self._accept(","):
                values.append(self._literal())
            self._expect(")")
            self.builder.values += values
            return f"{column} {negation}in ({', '.join('?' * len(values))})"
        if operator == "between":
            self.builder.values.append(self._literal())
            self._expect("and")
            self.builder.values.append(self._literal())
            return f"{column} {negation}between ? and ?"
        if operator == "is" and not negation:
            negation = "not " if self._accept("not") else ""
            self._expect("null")
            return f"{column} is {negation}null"
        if operator not in ("=", "!=", "<>", "<", "<=", ">", ">=") or negation:
            raise _syntax_error()
        self.builder.values.append(self._literal())
        return f"{column} {operator} ?"

    def parse(self, client: Client) -> tuple[str, int, int]:
        """Return the SQL without its limit, the limit and the offset."""
        self._expect("select")
        distinct = "distinct " if self._accept("distinct") else ""
        columns = self._list()
        conditions = [self._disjunction()] if self._accept("where") else []
        tail = ""
        if self._accept("group", "by"):
            tail += f" group by {', '.join(self._list())}"
        if self._accept("order", "by"):
            terms = []
            while True:
                term, _ = self._expression()
                direction = " desc" if self._accept("desc") else " asc" if self._accept("asc") else ""
                terms.append(term + direction)
                if not self._accept(","):
                    break
            tail += f" order by {', '.join(terms)}"
        limit, offset = DEFAULT_LIMIT, 0
        while self._peek():
            if self._accept("limit"):
                limit = self._number()
            elif self._accept("offset"):
                offset = self._number()
            elif self._accept("fetch", "first"):
                limit = self._number()
                self._expect("rows", "only")
            else:
                raise _syntax_error()
        if self.builder.unknown:
            raise IrodsError(Code.SYS_INVALID_INPUT_PARAM)
        joins = self.builder.joins(admin=client.admin)
        if not client.admin:
            conditions = [f"({sql})" for sql in conditions] + self.builder.visibility(client)
        where = f" where {' and '.join(conditions)}" if conditions else ""
        return f"select {distinct}{', '.join(columns)} {joins}{where}{tail}", limit, offset


def answer(tx: Transaction, client: Client, query: str, *, sql_only: bool, column_mappings: bool) -> str:
    """Return the text of the answer: JSON rows, the SQL, or the column mappings.

    Raises -167000 for a query that cannot be parsed and -130000 for an unknown column.
    """
    if column_mappings:
        return json.dumps(mappings(), separators=(",", ":"))
    parser = _Parser(query)
    sql, limit, offset = parser.parse(client)
    skip = f" offset {offset}" if offset else ""
    if sql_only:
        return f"{sql}{skip} fetch first {limit} rows only"
    rows = tx.rows(f"{sql} limit {limit}{skip}", parser.builder.values)
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    return json.dumps(texts, separators=(",", ":"), ensure_ascii=False)
