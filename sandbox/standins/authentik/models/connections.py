"""Providers, sources, outposts, property mappings; what OAuth leaves behind."""

from .. import clock
from .core import FLOW, GROUP, KEYPAIR, POLICY_MODES, PROVIDER, SESSION, SOURCE, USER, key, managed
from .fields import (
    Bool,
    Choice,
    Field,
    Int,
    Invalid,
    Json,
    ListOf,
    Many,
    Nested,
    Ref,
    Text,
    Time,
    duration,
    expression,
    slug,
)
from .registry import Model, register

MAPPING, OUTPOST = "authentik_core.propertymapping", "authentik_outposts.outpost"
OAUTH2, LDAP = "authentik_providers_oauth2.oauth2provider", "authentik_providers_ldap.ldapprovider"
SCOPE, OAUTH_SOURCE = "authentik_providers_oauth2.scopemapping", "authentik_sources_oauth.oauthsource"
CONNECTION = "authentik_sources_oauth.useroauthsourceconnection"
GRANTS = (
    "authorization_code",
    "implicit",
    "hybrid",
    "refresh_token",
    "client_credentials",
    "password",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
)


def _mapping(name: str, title: str, component: str, **fields: Field) -> Model:
    return Model(
        name=name,
        base=MAPPING,
        title=title,
        plural=f"{title}s",
        component=component,
        fields={
            "managed": managed(unique=True),
            "name": Text(unique=True),
            "expression": Text(trim=False, validators=(expression,)),
            **fields,
        },
    )


def _provider(name: str, title: str, component: str, **fields: Field) -> Model:
    return Model(
        name=name,
        base=PROVIDER,
        title=title,
        plural=f"{title}s",
        component=component,
        integer_key=True,
        fields={
            "name": Text(unique=True),
            "authentication_flow": Ref(default=None, null=True, to=FLOW, on_delete="set_null"),
            "authorization_flow": Ref(to=FLOW),
            "invalidation_flow": Ref(to=FLOW),
            "property_mappings": Many(default=[], to=MAPPING),
            **fields,
        },
    )


def _no_spaces(value: str) -> None:
    if " " in value:
        raise Invalid(["Value must not contain spaces."])


