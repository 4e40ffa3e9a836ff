"""What a fresh server has: the administrator, a brand, default flows, scopes and a key pair."""

from typing import Any

from . import accounts, keypairs, outposts, passwords
from .models.connections import OUTPOST, SCOPE
from .models.core import BRAND, FLOW, GROUP, KEYPAIR, ROLE, TOKEN, USER
from .models.flows import STAGE_BINDING
from .models.operations import RULE, TRANSPORT
from .settings import Settings
from .store import Store, Tx

#: The administrator that a first start makes.
ADMINISTRATOR = "akadmin"
SETTINGS = "authentik_core.settings"
# The stages of the default flows: slug, name, title, designation, who may enter, stages in order.
_FLOWS: list[tuple[str, str, str, str, str, list[tuple[int, str, dict[str, Any]]]]] = [
    (
        "default-authentication-flow",
        "Welcome to authentik!",
        "Welcome to authentik!",
        "authentication",
        "none",
        [
            (
                10,
                "authentik_stages_identification.identificationstage",
                {"name": "default-authentication-identification", "user_fields": ["email", "username"]},
            ),
            (
                20,
                "authentik_stages_password.passwordstage",
                {
                    "name": "default-authentication-password",
                    "backends": [
                        "authentik.core.auth.InbuiltBackend",
                        "authentik.sources.ldap.auth.LDAPBackend",
                        "authentik.core.auth.TokenBackend",
                    ],
                },
            ),
            (
                30,
                "authentik_stages_authenticator_validate.authenticatorvalidatestage",
                {"name": "default-authentication-mfa-validation"},
            ),
            (100, "authentik_stages_user_login.userloginstage", {"name": "default-authentication-login"}),
        ],
    ),
    (
        "default-invalidation-flow",
        "Logout",
        "Default Invalidation Flow",
        "invalidation",
        "none",
        [(0, "authentik_stages_user_logout.userlogoutstage", {"name": "default-invalidation-logout"})],
    ),
    (
        "default-provider-authorization-explicit-consent",
        "Authorize Application",
        "Redirecting to %(app)s",
        "authorization",
        "require_authenticated",
        [
            (
                0,
                "authentik_stages_consent.consentstage",
                {"name": "default-provider-authorization-consent", "mode": "always_require"},
            )
        ],
    ),
    (
        "default-provider-authorization-implicit-consent",
        "Authorize Application",
        "Redirecting to %(app)s",
        "authorization",
        "require_authenticated",
        [],
    ),
    (
        "default-provider-invalidation-flow",
        "Logged out of application",
        "You've logged out of %(app)s.",
        "invalidation",
        "none",
        [],
    ),
    (
        "default-authenticator-totp-setup",
        "default-authenticator-totp-setup",
        "Set up Two-Factor authentication",
        "stage_configuration",
        "require_authenticated",
        [
            (
                0,
                "authentik_stages_authenticator_totp.authenticatortotpstage",
                {"name": "default-authenticator-totp-setup", "friendly_name": "TOTP Authenticator"},
            )
        ],
    ),
    (
        "default-authenticator-static-setup",
        "default-authenticator-static-setup",
        "Setup Static OTP Tokens",
        "stage_configuration",
        "require_authenticated",
        [
            (
                0,
                "authentik_stages_authenticator_static.authenticatorstaticstage",
                {"name": "default-authenticator-static-setup", "friendly_name": "Static tokens"},
            )
        ],
    ),
    (
        "default-source-authentication",
        "Welcome to authentik!",
        "Welcome to authentik!",
        "authentication",
        "require_unauthenticated",
        [(0, "authentik_stages_user_login.userloginstage", {"name": "default-source-authentication-login"})],
    ),
    (
        "default-source-enrollment",
        "Welcome to authentik! Please select a username.",
        "Welcome to authentik! Please select a username.",
        "enrollment",
        "require_unauthenticated",
        [
            (
                1,
                "authentik_stages_user_write.userwritestage",
                {"name": "default-source-enrollment-write", "create_users_as_inactive": False},
            ),
            (2, "authentik_stages_user_login.userloginstage", {"name": "default-source-enrollment-login"}),
        ],
    ),
]
_SCOPES = [
    (
        "goauthentik.io/providers/oauth2/scope-openid",
        "authentik default OAuth Mapping: OpenID 'openid'",
        "openid",
        "",
        "return {}",
    ),
    (
        "goauthentik.io/providers/oauth2/scope-email",
        "authentik default OAuth Mapping: OpenID 'email'",
        "email",
        "Email address",
        'return {"email": request.user.email, "email_verified": False}',
    ),
    (
        "goauthentik.io/providers/oauth2/scope-profile",
        "authentik default OAuth Mapping: OpenID 'profile'",
        "profile",
        "General Profile Information",
        'return {"name": request.user.name, "given_name": request.user.name,'
        ' "preferred_username": request.user.username, "nickname": request.user.username,'
        ' "groups": [group.name for group in request.user.groups.all()]}',
    ),
    (
        "goauthentik.io/providers/oauth2/scope-offline_access",
        "authentik default OAuth Mapping: OpenID 'offline_access'",
        "offline_access",
        "Access to request new tokens without interaction",
        "return {}",
    ),
    (
        "goauthentik.io/providers/oauth2/scope-entitlements",
        "authentik default OAuth Mapping: Application Entitlements",
        "entitlements",
        "Application entitlements",
        'return {"entitlements": [], "roles": []}',
    ),
    (
        "goauthentik.io/providers/oauth2/scope-authentik_api",
        "authentik default OAuth Mapping: authentik API access",
        "goauthentik.io/api",
        "authentik API Access on behalf of your user",
        "return {}",
    ),
]


