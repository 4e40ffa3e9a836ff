"""The database: SQLite with a table per key space, objects as JSON, links between objects in one table.

Many processes may have it open. A read sees one moment; writes come one after the other.
"""

import contextlib
import json
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from . import clock
from .models import MODELS, Model, by_name, family_members
from .models.fields import Ref

Row = dict[str, Any]
#: The key of an object.
Key = int | str

#: Bumped when tables change in a way that an older release cannot read.
SCHEMA = 1
_BUSY_SECONDS = 60.0
_CHUNK = 500


class Conflict(Exception):
    """Another object has a value that must be unique."""


class Missing(Exception):
    """There is no such object."""


def column(field: str) -> str:
    """Return the SQL for a field of an object, for conditions of `Tx.rows`.

    Raises:
        ValueError: the name is no field's.
    """
    if not field.replace("_", "").isalnum():
        raise ValueError(field)
    return field if field == "pk" else f"json_extract(data, '$.{field}')"


def _equal(fields: Mapping[str, object]) -> tuple[str, list[object]]:
    """The condition, with its values, that fields have these values."""
    conditions = " AND ".join(f"{column(name)} IS ?" for name in fields)
    return conditions, [int(value) if isinstance(value, bool) else value for value in fields.values()]


def _families() -> list[Model]:
    return [model for model in MODELS.values() if model.base is None]