register(
    Model(
        name=PROVIDER,
        title="Provider",
        plural="Providers",
        abstract=True,
        integer_key=True,
        fields={"name": Text()},
    ),
    Model(name=SOURCE, title="Source", plural="Sources", abstract=True, fields={"name": Text()}),
    Model(
        name=MAPPING,
        title="Property Mapping",
        plural="Property Mappings",
        abstract=True,
        fields={"name": Text()},
    ),
    _mapping(
        SCOPE,
        "Scope Mapping",
        "ak-property-mapping-provider-scope-form",
        scope_name=Text(validators=(_no_spaces,)),
        description=Text(default="", blank=True),
    ),
    _mapping(
        "authentik_sources_oauth.oauthsourcepropertymapping",
        "OAuth Source Property Mapping",
        "ak-property-mapping-source-oauth-form",
    ),
    _mapping(
        "authentik_events.notificationwebhookmapping",
        "Webhook Mapping",
        "ak-property-mapping-notification-form",
    ),
    _provider(
        OAUTH2,
        "OAuth2/OpenID Provider",
        "ak-provider-oauth2-form",
        client_type=Choice(default="confidential", choices=("confidential", "public")),
        grant_types=ListOf(default=list(GRANTS[:4]), item=Choice(choices=GRANTS)),
        client_id=Text(default=lambda: key(40), max_length=255, unique=True),
        client_secret=Text(default=lambda: key(128), blank=True, max_length=255),
        access_code_validity=Text(default="minutes=1", validators=(duration,)),
        access_token_validity=Text(default="hours=1", validators=(duration,)),
        refresh_token_validity=Text(default="days=30", validators=(duration,)),
        refresh_token_threshold=Text(default="seconds=0", validators=(duration,)),
        include_claims_in_id_token=Bool(default=True),
        signing_key=Ref(default=None, null=True, to=KEYPAIR, on_delete="set_null"),
        encryption_key=Ref(default=None, null=True, to=KEYPAIR, on_delete="set_null"),
        redirect_uris=ListOf(
            item=Nested(
                fields={
                    "matching_mode": Choice(choices=("strict", "regex")),
                    "url": Text(),
                    "redirect_uri_type": Choice(default="authorization", choices=("authorization", "logout")),
                }
            )
        ),
        logout_uri=Text(default="", blank=True),
        logout_method=Choice(default="backchannel", choices=("backchannel", "frontchannel")),
        sub_mode=Choice(
            default="hashed_user_id",
            choices=("hashed_user_id", "user_id", "user_uuid", "user_username", "user_email", "user_upn"),
        ),
        issuer_mode=Choice(default="per_provider", choices=("global", "per_provider")),
        jwt_federation_sources=Many(default=[], to=SOURCE),
        jwt_federation_providers=Many(default=[], to=PROVIDER),
    ),
    _provider(
        LDAP,
        "LDAP Provider",
        "ak-provider-ldap-form",
        base_dn=Text(default="DC=ldap,DC=goauthentik,DC=io"),
        certificate=Ref(default=None, null=True, to=KEYPAIR, on_delete="set_null"),
        tls_server_name=Text(default="", blank=True),
        uid_start_number=Int(default=2000),
        gid_start_number=Int(default=4000),
        search_mode=Choice(default="direct", choices=("direct", "cached")),
        bind_mode=Choice(default="direct", choices=("direct", "cached")),
        mfa_support=Bool(default=True),
    ),
    Model(
        name=OUTPOST,
        title="Outpost",
        plural="Outposts",
        search=("name", "providers"),
        fields={
            "name": Text(unique=True),
            "type": Choice(choices=("proxy", "ldap", "radius", "rac")),
            "providers": Many(to=PROVIDER),
            "config": Json(),
            "managed": managed(unique=True),
            "service_account": Ref(default=None, null=True, to=USER, on_delete="set_null", hidden=True),
            "health": Json(default=[], mapping=False, hidden=True),
        },
    ),
    Model(
        name=OAUTH_SOURCE,
        base=SOURCE,
        title="OAuth Source",
        plural="OAuth Sources",
        component="ak-source-oauth-form",
        lookup="slug",
        search=("name", "slug"),
        fields={
            "name": Text(),
            "slug": Text(unique=True, validators=(slug,)),
            "enabled": Bool(default=True),
            "promoted": Bool(default=False),
            "authentication_flow": Ref(default=None, null=True, to=FLOW, on_delete="set_null"),
            "enrollment_flow": Ref(default=None, null=True, to=FLOW, on_delete="set_null"),
            "user_property_mappings": Many(default=[], to=MAPPING),
            "group_property_mappings": Many(default=[], to=MAPPING),
            "policy_engine_mode": Choice(default="any", choices=POLICY_MODES),
            "user_matching_mode": Choice(
                default="identifier",
                choices=("identifier", "email_link", "email_deny", "username_link", "username_deny"),
            ),
            "managed": managed(read_only=True, unique=True),
            "user_path_template": Text(default="goauthentik.io/sources/%(slug)s"),
            "icon": Text(default="", blank=True),
            "group_matching_mode": Choice(
                default="identifier", choices=("identifier", "name_link", "name_deny")
            ),
            "provider_type": Choice(
                choices=("openidconnect", "entraid", "github", "gitlab", "google", "okta")
            ),
            "request_token_url": Text(default=None, null=True, blank=True),
            "authorization_url": Text(default=None, null=True, blank=True),
            "access_token_url": Text(default=None, null=True, blank=True),
            "profile_url": Text(default=None, null=True, blank=True),
            "pkce": Choice(default="none", choices=("none", "plain", "S256")),
            "consumer_key": Text(),
            "consumer_secret": Text(write_only=True),
            "additional_scopes": Text(default="", blank=True),
            "oidc_well_known_url": Text(default="", blank=True),
            "oidc_jwks_url": Text(default="", blank=True),
            "oidc_jwks": Json(default={}),
            "authorization_code_auth_method": Choice(
                default="basic_auth", choices=("basic_auth", "post_body")
            ),
        },
    ),
    Model(
        name=CONNECTION,
        title="User OAuth Source Connection",
        plural="User OAuth Source Connections",
        integer_key=True,
        display="identifier",
        search=("identifier",),
        ordering=("pk",),
        unique_together=(("source", "identifier"),),
        fields={
            "user": Ref(to=USER),
            "source": Ref(to=SOURCE),
            "identifier": Text(max_length=255),
            "created": Time(default=clock.now, read_only=True),
            "last_updated": Time(default=clock.now, read_only=True),
        },
    ),
    Model(
        name="authentik_sources_oauth.groupoauthsourceconnection",
        title="Group OAuth Source Connection",
        plural="Group OAuth Source Connections",
        integer_key=True,
        display="identifier",
        search=("identifier",),
        ordering=("pk",),
        fields={"group": Ref(to=GROUP), "source": Ref(to=SOURCE), "identifier": Text()},
    ),
    *(
        Model(
            name=f"authentik_providers_oauth2.{name}",
            title=title,
            plural=f"{title}s",
            integer_key=True,
            display="provider",
            search=(),
            ordering=("pk",),
            fields={
                "token": Text(hidden=True, unique=True),
                "provider": Ref(to=PROVIDER),
                "user": Ref(to=USER),
                "session": Ref(default=None, null=True, to=SESSION),
                "scope": ListOf(default=[], item=Text()),
                "auth_time": Time(default=clock.now),
                "expires": Time(default=None, null=True),
                "revoked": Bool(default=False),
                "data": Json(default={}, hidden=True),
            },
        )
        for name, title in (
            ("authorizationcode", "Authorization Code"),
            ("accesstoken", "OAuth2 Access Token"),
            ("refreshtoken", "OAuth2 Refresh Token"),
        )
    ),
)
