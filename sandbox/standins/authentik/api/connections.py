"""Outposts, sources, certificates, brands."""

from typing import Any

from .. import events, keypairs, outposts
from ..http import Answer, Call, Route, denied, invalid, route
from ..models.connections import CONNECTION, LDAP, OAUTH2, OAUTH_SOURCE, OUTPOST
from ..models.core import BRAND, FLOW, KEYPAIR, PROVIDER, SOURCE
from ..models.fields import Int, Invalid, Text
from ..models.registry import by_name
from ..store import Row
from . import applications
from .views import Views, plain

_KINDS = {"ldap": LDAP, "proxy": "authentik_providers_proxy.proxyprovider"}
_CLASSES = {OAUTH2: "OAuth2Provider", LDAP: "LDAPProvider"}
_TYPES = {"openidconnect": "OpenID Connect"}
_URLS = ("authorization_url", "access_token_url", "profile_url")


def represent_outposts(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return outposts as the API shows them."""
    items = plain(call, rows)
    providers = applications.summarise_providers(call, [pk for item in items for pk in item["providers"]])
    for item in items:
        item |= {
            "providers_obj": [
                providers[pk]
                | {
                    "component": "",
                    "verbose_name": "provider",
                    "verbose_name_plural": "providers",
                    "meta_model_name": PROVIDER,
                }
                for pk in item["providers"]
            ],
            "service_connection": None,
            "service_connection_obj": None,
            "refresh_interval_s": 300,
            "token_identifier": outposts.token_identifier(item),
        }
    return items


def validate_outpost(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Check that an outpost's providers are of its kind."""
    kind = cleaned.get("type", instance["type"] if instance else "")
    for row in call.tx.many(PROVIDER, cleaned.get("providers", [])).values():
        if row["model"] != _KINDS.get(str(kind)):
            name = _CLASSES[row["model"]]
            invalid({"providers": [f"Outpost type {kind} can't be used with {name} providers."]})
    return cleaned


OUTPOSTS = Views(
    model=by_name(OUTPOST),
    path="outposts/instances",
    represent=represent_outposts,
    validate=validate_outpost,
    filter_fields=("name", "type", "managed"),
    filters={
        "name__iexact": lambda call, given: ("lower(json_extract(data, '$.name')) = lower(?)", [given[-1]]),
        "managed__iexact": lambda call, given: ("json_extract(data, '$.managed') = ?", [given[-1]]),
    },
)


def default_settings(call: Call) -> Answer:
    """Answer the settings that a new outpost may start from."""
    return Answer({"config": outposts.DEFAULT_CONFIG | {"authentik_host": f"{call.base_url}/"}})


def outpost_health(call: Call) -> Answer:
    """Answer what an outpost's processes last said of themselves."""
    return Answer(outposts.health(OUTPOSTS.one(call)))


def represent_sources(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return sources as the API shows them, without their secrets."""
    shown = []
    for item in plain(call, rows):
        kind = item["provider_type"]
        shown.append(
            item
            | {
                "icon_url": item["icon"] or f"/static/authentik/sources/{kind}.svg",
                "icon_themed_urls": None,
                "callback_url": f"{call.base_url}/source/oauth/callback/{item['slug']}/",
                "type": source_type(kind),
            }
        )
    return shown


def source_type(kind: str) -> dict[str, Any]:
    """Return what a kind of source knows by itself."""
    return {
        "name": kind,
        "verbose_name": _TYPES.get(kind, kind),
        "urls_customizable": kind == "openidconnect",
        "request_token_url": None,
        "authorization_url": None,
        "access_token_url": None,
        "profile_url": None,
        "oidc_well_known_url": None,
        "oidc_jwks_url": None,
    }


def validate_source(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Check that a source knows all its addresses."""
    together = {**(instance or {}), **cleaned}
    if together["provider_type"] != "openidconnect":
        invalid({"provider_type": ["This server connects to sources by OpenID Connect only."]})
    for name in _URLS:
        if not together.get(name):
            invalid({"non_field_errors": [f"{name} is required for provider OpenID Connect"]})
    return cleaned


SOURCES = Views(
    model=by_name(OAUTH_SOURCE),
    path="sources/oauth",
    represent=represent_sources,
    validate=validate_source,
    filter_fields=(
        "name",
        "slug",
        "enabled",
        "authentication_flow",
        "enrollment_flow",
        "user_matching_mode",
        "provider_type",
        "consumer_key",
        "pkce",
    ),
)


def represent_all_sources(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return sources of any kind as the API shows them together."""
    own = {
        "provider_type",
        "request_token_url",
        *_URLS,
        "pkce",
        "consumer_key",
        "callback_url",
        "additional_scopes",
        "type",
        "oidc_well_known_url",
        "oidc_jwks_url",
        "oidc_jwks",
        "authorization_code_auth_method",
        "group_matching_mode",
    }
    return [
        {name: v for name, v in item.items() if name not in own} for item in represent_sources(call, rows)
    ]


ALL_SOURCES = Views(
    model=by_name(SOURCE),
    path="sources/all",
    represent=represent_all_sources,
    methods=("list", "retrieve", "destroy", "used_by"),
    filter_fields=("slug", "name", "managed"),
)


def represent_connections(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return whose account at a source is whose here."""
    sources = call.tx.many(SOURCE, [row["source"] for row in rows])
    shown = {row["pk"]: represent_all_sources(call, [row])[0] for row in sources.values()}
    return [item | {"source_obj": shown[item["source"]], "expires": None} for item in plain(call, rows)]


CONNECTIONS = Views(
    model=by_name(CONNECTION),
    path="sources/user_connections/oauth",
    represent=represent_connections,
    owner_field="user",
    filter_fields=("user", "identifier"),
    filters={
        "source__slug": lambda call, given: (
            "json_extract(data, '$.source') = ?",
            [(call.tx.find(OAUTH_SOURCE, slug=given[-1]) or {"pk": ""})["pk"]],
        )
    },
)


def represent_keypairs(call: Call, rows: list[Row]) -> list[dict[str, Any]]:
    """Return key pairs as the API shows them, without keys."""
    shown = []
    for row in rows:
        base = f"/api/v3/crypto/certificatekeypairs/{row['pk']}"
        details = keypairs.details(row["certificate_data"])
        shown.append(
            {
                "pk": row["pk"],
                "name": row["name"],
                **details,
                "private_key_available": bool(row["key_data"]),
                "certificate_download_url": f"{base}/view_certificate/?download",
                "private_key_download_url": f"{base}/view_private_key/?download",
                "managed": row["managed"],
            }
        )
    return shown


def validate_keypair(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Check that a certificate and its key belong together."""
    together = {**(instance or {}), **cleaned}
    try:
        keypairs.check(together.get("certificate_data"), together.get("key_data"))
    except Invalid as error:
        invalid(error.detail)
    return cleaned


KEYPAIRS = Views(
    model=by_name(KEYPAIR),
    path="crypto/certificatekeypairs",
    represent=represent_keypairs,
    validate=validate_keypair,
    filter_fields=("name", "managed"),
    filters={
        "has_key": lambda call, given: (
            f"coalesce(json_extract(data, '$.key_data'), '') {'!=' if given[-1] == 'true' else '='} ''",
            [],
        )
    },
)


def generate(call: Call) -> Answer:
    """Make a key pair with a self-signed certificate."""
    if not call.rights.has("authentik_crypto.add_certificatekeypair"):
        denied()
    wanted = {"common_name": Text(), "validity_days": Int(minimum=1)}
    errors: dict[str, Any] = {name: ["This field is required."] for name in wanted if name not in call.data}
    values: dict[str, Any] = {}
    for name in wanted.keys() - errors.keys():
        try:
            values[name] = wanted[name].clean(call.data[name], call.tx)
        except Invalid as error:
            errors[name] = error.detail
    algorithm = call.data.get("alg", "rsa")
    if algorithm not in ("rsa", "ecdsa"):
        errors["alg"] = [f'"{algorithm}" is not a valid choice.']
    if call.tx.find(KEYPAIR, name=values.get("common_name")):
        errors["common_name"] = ["This name is already in use."]
    if errors:
        invalid(errors)
    names = tuple(part for part in str(call.data.get("subject_alt_name", "")).split(",") if part)
    made = keypairs.generate(values["common_name"], values["validity_days"], algorithm, names)
    row = call.tx.insert(KEYPAIR, made)
    events.model_changed(call.tx, "model_created", row, call.caller, call.client_ip)
    return Answer(represent_keypairs(call, [row])[0])


def view_certificate(call: Call) -> Answer:
    """Answer a certificate."""
    return _secret(call, "certificate", "certificate_data")


def view_private_key(call: Call) -> Answer:
    """Answer a private key."""
    return _secret(call, "key", "key_data")


def _secret(call: Call, what: str, field: str) -> Answer:
    row = KEYPAIRS.one(call, f"authentik_crypto.view_certificatekeypair_{what}")
    context = {"secret": events.describe(row), "type": what}
    events.record(call.tx, "secret_view", "authentik.crypto.api", call.caller, context)
    return Answer({"data": row[field]})


def validate_brand(call: Call, instance: Row | None, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Check that there is one default brand only."""
    default = call.tx.find(BRAND, default=True)
    if cleaned.get("default") and default and (instance is None or default["pk"] != instance["pk"]):
        invalid({"default": ["Only a single brand can be set as default."]})
    return cleaned


BRANDS = Views(
    model=by_name(BRAND),
    path="core/brands",
    represent=plain,
    validate=validate_brand,
    filter_fields=("brand_uuid", "domain", "default", "branding_title"),
)


def current_brand(call: Call) -> Answer:
    """Answer the brand of the name by which the server was called."""
    host = call.base_url.partition("://")[2].partition(":")[0]
    matching = [
        row for row in call.tx.rows(BRAND) if host == row["domain"] or host.endswith(f".{row['domain']}")
    ]
    brand = max(matching, key=lambda row: len(row["domain"]), default=call.tx.find(BRAND, default=True))
    if brand is None:
        brand = {name: kind.initial() for name, kind in by_name(BRAND).fields.items()} | {
            "domain": "fallback"
        }
    flows = {
        name: call.tx.get(FLOW, str(value))
        for name, value in brand.items()
        if name.startswith("flow_") and value
    }
    settings = call.tx.find("authentik_core.settings") or {}
    return Answer(
        {
            "matched_domain": brand["domain"],
            **{
                name: brand[name]
                for name in (
                    "branding_title",
                    "branding_logo",
                    "branding_favicon",
                    "branding_custom_css",
                    "branding_map_tiles",
                )
            },
            "branding_logo_themed_urls": None,
            "branding_favicon_themed_urls": None,
            "ui_footer_links": settings.get("footer_links", []),
            "ui_theme": "automatic",
            **{name: flow["slug"] for name, flow in flows.items() if flow},
            "default_locale": "",
            "flags": {
                "policies_buffered_access_view": False,
                "flows_continuous_login": False,
                "flows_refresh_others": False,
            },
        }
    )


def routes() -> list[Route]:
    """Return the paths of outposts, sources, certificates and brands."""
    return [
        *OUTPOSTS.routes(
            route("outposts/instances/default_settings/", get=default_settings),
            route("outposts/instances/{pk}/health/", get=outpost_health),
        ),
        *SOURCES.routes(),
        *ALL_SOURCES.routes(),
        *CONNECTIONS.routes(),
        *KEYPAIRS.routes(
            route("crypto/certificatekeypairs/generate/", post=generate),
            route("crypto/certificatekeypairs/{pk}/view_certificate/", recording=True, get=view_certificate),
            route("crypto/certificatekeypairs/{pk}/view_private_key/", recording=True, get=view_private_key),
        ),
        *BRANDS.routes(route("core/brands/current/", public=True, get=current_brand)),
    ]