class Tx:
    """A transaction: reads, and writes if it was begun for them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    # -- reading ----------------------------------------------------------------------------------------

    def get(self, model: str, pk: Key) -> Row | None:
        """Return the object with a key, of the model or of one that shares its keys."""
        found = self.rows(model, "pk = ?", (pk,))
        return found[0] if found else None

    def require(self, model: str, pk: Key) -> Row:
        """Return the object with a key.

        Raises:
            Missing: there is none.
        """
        row = self.get(model, pk)
        if row is None:
            raise Missing(f"{model} {pk}")
        return row

    def exists(self, model: str, pk: Key) -> bool:
        """Whether an object of a model, or of one that shares its keys, has this key."""
        return self.count(model, "pk = ?", (pk,)) > 0

    def find(self, model: str, **equal: object) -> Row | None:
        """Return the first object whose fields have these values."""
        found = self.rows(model, *_equal(equal), limit=1)
        return found[0] if found else None

    def select(self, model: str, **equal: object) -> list[Row]:
        """Return the objects whose fields have these values."""
        return self.rows(model, *_equal(equal))

    def rows(
        self,
        model: str,
        where: str = "",
        parameters: Sequence[Any] = (),
        *,
        order: Iterable[str] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Row]:
        """Return objects of a model by an SQL condition, ordered by fields (`-name` is descending).

        A model that others share keys with gives those of all. A row has its fields, `pk` and `model`.
        """
        table, condition, values = self._source(model, where, parameters)
        text = f'SELECT pk, model, data FROM "{table}" WHERE {condition}'  # noqa: S608 - names of models
        keys = [f"{column(n.lstrip('-'))} {'DESC' if n.startswith('-') else 'ASC'}" for n in order]
        text += f" ORDER BY {', '.join([*keys, 'rowid'])}"
        if limit is not None:
            text += f" LIMIT {int(limit)} OFFSET {int(offset)}"
        return [
            {"pk": pk, "model": name, **json.loads(data)}
            for pk, name, data in self.connection.execute(text, values)
        ]

    def many(self, model: str, pks: Iterable[Any]) -> dict[Any, Row]:
        """Return objects by their keys."""
        wanted, found = list(dict.fromkeys(pks)), {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            found.update({row["pk"]: row for row in self.rows(model, f"pk IN ({marks})", chunk)})
        return found

    def count(self, model: str, where: str = "", parameters: Sequence[Any] = ()) -> int:
        """Return how many objects of a model meet a condition."""
        table, condition, values = self._source(model, where, parameters)
        text = f'SELECT count(*) FROM "{table}" WHERE {condition}'  # noqa: S608 - names of models
        return int(self.connection.execute(text, values).fetchone()[0])

    def _source(self, model: str, where: str, parameters: Sequence[Any]) -> tuple[str, str, list[Any]]:
        spec = by_name(model)
        condition, values = f"({where})" if where else "1", list(parameters)
        if spec.base is not None:
            condition, values = f"model = ? AND {condition}", [model, *values]
        return spec.family, condition, values

    # -- links ------------------------------------------------------------------------------------------

    def links(self, model: str, field: str, pk: Key) -> list[Any]:
        """Return the keys that a field of links has."""
        return self.links_of(model, field, [pk]).get(pk, [])

    def links_of(self, model: str, field: str, pks: Iterable[Any]) -> dict[Any, list[Any]]:
        """Return the keys that a field of links has in several objects."""
        return self._links("source", "target", f"{by_name(model).family}.{field}", pks)

    def linked_from(self, model: str, field: str, targets: Iterable[Any]) -> dict[Any, list[Any]]:
        """Return, for several keys, the objects of a model whose field of links has them."""
        return self._links("target", "source", f"{by_name(model).family}.{field}", targets)

    def _links(self, known: str, wanted: str, relation: str, keys: Iterable[Any]) -> dict[Any, list[Any]]:
        found: dict[Any, list[Any]] = {}
        keys = list(keys)
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            for key, other in self.connection.execute(
                f"SELECT {known}, {wanted} FROM links WHERE relation = ? AND {known} IN ({marks})"  # noqa: S608
                " ORDER BY id",
                [relation, *chunk],
            ):
                found.setdefault(key, []).append(other)
        return found

    def link(self, model: str, field: str, pk: Key, target: Key) -> None:
        """Add a key to a field of links; again is no change."""
        self.connection.execute(
            "INSERT OR IGNORE INTO links (relation, source, target) VALUES (?, ?, ?)",
            (f"{by_name(model).family}.{field}", pk, target),
        )

    def unlink(self, model: str, field: str, pk: Key, target: Key) -> None:
        """Take a key out of a field of links, if it is there."""
        self.connection.execute(
            "DELETE FROM links WHERE relation = ? AND source = ? AND target = ?",
            (f"{by_name(model).family}.{field}", pk, target),
        )

    def set_links(self, model: str, field: str, pk: Key, targets: Iterable[Any]) -> None:
        """Replace the keys of a field of links."""
        wanted = list(dict.fromkeys(targets))
        have = self.links(model, field, pk)
        for target in have:
            if target not in wanted:
                self.unlink(model, field, pk, target)
        for target in wanted:
            self.link(model, field, pk, target)

    # -- writing ----------------------------------------------------------------------------------------

    def insert(self, model: str, values: Mapping[str, Any]) -> Row:
        """Add an object; fields that are not given have their defaults. Returns it.

        Raises:
            Conflict: a value that must be unique is taken.
        """
        spec = by_name(model)
        unknown = values.keys() - spec.fields.keys() - {"pk"}
        if unknown:
            raise ValueError(f"{model} has no {', '.join(sorted(unknown))}")
        complete = {
            name: values[name] if name in values else field.initial() for name, field in spec.fields.items()
        }
        pk = values.get("pk") or self._next_key(spec)
        self._store(
            f'INSERT INTO "{spec.family}" (model, data, pk) VALUES (?, ?, ?)',  # noqa: S608
            spec,
            complete,
            (model,),
            pk,
        )
        for name in spec.many:
            self.set_links(model, name, pk, cast(Iterable[Key], complete[name]))
        return self.require(model, pk)

    def update(self, model: str, pk: Key, changes: Mapping[str, Any]) -> Row:
        """Change fields of an object. Returns it.

        Raises:
            Conflict: a value that must be unique is taken.
            Missing: there is no such object.
        """
        row = self.require(model, pk)
        spec = by_name(row["model"])
        unknown = changes.keys() - spec.fields.keys()
        if unknown:
            raise ValueError(f"{model} has no {', '.join(sorted(unknown))}")
        data = {name: row.get(name) for name in spec.fields} | dict(changes)
        if "last_updated" in spec.fields:
            data["last_updated"] = clock.now()
        self._store(f'UPDATE "{spec.family}" SET data = ? WHERE pk = ?', spec, data, (), pk)  # noqa: S608
        for name in spec.many.keys() & changes.keys():
            self.set_links(spec.name, name, pk, changes[name])
        return self.require(model, pk)

    def delete(self, model: str, pk: Key) -> None:
        """Remove an object with all that cannot be without it; again is no change."""
        row = self.get(model, pk)
        if row is None:
            return
        family = by_name(model).family
        for spec, name, field in references_to(family):
            for user in self.select(spec.name, **{name: pk}):
                if field.on_delete == "cascade":
                    self.delete(spec.name, user["pk"])
                else:
                    self.update(spec.name, user["pk"], {name: None})
        for spec in MODELS.values():
            for name, many in spec.many.items():
                if by_name(many.to).family == family:
                    self.connection.execute(
                        "DELETE FROM links WHERE relation = ? AND target = ?", (f"{spec.family}.{name}", pk)
                    )
        for name in by_name(row["model"]).many:
            self.connection.execute(
                "DELETE FROM links WHERE relation = ? AND source = ?", (f"{family}.{name}", pk)
            )
        self._delete_bindings(row)
        self.connection.execute(
            'DELETE FROM "authentik_rbac.objectpermission"'
            " WHERE json_extract(data, '$.object_pk') = ? AND json_extract(data, '$.object_model') = ?",
            (str(pk), row["model"]),
        )
        self.connection.execute(f'DELETE FROM "{family}" WHERE pk = ?', (pk,))  # noqa: S608

    def _delete_bindings(self, row: Row) -> None:
        from .models.flows import BINDING, TARGETS

        key = TARGETS.get(by_name(row["model"]).family)
        if key is not None:
            for binding in self.select(BINDING, target=row[key]):
                self.delete(BINDING, binding["pk"])

    def _next_key(self, spec: Model) -> Key:
        if not spec.integer_key:
            return str(uuid.uuid4())
        self.connection.execute(
            "INSERT INTO sequences (family, last) VALUES (?, 1)"
            " ON CONFLICT (family) DO UPDATE SET last = last + 1",
            (spec.family,),
        )
        found = self.connection.execute("SELECT last FROM sequences WHERE family = ?", (spec.family,))
        return int(found.fetchone()[0])

    def _store(
        self, text: str, spec: Model, data: Mapping[str, Any], before: tuple[str, ...], pk: Key
    ) -> None:
        kept = {name: value for name, value in data.items() if name in spec.fields and name not in spec.many}
        try:
            self.connection.execute(text, (*before, json.dumps(kept), pk))
        except sqlite3.IntegrityError as error:
            raise Conflict(str(error)) from error


def references_to(family: str) -> list[tuple[Model, str, Ref]]:
    """Return the fields that name one object of a key space, with their models."""
    return [
        (spec, name, field)
        for spec in MODELS.values()
        if not spec.abstract
        for name, field in spec.references.items()
        if by_name(field.to).family == family
    ]


class Store:
    """The database file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)

    def create(self) -> None:
        """Make tables that are not there yet."""
        connection = self._connection()
        connection.execute("PRAGMA journal_mode = WAL")
        with self.write() as tx:
            for statement in _tables():
                tx.connection.execute(statement)
            tx.connection.execute(f"PRAGMA user_version = {SCHEMA}")

    @contextlib.contextmanager
    def read(self) -> Iterator[Tx]:
        """Open a transaction that reads one moment."""
        with self._transaction("BEGIN") as tx:
            yield tx

    @contextlib.contextmanager
    def write(self) -> Iterator[Tx]:
        """Open a transaction that writes: all of it happens, or with an exception none of it."""
        with self._transaction("BEGIN IMMEDIATE") as tx:
            yield tx

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[Tx]:
        connection = self._connection()
        connection.execute(begin)
        try:
            yield Tx(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
            connection.execute("PRAGMA synchronous = NORMAL")
            self._local.connection = connection
        return connection

    def close_thread(self) -> None:
        """Close this thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None


def _tables() -> Iterator[str]:
    yield "CREATE TABLE IF NOT EXISTS sequences (family TEXT PRIMARY KEY, last INTEGER NOT NULL)"
    yield "CREATE TABLE IF NOT EXISTS workers (name TEXT PRIMARY KEY, seen TEXT NOT NULL)"
    yield (
        "CREATE TABLE IF NOT EXISTS links (id INTEGER PRIMARY KEY, relation TEXT NOT NULL, source NOT NULL,"
        " target NOT NULL, UNIQUE (relation, source, target))"
    )
    yield "CREATE INDEX IF NOT EXISTS links_backwards ON links (relation, target)"
    for family in _families():
        kind = "INTEGER" if family.integer_key else "TEXT"
        yield (
            f'CREATE TABLE IF NOT EXISTS "{family.name}"'
            f" (pk {kind} PRIMARY KEY, model TEXT NOT NULL, data TEXT NOT NULL)"
        )
        for model in [family, *family_members(family.name)]:
            yield from _indexes(family, model)


def _indexes(family: Model, model: Model) -> Iterator[str]:
    only = f" WHERE model = '{model.name}'"
    for name, field in model.fields.items():
        if field.unique:
            yield (
                f'CREATE UNIQUE INDEX IF NOT EXISTS "{model.name}.{name}" ON "{family.name}"'
                f" ({column(name)}){only if model.base else ''}"
            )
        elif field.indexed or isinstance(field, Ref):
            yield f'CREATE INDEX IF NOT EXISTS "{model.name}.{name}" ON "{family.name}" ({column(name)})'
    for names in model.unique_together:
        columns = ", ".join(column(name) for name in names)
        yield (
            f'CREATE UNIQUE INDEX IF NOT EXISTS "{model.name}.{"+".join(names)}" ON "{family.name}"'
            f" ({columns}){only if model.base else ''}"
        )
