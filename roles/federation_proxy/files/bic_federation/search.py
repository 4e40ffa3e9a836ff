"""The index that the discovery page searches: what people call their institution, and its entity ID."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .envelope import METADATA

_MDUI = "{urn:oasis:names:tc:SAML:metadata:ui}"
_SCOPE = "{urn:mace:shibboleth:metadata:1.0}Scope"
_SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_HIDDEN = "http://refeds.org/category/hide-from-discovery"


def entry(entity: Any) -> dict[str, Any] | None:
    """An identity provider for the page: `id`, `names` by language, `words`; None when it hides itself."""
    values = {value.text for value in entity.iter(f"{_SAML}AttributeValue")}
    if _HIDDEN in values:
        return None
    identifier = entity.get("entityID")
    names = _by_language(entity.iter(f"{_MDUI}DisplayName"))
    names = names or _by_language(entity.iter(f"{METADATA}OrganizationDisplayName"))
    scopes = [scope.text for scope in entity.iter(_SCOPE) if scope.get("regexp") not in ("true", "1")]
    words = [element.text for element in entity.iter(f"{_MDUI}Keywords")] + scopes
    return {
        "id": identifier,
        "names": names or {"en": identifier},
        "words": " ".join(sorted({word.strip() for word in words if word and word.strip()})),
    }


def _by_language(elements: Iterable[Any]) -> dict[str, str]:
    return {
        element.get(_LANGUAGE, "en"): " ".join(element.text.split())
        for element in elements
        if element.text and element.text.strip()
    }
