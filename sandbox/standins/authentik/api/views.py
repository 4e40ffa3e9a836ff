"""What all models answer alike: lists with filters and pages, single objects, and changes of them."""

import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import cleaning, clock, effects, events
from ..http import NO_CONTENT, Answer, Call, Handler, Route, at, denied, invalid, refuse, route
from ..models import MODELS, Model, by_name
from ..models.fields import Bool, Choice, Int, Invalid, Many, Ref, Time, Uuid
from ..store import Conflict, Key, Row, Tx, column

Represent = Callable[[Call, list[Row]], list[dict[str, Any]]]
Filter = Callable[[Call, list[str]], tuple[str, list[Any]] | None]
_LOOKUPS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def unchanged(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Check nothing more."""
    return cleaned


def nothing(call: Call, row: Row) -> None:
    """Do nothing more."""


@dataclass(frozen=True, kw_only=True)
class Views:
    """The paths of one model."""

    model: Model
    path: str
    represent: Represent
    methods: tuple[str, ...] = ("list", "create", "retrieve", "update", "destroy", "used_by")
    filters: Mapping[str, Filter] = field(default_factory=dict)
    filter_fields: tuple[str, ...] = ()
    scope: Filter | None = None
    """Which objects the caller is shown, where that is not a matter of permissions."""
    validate: Callable[[Call, Row | None, dict[str, Any]], dict[str, Any]] = unchanged
    after_create: Callable[[Call, Row], None] = nothing
    create_freely: bool = False
    """Whether everybody may make one."""
    owner_field: str = ""
    """The field that names who may change it without a permission."""

    # -- paths ------------------------------------------------------------------------------------------

    def routes(self, *extra: Route) -> list[Route]:
        """Return the routes, those of further actions first."""
        many: dict[str, Handler] = {}
        one: dict[str, Handler] = {}
        if "list" in self.methods:
            many["get"] = self.list
        if "create" in self.methods:
            many["post"] = self.create
        if "retrieve" in self.methods:
            one["get"] = self.retrieve
        if "update" in self.methods:
            one |= {"put": self.put, "patch": self.patch}
        if "destroy" in self.methods:
            one["delete"] = self.destroy
        found = [*extra]
        if "used_by" in self.methods:
            found.append(route(f"{self.path}/{{pk}}/used_by/", get=self.used_by))
        if many:
            found.append(at(f"{self.path}/", many))
        return [*found, at(f"{self.path}/{{pk}}/", one)]

    # -- finding ----------------------------------------------------------------------------------------

    def visible(self, call: Call) -> tuple[str, list[Any]]:
        """Return the condition of what the caller may see.

        Raises:
            ApiError: nothing at all, and not as an empty list either.
        """
        if self.scope is not None:
            return self.scope(call, []) or ("1", [])
        permission = self.model.permission("view")
        if call.rights.has(permission):
            return "1", []
        keys = call.rights.keys(permission)
        if not keys and call.caller["type"] != "internal_service_account":
            denied()
        return f"CAST(pk AS TEXT) IN ({','.join('?' * len(keys))})", list(keys)

    def one(self, call: Call, permission: str = "", *, anyone: bool = False) -> Row:
        """Return the object that the path names.

        Raises:
            ApiError: there is none, or none that the caller may see, or do this to.
        """
        where, values = ("1", []) if permission or anyone else self.visible(call)
        name = self.model.lookup if self.model.lookup != self.model.key else "pk"
        text = call.parameters["pk"]
        key = key_of(self.model, text) if name == "pk" else text
        found = call.tx.rows(self.model.name, f"{where} AND {column(name)} = ?", [*values, key])
        if not found:
            refuse(404, f"No {self.model.title.replace(' ', '')} matches the given query.")
        if permission and not self._may(call, permission, found[0]):
            denied()
        return found[0]

    def _may(self, call: Call, permission: str, row: Row) -> bool:
        owner = self.owner_field and row[self.owner_field] == call.caller["pk"]
        return bool(owner) or call.rights.has_on(permission, row["pk"])

    def conditions(self, call: Call) -> tuple[str, list[Any]]:
        """Return the SQL of the query's filters.

        Raises:
            ApiError: a filter's value is none.
        """
        where, values = self.visible(call)
        parts = [where]
        for name, given in call.query.items():
            made = self._condition(call, name, given)
            if made is not None:
                parts.append(f"({made[0]})")
                values = [*values, *made[1]]
        return " AND ".join(parts), values

    def _condition(self, call: Call, name: str, given: list[str]) -> tuple[str, list[Any]] | None:
        if name in self.filters:
            return self.filters[name](call, given)
        if name == "search":
            return self._search(given[-1])
        base, _, lookup = name.partition("__")
        if name in self.filter_fields or (base in self.filter_fields and lookup in {*_LOOKUPS, "isnull"}):
            return field_filter(self.model, base, lookup, given)
        return None

    def _search(self, text: str) -> tuple[str, list[Any]] | None:
        parts, values = [], []
        for word in text.split():
            tests = [f"instr(lower(CAST({column(name)} AS TEXT)), lower(?))" for name in self.model.search]
            parts.append(f"({' OR '.join(tests)})")
            values += [word] * len(tests)
        return (" AND ".join(parts), values) if parts else None

    def _order(self, call: Call) -> list[str]:
        names = {"pk", *self.model.fields} - self.model.many.keys()
        wanted = [name for name in call.value("ordering").split(",") if name.lstrip("-") in names]
        return wanted or list(self.model.ordering)

    # -- methods ----------------------------------------------------------------------------------------

    def list(self, call: Call) -> Answer:
        """Answer a page of objects."""
        where, values = self.conditions(call)
        count = call.tx.count(self.model.name, where, values)
        page = Page.of(call, count)
        rows = call.tx.rows(
            self.model.name, where, values, order=self._order(call), limit=page.size, offset=page.start
        )
        return Answer(page.body(self.represent(call, rows)))

    def retrieve(self, call: Call) -> Answer:
        """Answer one object."""
        return Answer(self.represent(call, [self.one(call)])[0])

    def create(self, call: Call) -> Answer:
        """Make an object."""
        if not self.create_freely and not call.rights.has(self.model.permission("add")):
            denied()
        row = self.make(call, call.data)
        return Answer(self.represent(call, [row])[0], 201)

    def make(self, call: Call, data: Mapping[str, Any]) -> Row:
        """Check values and make an object of them."""
        cleaned = self.validate(call, None, self._clean(call, data, None, partial=False))
        try:
            row = call.tx.insert(self.model.name, cleaned)
        except Conflict:
            invalid({"non_field_errors": ["The fields must make a unique set."]})
        self.after_create(call, row)
        effects.saved(call.tx, row)
        events.model_changed(call.tx, "model_created", row, call.caller, call.client_ip)
        return row

    def put(self, call: Call) -> Answer:
        """Replace an object's fields; links that are not given are emptied."""
        return self._change(call, partial=False)

    def patch(self, call: Call) -> Answer:
        """Change some of an object's fields."""
        return self._change(call, partial=True)

    def _change(self, call: Call, *, partial: bool) -> Answer:
        self.one(call)
        row = self.one(call, self.model.permission("change"))
        cleaned = self._clean(call, call.data, row, partial=partial)
        cleaned = self.validate(call, row, cleaned)
        if cleaned:
            effects.saved(call.tx, call.tx.update(self.model.name, row["pk"], cleaned))
        row = call.tx.require(self.model.name, row["pk"])
        events.model_changed(call.tx, "model_updated", row, call.caller, call.client_ip)
        return Answer(self.represent(call, [row])[0])

    def _clean(
        self, call: Call, data: Mapping[str, Any], row: Row | None, *, partial: bool
    ) -> dict[str, Any]:
        try:
            cleaned = cleaning.clean(call.tx, self.model, data, instance=row, partial=partial)
        except Invalid as error:
            invalid(error.detail)
        if not partial and row is not None:
            emptied: dict[str, list[Key]] = {"users": [], "groups": []}
            cleaned = {
                k: v for k, v in emptied.items() if k in self.model.many and k not in cleaned
            } | cleaned
        return cleaned

    def destroy(self, call: Call) -> Answer:
        """Delete an object."""
        self.one(call)
        row = self.one(call, self.model.permission("delete"))
        effects.deleting(call.tx, row)
        call.tx.delete(self.model.name, row["pk"])
        events.model_changed(call.tx, "model_deleted", row, call.caller, call.client_ip)
        return NO_CONTENT

    def used_by(self, call: Call) -> Answer:
        """Answer what names an object."""
        return Answer(users_of(call.tx, self.one(call)))


def key_of(model: Model, text: str) -> Key:
    """Return a path's text as a model's key.

    Raises:
        ApiError: it can be none.
    """
    try:
        return int(text) if model.integer_key else str(uuid.UUID(text))
    except ValueError:
        refuse(404, "Not found.")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list."""

    number: int
    size: int
    count: int

    @classmethod
    def of(cls, call: Call, count: int) -> "Page":
        """Return the page that a request asks for.

        Raises:
            ApiError: there is no such page.
        """
        settings = call.tx.find("authentik_core.settings") or {}
        size = int(settings.get("pagination_default_page_size", 20))
        wanted = call.value("page_size")
        if wanted.isdigit() and int(wanted) > 0:
            size = min(int(wanted), int(settings.get("pagination_max_page_size", 100)))
        page = cls(1, size, count)
        number = call.value("page", "1")
        if number == "last":
            return cls(page.total, size, count)
        if not number.lstrip("-").isdigit() or not 1 <= int(number) <= page.total:
            refuse(404, "Invalid page.")
        return cls(int(number), size, count)

    @property
    def total(self) -> int:
        """How many pages there are."""
        return max(1, math.ceil(self.count / self.size))

    @property
    def start(self) -> int:
        """How many objects come before."""
        return (self.number - 1) * self.size

    def body(self, results: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the answer with a page's objects."""
        return {
            "pagination": {
                "next": self.number + 1 if self.number < self.total else 0,
                "previous": self.number - 1,
                "count": self.count,
                "current": self.number,
                "total_pages": self.total,
                "start_index": self.start + 1 if self.count else 0,
                "end_index": min(self.start + self.size, self.count),
            },
            "results": results,
            "autocomplete": {},
        }


def field_filter(  # noqa: PLR0911 - one case for each kind of field
    model: Model, name: str, lookup: str, given: list[str]
) -> tuple[str, list[Any]] | None:
    """Return the condition of a filter on a field; a value that is not of its kind may be passed over.

    Raises:
        ApiError: it refuses.
    """
    kind = model.fields.get(name)
    text = given[-1]
    if text == "":
        return None
    expression = column("pk" if name == model.key else name)
    if lookup == "isnull":
        return f"{expression} IS {'NOT ' if text.lower() == 'false' else ''}NULL", []
    if isinstance(kind, Bool):
        return (f"{expression} = ?", [text.lower() == "true"]) if text.lower() in ("true", "false") else None
    if isinstance(kind, Time):
        return _time_filter(name, expression, lookup, text)
    if isinstance(kind, Choice):
        for value in given:
            if value not in kind.choices:
                invalid({name: [f"Select a valid choice. {value} is not one of the available choices."]})
        return f"{expression} IN ({','.join('?' * len(given))})", list(given)
    if isinstance(kind, Uuid | Ref):
        try:
            key: Key = (
                int(text) if isinstance(kind, Ref) and by_name(kind.to).integer_key else str(uuid.UUID(text))
            )
        except ValueError:
            invalid({name: ["Enter a valid UUID." if isinstance(kind, Uuid) else "Select a valid choice."]})
        return f"{expression} = ?", [key]
    if isinstance(kind, Int):
        return (f"{expression} = ?", [int(text)]) if text.lstrip("-").isdigit() else None
    return f"{expression} = ?", [text]


def _time_filter(name: str, expression: str, lookup: str, text: str) -> tuple[str, list[Any]]:
    try:
        moment = clock.text(clock.parse(text))
    except ValueError:
        invalid({name: ["Enter a valid date/time."]})
    return f"{expression} {_LOOKUPS.get(lookup, '=')} ?", [moment]


def basic(spec: Model, row: Row, links: Mapping[str, Mapping[Any, list[Any]]]) -> dict[str, Any]:
    """Return what the API shows of an object without looking at others."""
    shown: dict[str, Any] = {spec.key: row["pk"]}
    if spec.key != "pk" and spec.name == "authentik_core.authenticatedsession":
        shown["uuid"] = row["pk"]
    for name, kind in spec.fields.items():
        if kind.hidden or kind.write_only:
            continue
        shown[kind.api_name or name] = links[name].get(row["pk"], []) if isinstance(kind, Many) else row[name]
    if spec.base is not None:
        shown |= {
            "component": spec.component,
            "verbose_name": spec.title,
            "verbose_name_plural": spec.plural,
            "meta_model_name": spec.name,
        }
    return shown


def plain(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return what the API shows of objects, by their fields alone."""
    return plain_rows(call.tx, rows)


def plain_rows(tx: Tx, rows: list[Row]) -> list[dict[str, Any]]:
    """Return what the API shows of objects, by their fields alone."""
    shown = []
    by_model: dict[str, list[Any]] = {}
    for row in rows:
        by_model.setdefault(row["model"], []).append(row["pk"])
    links = {
        name: {many: tx.links_of(name, many, pks) for many in by_name(name).many}
        for name, pks in by_model.items()
    }
    for row in rows:
        shown.append(basic(by_name(row["model"]), row, links[row["model"]]))
    return shown


def users_of(tx: Tx, row: Row) -> list[dict[str, Any]]:
    """Return what names an object, and what its deletion would do there."""
    family = by_name(row["model"]).family
    found = []
    for spec in MODELS.values():
        if spec.abstract:
            continue
        for name, kind in spec.fields.items():
            if isinstance(kind, Ref) and by_name(kind.to).family == family:
                rows = tx.select(spec.name, **{name: row["pk"]})
                found += [_usage(spec, user, kind.on_delete) for user in rows]
            elif isinstance(kind, Many) and by_name(kind.to).family == family:
                keys = tx.linked_from(spec.name, name, [row["pk"]]).get(row["pk"], [])
                rows = [user for user in tx.many(spec.name, keys).values() if user["model"] == spec.name]
                found += [_usage(spec, user, "cascade_many") for user in rows]
    return found


def _usage(spec: Model, row: Row, action: str) -> dict[str, Any]:
    return {
        "app": spec.app,
        "model_name": spec.short,
        "pk": str(row["pk"]),
        "name": f"{spec.title} {row.get(spec.display, '')}",
        "action": action,
    }