def prepare(store: Store, settings: Settings) -> None:
    """Make the tables and, on the first start, what a fresh server has."""
    store.create()
    with store.write() as tx:
        if tx.find(SETTINGS) is None:
            tx.insert(SETTINGS, {"avatars": settings.avatars} if settings.avatars else {})
            _people(tx, settings)
            _flows(tx)
            for managed, name, scope, description, expression in _SCOPES:
                tx.insert(
                    SCOPE,
                    {
                        "managed": managed,
                        "name": name,
                        "scope_name": scope,
                        "description": description,
                        "expression": expression,
                    },
                )
            tx.insert(KEYPAIR, keypairs.generate("authentik Self-signed Certificate", 365, "rsa"))
            _notifications(tx)


def _people(tx: Tx, settings: Settings) -> None:
    # Upstream's first two accounts are of its own, and no list shows them.
    tx.connection.execute("INSERT INTO sequences (family, last) VALUES (?, 2)", (USER,))
    read_only = tx.insert(ROLE, {"name": "authentik Read-only"})
    administrator = tx.insert(
        USER,
        {
            "username": ADMINISTRATOR,
            "name": "authentik Default Admin",
            "email": settings.bootstrap_email,
            "password": settings.bootstrap_password_hash or passwords.UNUSABLE,
        },
    )
    if settings.bootstrap_password and not settings.bootstrap_password_hash:
        accounts.set_password(tx, administrator["pk"], settings.bootstrap_password)
    tx.insert(GROUP, {"name": "authentik Admins", "is_superuser": True, "users": [administrator["pk"]]})
    tx.insert(
        GROUP,
        {
            "name": "authentik Read-only",
            "attributes": {"notes": "Members may read everything.\n"},
            "roles": [read_only["pk"]],
        },
    )
    if settings.bootstrap_token:
        tx.insert(
            TOKEN,
            {
                "identifier": "authentik-bootstrap-token",
                "user": administrator["pk"],
                "expires": accounts.default_expiry(tx),
                "expiring": False,
                "key": settings.bootstrap_token,
            },
        )
    embedded = tx.insert(
        OUTPOST,
        {
            "name": "authentik Embedded Outpost",
            "type": "proxy",
            "providers": [],
            "config": outposts.DEFAULT_CONFIG,
            "managed": "goauthentik.io/outposts/embedded",
        },
    )
    outposts.settle(tx, embedded)


def _flows(tx: Tx) -> None:
    made = {}
    for slug, name, title, designation, authentication, stages in _FLOWS:
        flow = tx.insert(
            FLOW,
            {
                "slug": slug,
                "name": name,
                "title": title,
                "designation": designation,
                "authentication": authentication,
            },
        )
        made[slug] = flow["pk"]
        for order, model, values in stages:
            stage = tx.insert(model, values)
            tx.insert(STAGE_BINDING, {"target": flow["pk"], "stage": stage["pk"], "order": order})
    tx.insert(
        BRAND,
        {
            "domain": "authentik-default",
            "default": True,
            "flow_authentication": made["default-authentication-flow"],
            "flow_invalidation": made["default-invalidation-flow"],
        },
    )


def _notifications(tx: Tx) -> None:
    for name, mode in (("default-email-transport", "email"), ("default-local-transport", "local")):
        tx.insert(TRANSPORT, {"name": name, "mode": mode})
    administrators = tx.find(GROUP, name="authentik Admins")
    local = tx.find(TRANSPORT, name="default-local-transport")
    tx.insert(
        RULE,
        {
            "name": "default-notify-exception",
            "severity": "alert",
            "transports": [local["pk"]] if local else [],
            "destination_group": administrators["pk"] if administrators else None,
        },
    )
