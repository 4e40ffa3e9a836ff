"""IQuery: what is read by queries. Source: `omero/api/IQuery.ice` and the server's `QueryImpl`."""

import sqlite3

import omero
import omero.all
from omero.rtypes import rbool, rlong, rmap, robject, rstring, rtime, unwrap

from .accounts import Caller
from .errors import ApiUsageFault, Fault
from .hql import ENTITY, FLAG, LONG, PERMISSIONS, TEXT, TIME, Column, Statement, compile_query
from .model import Graph, session_object
from .remote import Remote
from .services import Client, answering, role

_ONE = "select o from {} o where o.id = :id"
_WRAPPED = {
    LONG: rlong,
    TEXT: rstring,
    TIME: rtime,
    FLAG: lambda value: rbool(bool(value)),
    PERMISSIONS: lambda value: rmap({"perm": rstring(value)}),
}


@answering
class IQuery(omero.api.IQuery):  # type: ignore[misc]
    """The service as one client sees it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._parts = client.parts

    @role("user")
    def projection(self, caller: Caller, text: str, parameters: Remote) -> Remote:
        """Rows of values."""
        statement, rows = self._rows(caller, text, parameters)
        things = [
            self._things(column, statement, rows, place) for place, column in enumerate(statement.columns)
        ]
        return [[things[place][key] for place in range(len(things))] for key in range(len(rows))]

    @role("user")
    def findAllByQuery(self, caller: Caller, text: str, parameters: Remote) -> Remote:
        """Objects, each as often as a row has it."""
        statement, rows = self._rows(caller, text, parameters)
        return self._objects(statement, rows)

    @role("user")
    def findByQuery(self, caller: Caller, text: str, parameters: Remote) -> Remote:
        """The one object that there is, or None."""
        statement, rows = self._rows(caller, text, parameters)
        if len({row[0] for row in rows}) > 1:
            raise ApiUsageFault(f"Query named:\n\n\t{text}\n\nhas returned more than one Object")
        return (self._objects(statement, rows) or [None])[0]

    @role("user")
    def get(self, caller: Caller, kind: str, key: int) -> Remote:
        """An object that must be there."""
        found = self.find(caller, kind, key)
        if found is None:
            raise ApiUsageFault(f"The requested object ({kind},{key}) is not available.")
        return found

    @role("user")
    def find(self, caller: Caller, kind: str, key: int) -> Remote:
        """An object, or None."""
        statement, rows = self._run(caller, _ONE.format(kind), {"id": key}, None, None)
        return (self._objects(statement, rows) or [None])[0]

    def _rows(self, caller: Caller, text: str, parameters: Remote) -> tuple[Statement, list[sqlite3.Row]]:
        filtered = parameters.theFilter if parameters else None
        return self._run(
            caller,
            text,
            {name: unwrap(value) for name, value in ((parameters and parameters.map) or {}).items()},
            unwrap(filtered.offset) if filtered else None,
            unwrap(filtered.limit) if filtered else None,
        )

    def _run(
        self, caller: Caller, text: str, values: dict[str, Remote], offset: int | None, limit: int | None
    ) -> tuple[Statement, list[sqlite3.Row]]:
        only = {} if caller.administrator else {"Session": f"{{alias}}.owner = {caller.user}"}
        statement = compile_query(text, values, offset=offset, limit=limit, only=only)
        with self._parts.catalogue.transaction() as transaction:
            return statement, transaction.execute(statement.sql, statement.values).fetchall()

    def _objects(self, statement: Statement, rows: list[sqlite3.Row]) -> list[Remote]:
        column = statement.columns[0]
        if len(statement.columns) > 1 or column.kind != ENTITY:
            raise ApiUsageFault("Queries must return IObjects when using findByQuery.")
        made = self._loaded(column, statement, {row[0] for row in rows})
        return [made[row[0]] for row in rows]

    def _things(
        self, column: Column, statement: Statement, rows: list[sqlite3.Row], place: int
    ) -> list[Remote]:
        values = [row[place] for row in rows]
        if column.kind == ENTITY:
            made = self._loaded(column, statement, set(values))
            return [robject(made[value]) for value in values]
        wrap = _WRAPPED[column.kind]
        return [None if value is None else wrap(value) for value in values]

    def _loaded(self, column: Column, statement: Statement, ids: set[int]) -> dict[int, Remote]:
        graph = Graph(self._parts.catalogue)
        ordered = sorted(ids)
        if column.entity == "Experimenter":
            return dict(zip(ordered, graph.people(ordered, statement.fetched), strict=True))
        if column.entity == "ExperimenterGroup":
            return dict(zip(ordered, graph.groups(ordered, statement.fetched), strict=True))
        if column.entity == "GroupExperimenterMap":
            return dict(zip(ordered, graph.maps(ordered, statement.fetched), strict=True))
        made = {each.id: session_object(each) for each in self._parts.sessions.all() if each.id in ids}
        if set(made) != ids:
            raise Fault("the stand-in gives sessions that have ended as values only, not as objects")
        return made
