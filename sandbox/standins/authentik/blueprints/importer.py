"""Applying blueprints: all entries of one or none."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from yaml import YAMLError

from .. import accounts, cleaning, clock, effects, events, permissions
from ..http import ApiError
from ..models import Model
from ..models.core import ROLE, TOKEN, USER
from ..models.fields import Field, Invalid, Ref, Text
from ..models.flows import BINDING
from ..models.operations import BLUEPRINT
from ..models.registry import MODELS
from ..settings import Settings
from ..store import Conflict, Row, Store, Tx, column
from . import files
from .tags import EntryError, Scope, load

_LOG = logging.getLogger("authentik.blueprints")
ACTOR = "authentik.blueprints.v1.tasks.apply_blueprint"
META = "authentik_blueprints.metaapplyblueprint"
_STATES = ("present", "created", "must_created", "absent")
# Models that blueprints may not touch.
_EXCLUDED = {
    "authentik_core.authenticatedsession",
    "authentik_core.settings",
    "authentik_rbac.objectpermission",
    "authentik_tasks.task",
    "authentik_events.event",
    "authentik_events.notification",
    "authentik_providers_oauth2.authorizationcode",
    "authentik_providers_oauth2.accesstoken",
    "authentik_providers_oauth2.refreshtoken",
}
# What blueprints may set although the API does not take it.
_ALSO: dict[str, dict[str, Field]] = {
    TOKEN: {"key": Text(default=""), "user": Ref(to=USER)},
    USER: {"password": Text(default="", trim=False)},
    "authentik_crypto.certificatekeypair": {"managed": Text(default=None, null=True)},
}


@dataclass
class _Run:
    """One application of blueprints, with those that it has been through already."""

    tx: Tx
    settings: Settings | None = None
    seen: set[str] = field(default_factory=set)


def problems(tx: Tx, content: str, context: Mapping[str, Any]) -> list[str]:
    """Return why a blueprint cannot be applied, by trying to and rolling back; nothing when it can.

    Raises:
        YAMLError: the content is no YAML of blueprints.
    """
    document = load(content)
    if not isinstance(document, dict):
        return []
    if document.get("version", 1) != 1:
        return ["Invalid blueprint version"]
    found = _savepoint(tx, document, context, keep=False)
    return [*found, "Blueprint validation failed"] if found else []


def apply(tx: Tx, content: str, context: Mapping[str, Any]) -> list[str]:
    """Apply a blueprint within a transaction: all of it, or with the reasons that this returns nothing."""
    document = load(content)
    return _savepoint(tx, document, context, keep=True) if isinstance(document, dict) else []


def _savepoint(
    tx: Tx, document: Mapping[str, Any], context: Mapping[str, Any], *, keep: bool, run: _Run | None = None
) -> list[str]:
    name = f"blueprint_{len(run.seen) if run else 0}"
    tx.connection.execute(f"SAVEPOINT {name}")
    try:
        _entries(run or _Run(tx), document, context)
    except EntryError as error:
        found = [str(error)]
    else:
        found = []
    if found or not keep:
        tx.connection.execute(f"ROLLBACK TO {name}")
    tx.connection.execute(f"RELEASE {name}")
    return found


def _entries(run: _Run, document: Mapping[str, Any], context: Mapping[str, Any]) -> None:
    scope = Scope(run.tx, {**(document.get("context") or {}), **context})
    for entry in entries_of(document):
        if not isinstance(entry, dict) or "model" not in entry:
            raise EntryError("Entry invalid: an entry must be a mapping with a model")
        _entry(run, scope, entry)


def entries_of(document: Mapping[str, Any]) -> Iterator[Any]:
    """Return a blueprint's entries, which may be in sections."""
    entries = document.get("entries") or []
    if isinstance(entries, dict):
        for section in entries.values():
            yield from section
    else:
        yield from entries


