"""Blueprints read as Authentik reads them, and their entries compared with the objects of the API. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

Row = dict[str, Any]

USER = "authentik_core.user"

ENDPOINTS = {
    "authentik_blueprints.metaapplyblueprint": "",
    "authentik_brands.brand": "core/brands/",
    "authentik_core.application": "core/applications/",
    "authentik_core.group": "core/groups/",
    "authentik_core.token": "core/tokens/",
    USER: "core/users/",
    "authentik_crypto.certificatekeypair": "crypto/certificatekeypairs/",
    "authentik_flows.flow": "flows/instances/",
    "authentik_flows.flowstagebinding": "flows/bindings/",
    "authentik_outposts.outpost": "outposts/instances/",
    "authentik_policies.policybinding": "policies/bindings/",
    "authentik_policies_expression.expressionpolicy": "policies/expression/",
    "authentik_providers_ldap.ldapprovider": "providers/ldap/",
    "authentik_providers_oauth2.oauth2provider": "providers/oauth2/",
    "authentik_providers_oauth2.scopemapping": "propertymappings/provider/scope/",
    "authentik_rbac.role": "rbac/roles/",
    "authentik_sources_oauth.oauthsource": "sources/oauth/",
    "authentik_sources_oauth.oauthsourcepropertymapping": "propertymappings/source/oauth/",
    "authentik_stages_authenticator_static.authenticatorstaticstage": "stages/authenticator/static/",
    "authentik_stages_authenticator_totp.authenticatortotpstage": "stages/authenticator/totp/",
    "authentik_stages_authenticator_validate.authenticatorvalidatestage": "stages/authenticator/validate/",
    "authentik_stages_deny.denystage": "stages/deny/",
    "authentik_stages_identification.identificationstage": "stages/identification/",
    "authentik_stages_password.passwordstage": "stages/password/",
    "authentik_stages_prompt.prompt": "stages/prompt/prompts/",
    "authentik_stages_prompt.promptstage": "stages/prompt/stages/",
    "authentik_stages_user_login.userloginstage": "stages/user_login/",
    "authentik_stages_user_logout.userlogoutstage": "stages/user_logout/",
    "authentik_stages_user_write.userwritestage": "stages/user_write/",
}
"""The list of the API that holds the objects of a model."""

QUERIES = {
    "authentik_core.application": {"superuser_full_list": "true"},
    "authentik_core.group": {"include_users": "false"},
    USER: {"include_groups": "false"},
}
"""What else is asked of a list."""

UNREADABLE = {
    "authentik_core.token": {"key"},
    USER: {"password"},
    "authentik_crypto.certificatekeypair": {"certificate_data", "key_data"},
    "authentik_sources_oauth.oauthsource": {"consumer_secret"},
    # A list of its own: the names of what the role may do on all objects.
    "authentik_rbac.role": {"permissions"},
}
"""What the API does not tell."""

UNORDERED = {
    "fields",
    "providers",
    "property_mappings",
    "user_property_mappings",
    "roles",
    "sources",
    "user_fields",
}
"""Lists whose order means nothing."""


class BlueprintError(Exception):
    """A blueprint that this cannot read; the message says what and where."""


@dataclass(frozen=True)
class Tag:
    """A tag of a blueprint that stands for a value."""

    name: str
    value: Any


@dataclass
class Entry:
    """One object that a blueprint describes."""

    file: str
    model: str
    identifiers: Row
    attrs: Row
    state: str
    id: str | None
    found: Row | None = None

    @property
    def title(self) -> str:
        """What a person calls it."""
        names = [f"{key} {value}" for key, value in self.identifiers.items() if not isinstance(value, Tag)]
        refs = [str(value.value) for value in self.identifiers.values() if isinstance(value, Tag)]
        return f"{self.model.partition('.')[2]} {', '.join([*refs, *names])} of {self.file}"


class _Loader(yaml.SafeLoader):
    """YAML with the tags of blueprints."""


def _tag(name: str) -> Callable[[_Loader, yaml.Node], Tag]:
    def construct(loader: _Loader, node: yaml.Node) -> Tag:
        if isinstance(node, yaml.SequenceNode):
            return Tag(name, loader.construct_sequence(node, deep=True))
        return Tag(name, loader.construct_scalar(node))  # type: ignore[arg-type]

    return construct


for _name in ("KeyOf", "Find", "File", "Env"):
    _Loader.add_constructor(f"!{_name}", _tag(_name))


def entries(text: str, file: str) -> Iterator[Entry]:
    """The entries of a blueprint. Raises BlueprintError."""
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a safe loader with four tags more
    except yaml.YAMLError as error:
        raise BlueprintError(f"{file} is no valid YAML: {error}") from None
    for entry in document["entries"]:
        if entry["model"] not in ENDPOINTS:
            raise BlueprintError(
                f"{file} has a {entry['model']}, which the role cannot look up; add it to ENDPOINTS"
            )
        yield Entry(
            file,
            entry["model"],
            entry.get("identifiers", {}),
            entry.get("attrs", {}),
            entry.get("state", "present"),
            entry.get("id"),
        )


@dataclass
class Judge:
    """Compares entries with what the API has, one blueprint after the other."""

    rows: dict[str, list[Row]]
    """By model, all its objects."""
    read: Callable[[str], str]
    """Reads a file of the host that a blueprint names."""
    missing: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)

    def look(self, blueprint: list[Entry]) -> None:
        """Look all entries of a blueprint up; those later in it may refer to earlier ones."""
        for entry in blueprint:
            if ENDPOINTS[entry.model]:
                self._look(entry, {found.id: found for found in blueprint if found.id})

    def _look(self, entry: Entry, by_id: dict[str | None, Entry]) -> None:
        wanted = {key: self._value(entry, value, by_id) for key, value in entry.identifiers.items()}
        rows = self.rows[entry.model]
        entry.found = next((row for row in rows if all(row.get(key) == wanted[key] for key in wanted)), None)
        if entry.state == "absent":
            if entry.found is not None:
                self.different.append(f"{entry.title}: is there, and should not be")
        elif entry.found is None:
            self.missing.append(entry.title)
        elif entry.state != "created":
            self._compare(entry, entry.found, by_id)

    def _compare(self, entry: Entry, row: Row, by_id: dict[str | None, Entry]) -> None:
        for key, value in entry.attrs.items():
            if key in UNREADABLE.get(entry.model, ()):
                continue
            wanted = self._value(entry, value, by_id)
            if not same(key, row.get(key), wanted):
                secret = isinstance(value, Tag) and value.name == "File"
                says = "differs" if secret else f"is {row.get(key)!r}, and should be {wanted!r}"
                self.different.append(f"{entry.title}: {key} {says}")

    def _value(self, entry: Entry, value: Any, by_id: dict[str | None, Entry]) -> Any:
        if isinstance(value, Tag):
            return self._resolve(entry, value, by_id)
        if isinstance(value, list):
            return [self._value(entry, item, by_id) for item in value]
        if isinstance(value, dict):
            return {key: self._value(entry, item, by_id) for key, item in value.items()}
        return value

    def _resolve(self, entry: Entry, tag: Tag, by_id: dict[str | None, Entry]) -> Any:
        if tag.name == "KeyOf":
            other = by_id.get(tag.value)
            row = other.found if other else None
            return self._key(entry, row)
        if tag.name == "Find":
            model, *conditions = tag.value
            if model not in self.rows:
                raise BlueprintError(f"{entry.file} looks for a {model}, of which nothing was read")
            found = (
                row for row in self.rows[model] if all(row.get(key) == value for key, value in conditions)
            )
            return self._key(entry, next(found, None))
        if tag.name == "File":
            return self.read(tag.value).strip()
        raise BlueprintError(f"{entry.file} uses !{tag.name}, whose value only the server knows")

    @staticmethod
    def _key(entry: Entry, row: Row | None) -> Any:
        if row is None:
            return None
        if entry.model == "authentik_policies.policybinding" and "policybindingmodel_ptr_id" in row:
            return row["policybindingmodel_ptr_id"]
        return row["pk"]


def same(key: str, found: Any, wanted: Any) -> bool:
    """Whether the API has what a blueprint wants; what the API has beside that does not matter."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            same(name, found.get(name), value) for name, value in wanted.items()
        )
    if isinstance(wanted, list) and isinstance(found, list):
        if key in UNORDERED:
            return sorted(map(str, found)) == sorted(map(str, wanted))
        return len(found) == len(wanted) and all(
            same(key, one, other) for one, other in zip(found, wanted, strict=True)
        )
    if isinstance(wanted, str) and isinstance(found, str):
        return found.strip() == wanted.strip()
    return bool(found == wanted)
