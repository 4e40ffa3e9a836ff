"""What a source's property mappings make of what its provider says."""

import logging
from collections.abc import Mapping
from typing import Any

from ... import events
from ...models.connections import OAUTH_SOURCE
from ...settings import Settings
from ...store import Row, Tx
from .. import policies
from ..call import Call
from ..expressions import ExpressionError, Record, evaluate
from ..plan import asker

LOG = logging.getLogger("authentik.sources.oauth")


def properties_of(
    tx: Tx, settings: Settings, call: Call, source: Row, info: Mapping[str, Any]
) -> dict[str, Any]:
    """A person's properties: what all providers say, and what the mappings make of it, in their order.

    Raises:
        ExpressionError: a mapping fails; nobody is let in with half of what is known of them.
    """
    properties: dict[str, Any] = {
        "username": info.get("nickname") or info.get("preferred_username"),
        "email": info.get("email"),
        "name": info.get("name"),
    }
    linked = tx.links(OAUTH_SOURCE, "user_property_mappings", source["pk"])
    mappings = tx.many("authentik_core.propertymapping", linked).values()
    for mapping in sorted(mappings, key=lambda row: str(row["name"])):
        extra = {
            "info": dict(info),
            "oauth_userinfo": dict(info),
            "properties": dict(properties),
            "source": Record("source", name=source["name"], slug=source["slug"], pk=source["pk"]),
        }
        who = asker(settings, call, None, {})
        try:
            value = evaluate(str(mapping["expression"]), policies.names(tx, who, [], extra))
        except ExpressionError as problem:
            context = {
                "message": f"Failed to evaluate property mapping: '{mapping['name']}'",
                "error": str(problem),
            }
            events.record(
                tx, "configuration_error", "authentik.core.sources.mapper", None, context, call.client_ip
            )
            raise
        if isinstance(value, dict):
            _merge(properties, value)
    return {name: value for name, value in properties.items() if value is not None}


def _merge(target: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        present = target.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            _merge(present, value)
        else:
            target[key] = value
