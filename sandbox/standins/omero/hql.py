"""The part of the query language HQL that is understood, as SQL of the catalogue.

`select PATHS | select [distinct] ALIAS from Entity [as] alias
[[left [outer] | inner] join [fetch] path [as] alias]… [where comparison [and comparison]…]
[order by path [asc | desc], …]`, with named parameters. All else is refused.
Source of entities and their fields: OMERO's model (`ome.model.meta`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .errors import ApiUsageFault

TEXT, LONG, FLAG, TIME, PERMISSIONS, ENTITY = "text", "long", "flag", "time", "permissions", "entity"


@dataclass(frozen=True)
class Entity:
    """A class of OMERO's model: its fields by name (column, kind), what it refers to, and its collections."""

    table: str
    fields: Mapping[str, tuple[str, str]]
    references: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    collections: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def _fields(long: str = "", text: str = "", flag: str = "", time: str = "") -> dict[str, tuple[str, str]]:
    kinds = ((LONG, f"id {long}"), (TEXT, text), (FLAG, flag), (TIME, time))
    return {name: (name.lower(), kind) for kind, names in kinds for name in names.split()}


ENTITIES: Mapping[str, Entity] = {
    "Experimenter": Entity(
        "experimenter",
        _fields(text="omeName firstName middleName lastName email institution", flag="ldap"),
        collections={"groupExperimenterMap": ("GroupExperimenterMap", "child")},
    ),
    "ExperimenterGroup": Entity(
        "experimentergroup",
        {
            **_fields(text="name description", flag="ldap"),
            "details.permissions": ("permissions", PERMISSIONS),
        },
        collections={"groupExperimenterMap": ("GroupExperimenterMap", "parent")},
    ),
    "GroupExperimenterMap": Entity(
        "groupexperimentermap",
        _fields(flag="owner"),
        references={"parent": ("parent", "ExperimenterGroup"), "child": ("child", "Experimenter")},
    ),
    "Session": Entity(
        "session",
        _fields(
            long="timeToIdle timeToLive",
            text="uuid userAgent userIP message defaultEventType",
            time="started closed",
        ),
        references={"owner": ("owner", "Experimenter"), "sudoer": ("sudoer", "Experimenter")},
    ),
}


@dataclass(frozen=True)
class Column:
    """One value of a row: its SQL expression, its kind, and the entity when it is one."""

    sql: str
    kind: str
    entity: str = ""


@dataclass(frozen=True)
class Statement:
    """A query that can be run: the statement, its values, and what its columns are."""

    sql: str
    values: tuple[object, ...]
    columns: tuple[Column, ...]
    fetched: frozenset[str]
    """The paths that are fetched with the entity, such as `groupExperimenterMap.parent`."""


_TOKEN = re.compile(r"\s*(?:(:\w+)|(\w+(?:\.\w+)*)|('(?:[^']|'')*')|(<=|>=|<>|!=|[=<>(),*]))")
_WORDS = {
    "select",
    "distinct",
    "from",
    "as",
    "left",
    "outer",
    "inner",
    "join",
    "fetch",
    "where",
    "and",
    "order",
}
_WORDS |= {"by", "asc", "desc", "is", "not", "null", "in", "like", "true", "false"}
_FLAGS = {"true": "1", "false": "0"}
_OPERATORS = {"=", "!=", "<>", "<", ">", "<=", ">=", "like"}


def compile_query(
    text: str,
    parameters: Mapping[str, object],
    *,
    offset: int | None = None,
    limit: int | None = None,
    only: Mapping[str, str] | None = None,
) -> Statement:
    """Translate a query. `only` narrows an entity by a condition on its table. Raises ApiUsageFault."""
    return _Reader(text, parameters, only or {}).statement(offset, limit)


def _tokens(text: str) -> list[str]:
    found, position = [], 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise ApiUsageFault(f"unexpected char at {stripped[position:].strip()[:20]!r} [{text}]")
        found.append(match.group().strip())
        position = match.end()
    return found


def _table(alias: str) -> str:
    """The name that SQL gets: an alias may be one of SQL's own words, such as `group`."""
    return f"q_{alias}"


