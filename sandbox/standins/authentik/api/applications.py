"""Applications and the providers behind them."""

import re
from collections.abc import Mapping
from typing import Any

from .. import cleaning, events, outposts
from ..http import Answer, ApiError, Call, Route, denied, invalid, refuse, route
from ..login import policies
from ..models.connections import LDAP, MAPPING, OAUTH2, OUTPOST, SCOPE
from ..models.core import APPLICATION, FLOW, PROVIDER, USER
from ..models.fields import Invalid
from ..models.flows import BINDING
from ..models.registry import MODELS, by_name
from ..store import Row
from . import bindings
from .views import Views, key_of, plain

_DATA = ("name", "authentication_flow", "authorization_flow", "invalidation_flow", "property_mappings")


def represent_providers(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return providers as the API shows them, with the applications that they serve."""
    tx, pks = call.tx, [row["pk"] for row in rows]
    applications = {row["provider"]: row for row in tx.rows(APPLICATION) if row["provider"] in pks}
    behind = tx.linked_from(APPLICATION, "backchannel_providers", pks)
    outposts = tx.linked_from(OUTPOST, "providers", pks)
    names = {
        pk: row["name"] for pk, row in tx.many(OUTPOST, [k for v in outposts.values() for k in v]).items()
    }
    back = tx.many(APPLICATION, [pk for keys in behind.values() for pk in keys])
    shown = []
    for item in plain(call, rows):
        front = applications.get(item["pk"])
        backs = behind.get(item["pk"], [])
        backchannel = back[backs[0]] if backs else None
        item |= {
            "assigned_application_slug": front["slug"] if front else None,
            "assigned_application_name": front["name"] if front else None,
            "assigned_backchannel_application_slug": backchannel["slug"] if backchannel else None,
            "assigned_backchannel_application_name": backchannel["name"] if backchannel else None,
        }
        if item["meta_model_name"] == LDAP:
            item["outpost_set"] = [names[pk] for pk in outposts.get(item["pk"], [])]
        shown.append(item)
    return shown


def summarise_providers(call: Call, pks: list[Any]) -> dict[Any, dict[str, Any]]:
    """Return providers as other objects show them, by key."""
    shared = {*_DATA, "pk", "component", "verbose_name", "verbose_name_plural", "meta_model_name"}
    rows = list(call.tx.many(PROVIDER, pks).values())
    return {
        item["pk"]: {
            name: value for name, value in item.items() if name in shared or name.startswith("assigned_")
        }
        for item in represent_providers(call, rows)
    }


def validate_oauth2(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Check that patterns of redirect addresses can be patterns."""
    for uri in cleaned.get("redirect_uris", []):
        if uri["matching_mode"] == "regex":
            try:
                re.compile(uri["url"])
            except re.error:
                invalid({"redirect_uris": [f"Invalid Regex Pattern: {uri['url']}"]})
    return cleaned


OAUTH2_VIEWS = Views(
    model=by_name(OAUTH2),
    path="providers/oauth2",
    represent=represent_providers,
    validate=validate_oauth2,
    filter_fields=("name", "client_id", "client_type", "authorization_flow", "signing_key", "sub_mode"),
)
LDAP_VIEWS = Views(
    model=by_name(LDAP),
    path="providers/ldap",
    represent=represent_providers,
    filter_fields=("name", "base_dn", "authorization_flow"),
)


def _without_application(call: Call, given: list[str]) -> tuple[str, list[Any]]:
    used = [row["provider"] for row in call.tx.rows(APPLICATION) if row["provider"] is not None]
    negated = "NOT " if given[-1].lower() == "true" else ""
    return f"pk {negated}IN ({','.join('?' * len(used))})", used


ALL_PROVIDERS = Views(
    model=by_name(PROVIDER),
    path="providers/all",
    represent=lambda call, rows: list(summarise_providers(call, [row["pk"] for row in rows]).values()),
    methods=("list", "retrieve", "destroy", "used_by"),
    filters={"application__isnull": _without_application},
)


def setup_urls(call: Call) -> Answer:
    """Answer the addresses that an application is set up with."""
    row = OAUTH2_VIEWS.one(call)
    base = f"{call.base_url}/application/o"
    found = call.tx.find(APPLICATION, provider=row["pk"])
    urls = {name: f"{base}/{path}/" for name, path in (("authorize", "authorize"), ("token", "token"))}
    urls["user_info"] = f"{base}/userinfo/"
    if found is None:
        return Answer({**urls, "issuer": None, "provider_info": None, "logout": None})
    own = f"{base}/{found['slug']}"
    return Answer(
        {
            **urls,
            "issuer": f"{own}/" if row["issuer_mode"] == "per_provider" else f"{call.base_url}/",
            "provider_info": f"{own}/.well-known/openid-configuration",
            "logout": f"{own}/end-session/",
            "jwks": f"{own}/jwks/",
        }
    )


def represent(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return applications as the API shows them."""
    items = plain(call, rows)
    keys = [item["provider"] for item in items] + [
        pk for item in items for pk in item["backchannel_providers"]
    ]
    providers = summarise_providers(call, [pk for pk in keys if pk is not None])
    for item in items:
        item |= {
            "pbm_uuid": item["pk"],
            "provider_obj": providers.get(item["provider"]),
            "backchannel_providers_obj": [providers[pk] for pk in item["backchannel_providers"]],
            "launch_url": _launch_url(call, item),
            "meta_icon_url": item["meta_icon"] or None,
            "meta_icon_themed_urls": None,
        }
    return items


def _launch_url(call: Call, item: Mapping[str, Any]) -> str | None:
    if item["meta_launch_url"]:
        names = {name: str(call.caller[name]) for name in ("username", "email", "name")}
        return re.sub(r"%\((\w+)\)s", lambda match: names.get(match[1], ""), item["meta_launch_url"])
    provider = call.tx.get(PROVIDER, item["provider"]) if item["provider"] else None
    if provider is None or not provider.get("redirect_uris"):
        return None
    first = provider["redirect_uris"][0]
    match = re.match(r"https?://[^/]+", first["url"])
    return match[0] if match and first["matching_mode"] == "strict" else None


def asker(call: Call, user: Row | None = None) -> policies.Asker:
    """Return for whom policies are asked: somebody, or who calls."""
    return policies.Asker(
        user=user or call.caller,
        secret_key=call.settings.secret_key,
        client_ip=call.client_ip,
        path=call.path,
        method=call.method,
    )


def may_use(call: Call, application: Row, user: Row | None = None) -> policies.Result:
    """Return whether somebody may use an application."""
    return policies.check(call.tx, application["pk"], application["policy_engine_mode"], asker(call, user))


def _usable(call: Call, given: list[str]) -> tuple[str, list[Any]] | None:
    full = call.flag("superuser_full_list", False) or call.method != "GET" or "pk" in call.parameters
    if call.rights.superuser and full:
        return None
    rows = [row for row in call.tx.rows(APPLICATION) if may_use(call, row).passing]
    seen = call.rights.has("authentik_core.view_application")
    if seen and full:
        return None
    keys = [row["pk"] for row in rows]
    return f"pk IN ({','.join('?' * len(keys))})", keys


VIEWS = Views(
    model=by_name(APPLICATION),
    path="core/applications",
    represent=represent,
    scope=_usable,
    filter_fields=(
        "name",
        "slug",
        "meta_launch_url",
        "meta_description",
        "meta_publisher",
        "group",
    ),
)


def check_access(call: Call) -> Answer:
    """Answer whether somebody may use an application."""
    row, user = VIEWS.one(call, anyone=True), call.caller
    if call.value("for_user"):
        found = call.tx.get(USER, key_of(by_name(USER), call.value("for_user")))
        if not call.rights.has("authentik_core.check_application_access") and not call.rights.superuser:
            denied()
        if found is None:
            invalid({"for_user": ["User not found"]})
        user = found
    result = may_use(call, row, user)
    return Answer({"passing": result.passing, "messages": list(result.messages), "log_messages": []})


_CREATABLE = (OAUTH2, LDAP)


def transactional(call: Call) -> Answer:
    """Make an application with its provider and bindings, all or nothing."""
    wanted = ("app", "provider_model", "provider")
    missing = {name: ["This field is required."] for name in wanted if name not in call.data}
    if missing:
        invalid(missing)
    model = call.data["provider_model"]
    if model not in _CREATABLE:
        invalid({"provider_model": [f'"{model}" is not a valid choice.']})
    for part, name in (("provider", model), ("app", APPLICATION)):
        if not call.rights.has(by_name(name).permission("add")):
            raise ApiError(403, {part: f"User lacks permission to create {name}"})
    # A provider without a name is an unhandled error of the server.
    provider = {"name": call.data["provider"]["name"], **call.data["provider"]}
    _part(call, "app", APPLICATION, call.data["app"])
    made = call.tx.insert(model, _part(call, "provider", model, provider))
    application = call.tx.insert(
        APPLICATION, {**_part(call, "app", APPLICATION, call.data["app"]), "provider": made["pk"]}
    )
    for binding in call.data.get("policy_bindings", []):
        values = {**binding, "target": application["pk"]}
        bound = _part(call, "policy_bindings", BINDING, values)
        call.tx.insert(BINDING, bindings.validate(call, None, bound))
    for row in (made, application):
        events.model_changed(call.tx, "model_created", row, call.caller, call.client_ip)
    return Answer({"applied": True, "logs": []})


def _part(call: Call, part: str, model: str, values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return cleaning.clean(call.tx, MODELS[model], values)
    except Invalid as error:
        invalid({part: error.detail})


def ldap_outposts(call: Call) -> Answer:
    """Answer what an LDAP outpost needs to know of the providers that it serves."""
    outposts.hear(call.tx, call.rights, call.headers.get("user-agent", ""), call.client_ip)
    providers = Views(model=by_name(LDAP), path="", represent=represent_outpost)
    return providers.list(call)


def represent_outpost(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return LDAP providers as outposts see them; those without an application are none."""
    names = (
        "name",
        "base_dn",
        "certificate",
        "tls_server_name",
        "uid_start_number",
        "gid_start_number",
        "search_mode",
        "bind_mode",
        "mfa_support",
    )
    brand = call.tx.find("authentik_brands.brand", default=True) or {}
    shown = []
    for row in rows:
        application = call.tx.find(APPLICATION, provider=row["pk"])
        bind = call.tx.get(FLOW, row["authorization_flow"])
        unbind = call.tx.get(FLOW, str(row["invalidation_flow"] or brand.get("flow_invalidation")))
        if application is not None and bind is not None:
            shown.append(
                {name: row[name] for name in names}
                | {
                    "pk": row["pk"],
                    "bind_flow_slug": bind["slug"],
                    "unbind_flow_slug": unbind["slug"] if unbind else None,
                    "application_slug": application["slug"],
                }
            )
    return shown


def ldap_access(call: Call) -> Answer:
    """Answer whether the caller may bind to an LDAP provider, and search all of it."""
    pk = key_of(by_name(LDAP), call.parameters["pk"])
    row = call.tx.get(LDAP, pk)
    application = call.tx.find(APPLICATION, provider=pk, slug=call.value("app_slug"))
    if row is None or application is None:
        refuse(404, "Not found.")
    result = may_use(call, application)
    return Answer(
        {
            "access": {"passing": result.passing, "messages": list(result.messages), "log_messages": []},
            "has_search_permission": call.rights.has_on("authentik_providers_ldap.search_full_directory", pk),
        }
    )


def represent_mappings(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return property mappings as the API shows them."""
    return plain(call, rows)


_MAPPINGS = [
    Views(
        model=by_name(name),
        path=path,
        represent=represent_mappings,
        filters={"managed": lambda call, given: bindings.any_of("managed", given)},
        filter_fields=("name", *(["scope_name"] if name == SCOPE else [])),
    )
    for name, path in (
        (SCOPE, "propertymappings/provider/scope"),
        ("authentik_sources_oauth.oauthsourcepropertymapping", "propertymappings/source/oauth"),
        ("authentik_events.notificationwebhookmapping", "propertymappings/notification"),
    )
]
ALL_MAPPINGS = Views(
    model=by_name(MAPPING),
    path="propertymappings/all",
    represent=represent_mappings,
    methods=("list", "retrieve", "destroy", "used_by"),
    filters={"managed": lambda call, given: bindings.any_of("managed", given)},
)


def routes() -> list[Route]:
    """Return the paths of applications, providers and property mappings."""
    return [
        *VIEWS.routes(route("core/applications/{pk}/check_access/", get=check_access)),
        route("core/transactional/applications/", put=transactional),
        *OAUTH2_VIEWS.routes(route("providers/oauth2/{pk}/setup_urls/", get=setup_urls)),
        *LDAP_VIEWS.routes(),
        *ALL_PROVIDERS.routes(),
        route("outposts/ldap/", get=ldap_outposts),
        route("outposts/ldap/{pk}/check_access/", get=ldap_access),
        *(found for views in _MAPPINGS for found in views.routes()),
        *ALL_MAPPINGS.routes(),
    ]