def _entry(run: _Run, scope: Scope, entry: dict[str, Any]) -> None:
    model = str(scope.resolve(entry["model"])).lower()
    if model == META:
        _meta(run, scope, entry)
        return
    spec = MODELS.get(model)
    if spec is None:
        raise EntryError("App or Model does not exist")
    if spec.abstract or model in _EXCLUDED:
        raise EntryError(f"Entry invalid: Model {model} not allowed")
    if not all(scope.resolve(entry.get("conditions") or [], model)):
        return
    state = str(scope.resolve(entry.get("state", "present"), model))
    if state not in _STATES:
        raise EntryError(f"Entry invalid: {state} is no state")
    identifiers = scope.resolve(entry.get("identifiers") or {}, model)
    instance = _existing(run.tx, spec, identifiers)
    if state == "absent":
        _remove(run.tx, instance)
        return
    if instance is not None and state == "must_created":
        raise EntryError("Entry invalid: State is set to must_created and object exists already")
    if instance is None or state != "created":
        attrs = scope.resolve(entry.get("attrs") or {}, model)
        instance = _save(run.tx, spec, instance, {**attrs, **identifiers})
    _permit(run.tx, instance, scope.resolve(entry.get("permissions") or [], model))
    if entry.get("id"):
        scope.made[entry["id"]] = instance


def _existing(tx: Tx, spec: Model, identifiers: Mapping[str, Any]) -> Row | None:
    """Return the object that identifiers name: the key alone, or all others together."""
    if not identifiers:
        raise EntryError("Entry invalid: No or invalid identifiers")
    found = tx.get(spec.name, identifiers["pk"]) if "pk" in identifiers else None
    others = {name: value for name, value in identifiers.items() if name != "pk"}
    if found is not None or not others:
        return found
    parts, values = [], []
    for name, value in others.items():
        if name not in spec.fields or name in spec.many:
            raise EntryError(f"Entry invalid: Invalid identifier field: {name}")
        if isinstance(value, dict):
            for key, inner in value.items():
                parts.append("json_extract(data, ?) IS ?")
                values += [f'$.{name}."{key}"', inner]
        else:
            parts.append(f"{column(name)} IS ?")
            values.append(int(value) if isinstance(value, bool) else value)
    rows = tx.rows(spec.name, " AND ".join(parts), values, limit=1)
    return rows[0] if rows else None


def _remove(tx: Tx, instance: Row | None) -> None:
    if instance is not None:
        effects.deleting(tx, instance)
        tx.delete(instance["model"], instance["pk"])
        events.model_changed(tx, "model_deleted", instance, None)


def _save(tx: Tx, spec: Model, instance: Row | None, data: Mapping[str, Any]) -> Row:
    try:
        cleaned = cleaning.clean(
            tx, spec, data, instance=instance, partial=instance is not None, also=_ALSO.get(spec.name)
        )
        links = cleaning.user_links(tx, data) if spec.name == USER else {}
        _check(tx, spec, instance, cleaned)
    except Invalid as error:
        raise EntryError(f"Entry invalid: Serializer errors {_errors(error.detail)}") from None
    except ApiError as error:
        raise EntryError(f"Entry invalid: Serializer errors {_errors(error.body)}") from None
    if instance is None and "pk" in data:
        cleaned["pk"] = data["pk"]
    password = cleaned.pop("password", None)
    try:
        row = (
            tx.insert(spec.name, cleaned)
            if instance is None
            else tx.update(spec.name, instance["pk"], cleaned)
        )
    except Conflict as error:
        raise EntryError(f"Entry invalid: {error}") from None
    if password and not (instance and accounts.check_password(tx, instance, password)):
        accounts.set_password(tx, row["pk"], password)
    cleaning.set_user_links(tx, row["pk"], links)
    if spec.name in (USER, ROLE) and "permissions" in data:
        _grant(tx, row, data["permissions"])
    effects.saved(tx, row)
    events.model_changed(tx, "model_created" if instance is None else "model_updated", row, None)
    return tx.require(spec.name, row["pk"])


def _check(tx: Tx, spec: Model, instance: Row | None, cleaned: Mapping[str, Any]) -> None:
    from ..api import bindings

    if spec.name == BINDING:
        bindings.check(tx, instance, dict(cleaned))


def _errors(detail: object) -> object:
    """Return errors by field as the server's log shows them."""
    if not isinstance(detail, dict):
        return detail
    return {
        name: [_Detail(text, _code(text)) for text in texts] if isinstance(texts, list) else texts
        for name, texts in detail.items()
    }


