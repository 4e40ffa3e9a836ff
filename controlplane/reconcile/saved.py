"""Plans in files: written once, reviewed, and applied exactly or not at all."""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from controlplane.errors import BadInputError
from controlplane.reconcile.run import Outcome
from controlplane.state import Plan, Resource, Scope, State

FORMAT = "bic-plan"
VERSION = 1
"""Raised when a reader of the older version could not apply a file as it is meant."""

Digests = Mapping[str, Mapping[str, str]]
"""Digests of objects by kind and name."""


@dataclass(frozen=True)
class SavedSystem:
    """The plan of one system, and what the system looked like."""

    id: str
    plan: Plan
    observed: Digests
    """Of all objects of the scope that are ours or in the plan."""


@dataclass(frozen=True)
class SavedPlan:
    """A plan in a file."""

    platform: str
    created: datetime
    author: str
    """Who made it, as `<user>@<host>`."""
    scope: Scope
    adopt: bool
    systems: tuple[SavedSystem, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why other systems have no plan, by their identifiers."""
    id: str = ""
    """A digest of all of it, by which the journal knows the plan."""


_CONTENT = TypeAdapter(SavedPlan)


def saved(
    outcomes: Sequence[Outcome],
    *,
    platform: str,
    created: datetime,
    author: str,
    scope: Scope,
    adopt: bool,
) -> SavedPlan:
    """Plans as they are to be saved."""
    systems = tuple(
        SavedSystem(item.system.id, item.plan, digests(item.observed, item.plan, scope))
        for item in outcomes
        if item.plan is not None and item.observed is not None
    )
    left_out = {item.system.id: item.error for item in outcomes if item.plan is None}
    return SavedPlan(platform, created, author, scope, adopt, systems, left_out)


def digests(observed: State, plan: Plan, scope: Scope) -> dict[str, dict[str, str]]:
    """Digests of the objects that a plan rests on."""
    planned = {change.key for change in plan.changes}
    found: dict[str, dict[str, str]] = {}
    for key, resource in observed.items():
        if key in planned or (resource.owned and scope.has(resource)):
            found.setdefault(key.kind, {})[key.name] = digest(resource)
    return found


def digest(resource: Resource) -> str:
    """A digest of what was found of an object."""
    content = json.dumps([dict(resource.fields), resource.owned])
    return hashlib.blake2b(content.encode(), digest_size=12).hexdigest()


def write(path: Path, plan: SavedPlan) -> None:
    """Write a plan to a file that only its owner can read; a file that is there is replaced as a whole.

    Raises BadInputError when it cannot be written.
    """
    content = json.loads(_CONTENT.dump_json(plan, exclude={"id"}))
    # Sets come in any order; a file says the same thing in the same words.
    content["scope"] = {part: sorted(names) for part, names in content["scope"].items()}
    for system in content["systems"]:
        for change in system["plan"]["changes"]:
            change["depends_on"].sort()
    document = {"format": FORMAT, "version": VERSION, "digest": _digest(content), "plan": content}
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            with open(draft, "x", encoding="utf-8", opener=_private) as file:
                json.dump(document, file, ensure_ascii=False, indent=1)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise BadInputError(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path) -> SavedPlan:
    """The plan in a file.

    Raises BadInputError when it cannot be read, is no plan, was changed, or is of a newer version.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        raise BadInputError(f"{path} is not a plan that bic plan -o wrote, or only a part of one") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BadInputError(f"{path} is not a plan that bic plan -o wrote")
    version = document.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise BadInputError(
            f"{path} was written by a newer version of bic; apply it with that, or plan again"
        )
    content = document.get("plan")
    if not isinstance(content, dict) or document.get("digest") != _digest(content):
        raise BadInputError(f"{path} was changed after it was written; plan again")
    try:
        plan = _CONTENT.validate_json(json.dumps({**content, "id": document["digest"]}))
    except ValidationError as error:
        raise BadInputError(f"{path} holds a plan that cannot be understood; plan again") from error
    return plan


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