class _Reader:
    def __init__(self, text: str, parameters: Mapping[str, object], only: Mapping[str, str]) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._position = 0
        self._parameters = parameters
        self._only = only
        self._used: set[str] = set()
        self._aliases: dict[str, str] = {}
        self._tables: dict[str, str] = {}
        self._joins: list[str] = []
        self._implicit: dict[str, str] = {}
        self._fetched: dict[str, str] = {}
        self._values: list[object] = []

    def statement(self, offset: int | None, limit: int | None) -> Statement:
        self._expect("select")
        distinct = self._take("distinct")
        paths = self._paths()
        self._expect("from")
        root = self._entity()
        while self._peek() in ("left", "inner", "join"):
            self._join(root)
        conditions = self._conditions() if self._take("where") else []
        order = self._order() if self._peek() == "order" else []
        if self._peek():
            raise self._refused(f"the stand-in does not understand {self._peek()!r} here")
        if unknown := set(self._parameters) - self._used:
            raise self._refused(f"could not locate named parameter [{sorted(unknown)[0]}]")
        columns = tuple(self._column(path) for path in paths)
        for alias, entity in self._tables.items():
            if entity in self._only:
                conditions.append(self._only[entity].format(alias=alias))
        sql = f"select {'distinct ' if distinct else ''}{', '.join(column.sql for column in columns)}"
        sql += f" from {ENTITIES[self._aliases[root]].table} {_table(root)} {' '.join(self._joins)}"
        sql += f" where {' and '.join(conditions)}" if conditions else ""
        sql += f" order by {', '.join(order)}" if order else ""
        if offset is not None or limit is not None:
            sql += f" limit {-1 if limit is None else int(limit)} offset {int(offset or 0)}"
        return Statement(sql, tuple(self._values), columns, frozenset(self._fetched.values()))

    def _refused(self, reason: str) -> ApiUsageFault:
        return ApiUsageFault(f"{reason} [{self._text}]")

    def _peek(self) -> str:
        token = self._tokens[self._position] if self._position < len(self._tokens) else ""
        return token.lower() if token.lower() in _WORDS else token

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise self._refused("unexpected end of query")
        self._position += 1
        return token

    def _take(self, word: str) -> bool:
        taken = self._peek() == word
        self._position += taken
        return taken

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._refused(f"the stand-in expects {word!r}, not {self._peek()!r}")

    def _name(self) -> str:
        name = self._next()
        if name in _WORDS or not re.fullmatch(r"\w+(\.\w+)*", name):
            raise self._refused(f"unexpected token: {name}")
        return name

    def _paths(self) -> list[str]:
        paths = [self._name()]
        while self._take(","):
            paths.append(self._name())
        return paths

    def _alias(self) -> str:
        self._take("as")
        alias = self._name()
        if "." in alias or alias in self._aliases:
            raise self._refused(f"not an alias that is free: {alias}")
        return alias

    def _entity(self) -> str:
        name = self._name().rpartition(".")[2]
        if name not in ENTITIES:
            raise self._refused(f"{name} is not mapped")
        alias = self._alias()
        self._aliases[alias] = self._tables[_table(alias)] = name
        return alias

    def _join(self, root: str) -> None:
        kind = "left join" if self._take("left") else "join"
        self._take("outer")
        self._take("inner")
        self._expect("join")
        fetch = self._take("fetch")
        owner, _, name = self._name().rpartition(".")
        if owner not in self._aliases:
            raise self._refused(f"could not resolve property: {owner}.{name}")
        alias = self._alias()
        entity = ENTITIES[self._aliases[owner]]
        if name in entity.collections:
            target, back = entity.collections[name]
            on = f"{_table(alias)}.{ENTITIES[target].references[back][0]} = {_table(owner)}.id"
        elif name in entity.references:
            column, target = entity.references[name]
            on = f"{_table(alias)}.id = {_table(owner)}.{column}"
        else:
            raise self._refused(f"could not resolve property: {name} of: {self._aliases[owner]}")
        self._aliases[alias] = self._tables[_table(alias)] = target
        self._joins.append(f"{kind} {ENTITIES[target].table} {_table(alias)} on {on}")
        if fetch:
            before = "" if owner == root else f"{self._fetched.get(owner, owner)}."
            self._fetched[alias] = before + name

    def _column(self, path: str) -> Column:
        """The column that a path names. What it passes on the way is joined."""
        alias, *names = path.split(".")
        if alias not in self._aliases:
            raise self._refused(f"could not resolve alias: {alias}")
        name, alias = self._aliases[alias], _table(alias)
        while names:
            entity = ENTITIES[name]
            rest = ".".join(names)
            if rest in entity.fields:
                column, kind = entity.fields[rest]
                return Column(f"{alias}.{column}", kind)
            if names[0] not in entity.references:
                raise self._refused(f"could not resolve property: {rest} of: ome.model.meta.{name}")
            column, target = entity.references[names.pop(0)]
            if names == ["id"]:
                return Column(f"{alias}.{column}", LONG)
            key = f"{alias}.{column}"
            if key not in self._implicit:
                self._implicit[key] = made = f"implicit_{len(self._implicit)}"
                self._joins.append(f"join {ENTITIES[target].table} {made} on {made}.id = {key}")
                self._tables[made] = target
            alias, name = self._implicit[key], target
        return Column(f"{alias}.id", ENTITY, name)

    def _conditions(self) -> list[str]:
        found = [self._condition()]
        while self._take("and"):
            found.append(self._condition())
        return found

    def _condition(self) -> str:
        left = self._column(self._name()).sql
        if self._take("is"):
            negated = self._take("not")
            self._expect("null")
            return f"{left} is {'not ' if negated else ''}null"
        negated = self._take("not")
        if self._take("in"):
            return f"{left} {'not ' if negated else ''}in {self._list()}"
        operator = self._next()
        if negated or operator not in _OPERATORS:
            raise self._refused(f"the stand-in does not understand {operator!r} here")
        return f"{left} {operator} {self._operand()}"

    def _list(self) -> str:
        bracketed = self._take("(")
        name = self._next()
        if bracketed:
            self._expect(")")
        values = self._parameter(name)
        if not isinstance(values, Sequence) or isinstance(values, str):
            raise self._refused(f"the parameter {name} is no list")
        self._values += values
        return f"({', '.join('?' * len(values))})"

    def _operand(self) -> str:
        token = self._next()
        if token.startswith(":"):
            self._values.append(self._parameter(token))
            return "?"
        if token.startswith("'"):
            self._values.append(token[1:-1].replace("''", "'"))
            return "?"
        if token in _FLAGS:
            return _FLAGS[token]
        if token.isdigit():
            return token
        if token in _WORDS or not re.fullmatch(r"\w+(\.\w+)*", token):
            raise self._refused(f"unexpected token: {token}")
        return self._column(token).sql

    def _parameter(self, token: str) -> object:
        name = token.removeprefix(":")
        if not token.startswith(":") or name not in self._parameters:
            raise self._refused(f"Not all named parameters have been set: [{name}]")
        self._used.add(name)
        return self._parameters[name]

    def _order(self) -> list[str]:
        self._expect("order")
        self._expect("by")
        found = []
        while True:
            path = self._column(self._name()).sql
            found.append(path + (" desc" if self._take("desc") else ""))
            self._take("asc")
            if not self._take(","):
                return found