def _code(text: str) -> str:
    """Return the word that Django's framework has for an error."""
    if text == "This field is required.":
        return "required"
    if text == "This field may not be null.":
        return "null"
    return "does_not_exist" if text.endswith("object does not exist.") else "invalid"


@dataclass(frozen=True)
class _Detail:
    text: str
    code: str

    def __repr__(self) -> str:
        return f"ErrorDetail(string={self.text!r}, code={self.code!r})"


def _grant(tx: Tx, row: Row, names: object) -> None:
    role = row["pk"] if row["model"] == ROLE else permissions.managed_role(tx, row["pk"])["pk"]
    for name in names if isinstance(names, list) else [names]:
        _assign(tx, role, str(name), None, None)


def _permit(tx: Tx, instance: Row, given: list[dict[str, Any]]) -> None:
    """Give the permissions on an object that its entry names, each to a role or a person."""
    for item in given:
        if item.get("role") is not None:
            role = item["role"]
            if not tx.exists(ROLE, role):
                raise EntryError(f"Entry invalid: there is no role {role}")
            _assign(tx, role, item["permission"], instance["model"], instance["pk"])
        if item.get("user") is not None:
            role = permissions.managed_role(tx, item["user"])["pk"]
            _assign(tx, role, item["permission"], instance["model"], instance["pk"])


def _assign(tx: Tx, role: str, name: str, model: str | None, pk: object) -> None:
    # A permission may be named without its application where the object says which.
    full = name if "." in name or model is None else f"{model.partition('.')[0]}.{name}"
    try:
        permissions.assign(tx, role, full, model, pk)
    except KeyError:
        raise EntryError(f"Entry invalid: there is no permission {full}") from None


def _meta(run: _Run, scope: Scope, entry: Mapping[str, Any]) -> None:
    """Apply another blueprint first."""
    attrs = scope.resolve(entry.get("attrs") or {}, META)
    identifiers = attrs.get("identifiers") or {}
    other = _existing(run.tx, MODELS[BLUEPRINT], identifiers)
    if other is None:
        if attrs.get("required", True):
            raise EntryError(
                "Entry invalid: Serializer errors {'identifiers': ['Required blueprint does not exist']}"
            )
        return
    if run.settings is None or other["pk"] in run.seen:
        return
    if found := apply_instance(run.tx, run.settings, other, run.seen):
        raise EntryError(f"Entry invalid: blueprint {other['name']}: {found[0]}")


def apply_instance(tx: Tx, settings: Settings, instance: Row, seen: set[str] | None = None) -> list[str]:
    """Apply a blueprint that is kept, and record how it went. Returns why it could not be applied."""
    run = _Run(tx, settings, {*(seen or ()), instance["pk"]})
    if not instance["enabled"]:
        return []
    try:
        content = files.content_of(settings.blueprints, instance)
        document = load(content)
        version_problem = isinstance(document, dict) and document.get("version", 1) != 1
        if version_problem:
            found = ["Invalid blueprint version"]
        elif isinstance(document, dict):
            found = _savepoint(tx, document, instance["context"], keep=True, run=run)
        else:
            found = []
    except (OSError, ValueError, YAMLError) as error:
        tx.update(BLUEPRINT, instance["pk"], {"status": "error", "last_applied": clock.now()})
        return [str(error)]
    if found:
        _LOG.warning("blueprint %s: %s", instance["name"], "; ".join(found))
        tx.update(BLUEPRINT, instance["pk"], {"status": "error", "last_applied": clock.now()})
        return found
    tx.update(
        BLUEPRINT,
        instance["pk"],
        {
            "status": "successful",
            "last_applied": clock.now(),
            "last_applied_hash": hashlib.sha512(content.encode()).hexdigest(),
            "metadata": files.metadata(document),
        },
    )
    return []


def task(settings: Settings, store: Store, arguments: dict[str, Any]) -> None:
    """Apply the blueprint that a task names."""
    with store.write() as tx:
        instance = tx.get(BLUEPRINT, arguments["instance"])
        if instance is not None:
            apply_instance(tx, settings, instance)
