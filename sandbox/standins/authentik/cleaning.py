"""From what somebody sent to what is kept: the checks that the API and blueprints share."""

from collections.abc import Mapping
from typing import Any

from .models import Model
from .models.core import GROUP, ROLE
from .models.fields import Field, Invalid, Many
from .store import Key, Row, Tx, column

# Models whose message does not name the field, and what messages call fields and families of models.
_SHORT = {"authentik_core.user", "authentik_brands.brand"}
_LABELS = {"client_id": "Client ID"}
_FAMILIES = {
    "authentik_core.provider": "provider",
    "authentik_core.source": "source",
    "authentik_core.propertymapping": "Property Mapping",
    "authentik_policies.policy": "Policy",
    "authentik_flows.stage": "stage",
}
# Links that other models keep, which people are nevertheless given by.
_USER_LINKS = {"groups": (GROUP, Many(to=GROUP)), "roles": (ROLE, Many(to=ROLE))}


def clean(
    tx: Tx,
    model: Model,
    data: Mapping[str, Any],
    *,
    instance: Row | None = None,
    partial: bool = False,
    also: Mapping[str, Field] | None = None,
) -> dict[str, Any]:
    """Return the values of an object's fields as they are kept; unknown names are passed over.

    Without `partial`, fields that are not given have their defaults where the API says so (links), and those
    that must be given are asked for. `also` are fields that are otherwise hidden or read only.

    Raises:
        Invalid: with errors by field.
    """
    cleaned: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    open_fields = {
        name: kind for name, kind in model.fields.items() if not kind.read_only and not kind.hidden
    }
    for name, kind in {**open_fields, **(also or {})}.items():
        given = kind.api_name or name
        if given not in data:
            if kind.required and not partial:
                errors[given] = ["This field is required."]
            continue
        try:
            cleaned[name] = kind.clean(data[given], tx)
            if kind.unique and cleaned[name] is not None:
                _check_unique(tx, model, name, cleaned[name], instance)
        except Invalid as error:
            errors[given] = error.detail
    if errors:
        raise Invalid(errors)
    _check_together(tx, model, {**(instance or {}), **cleaned}, instance)
    return cleaned


def _others(tx: Tx, model: Model, values: Mapping[str, Any], instance: Row | None) -> int:
    conditions = [f"{column(name)} IS ?" for name in values]
    parameters = list(values.values())
    if instance is not None:
        conditions.append("pk != ?")
        parameters.append(instance["pk"])
    return tx.count(model.name, " AND ".join(conditions), parameters)


def _check_unique(tx: Tx, model: Model, name: str, value: object, instance: Row | None) -> None:
    if _others(tx, model, {name: value}, instance):
        if model.name in _SHORT:
            raise Invalid(["This field must be unique."])
        label = _LABELS.get(name, name.replace("_", " "))
        shared = name in ("name", "slug") and model.base is not None
        title = _FAMILIES.get(model.family, model.title) if shared else model.title
        raise Invalid([f"{title} with this {label} already exists."])


def _check_together(tx: Tx, model: Model, values: Mapping[str, Any], instance: Row | None) -> None:
    for names in model.unique_together:
        if all(values.get(name) is not None for name in names) and _others(
            tx, model, {name: values[name] for name in names}, instance
        ):
            raise Invalid({"non_field_errors": [f"The fields {', '.join(names)} must make a unique set."]})


def user_links(tx: Tx, data: Mapping[str, Any]) -> dict[str, list[Key]]:
    """Return the groups and roles that a person's data gives, as far as it does.

    Raises:
        Invalid: with errors by field.
    """
    errors, found = {}, {}
    for name, (_, kind) in _USER_LINKS.items():
        if name in data:
            try:
                found[name] = [*kind.keys(data[name], tx)]
            except Invalid as error:
                errors[name] = error.detail
    if errors:
        raise Invalid(errors)
    return found


def set_user_links(tx: Tx, user: Key, links: Mapping[str, list[Key]]) -> None:
    """Replace a person's groups and roles."""
    for name, wanted in links.items():
        model = _USER_LINKS[name][0]
        for pk in tx.linked_from(model, "users", [user]).get(user, []):
            if pk not in wanted:
                tx.unlink(model, "users", pk, user)
        for pk in wanted:
            tx.link(model, "users", pk, user)
