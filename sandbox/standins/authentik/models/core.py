"""People, groups, roles, tokens, sessions, brands, applications."""

import secrets
import uuid

from .. import clock
from .fields import Bool, Choice, Int, Invalid, Json, Many, Ref, Text, Time, Uuid, duration, email, slug, url
from .registry import Model, register

USER, GROUP, ROLE = "authentik_core.user", "authentik_core.group", "authentik_rbac.role"
TOKEN, SESSION = "authentik_core.token", "authentik_core.authenticatedsession"
BRAND, APPLICATION = "authentik_brands.brand", "authentik_core.application"
FLOW, PROVIDER, SOURCE = "authentik_flows.flow", "authentik_core.provider", "authentik_core.source"
KEYPAIR = "authentik_crypto.certificatekeypair"
POLICY_MODES = ("all", "any")
USER_TYPES = ("internal", "external", "service_account", "internal_service_account")
INTENTS = ("verification", "api", "recovery", "app_password")


def new_uuid() -> str:
    """Return a new random UUID."""
    return str(uuid.uuid4())


def key(length: int = 60) -> str:
    """Return a new secret of letters and digits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _path(value: str) -> None:
    if value.startswith("/") or value.endswith("/"):
        raise Invalid(["No leading or trailing slashes allowed."])
    if any(not part for part in value.split("/")):
        raise Invalid(["No empty segments in user path allowed."])


def _ascii_slug(value: str) -> None:
    try:
        slug(value)
    except Invalid:
        raise Invalid(
            ['Enter a valid "slug" consisting of letters, numbers, underscores or hyphens.']
        ) from None


def _launch_url(value: str) -> None:
    url(value.replace("%(", "").replace(")s", ""))


def managed(*, unique: bool = False, read_only: bool = False) -> Text:
    """Return the field that names what ships an object."""
    return Text(default=None, null=True, unique=unique, read_only=read_only)


register(
    Model(
        name=USER,
        title="User",
        plural="Users",
        integer_key=True,
        display="username",
        search=("username", "name", "email", "uuid", "attributes"),
        ordering=("username",),
        fields={
            "username": Text(max_length=150, unique=True),
            "name": Text(blank=True),
            "is_active": Bool(default=True),
            "last_login": Time(default=None, null=True),
            "date_joined": Time(default=clock.now, read_only=True),
            "email": Text(default="", blank=True, max_length=254, validators=(email,)),
            "attributes": Json(default={}),
            "path": Text(default="users", validators=(_path,)),
            "type": Choice(default="internal", choices=USER_TYPES),
            "uuid": Uuid(default=new_uuid, read_only=True, unique=True),
            "password": Text(default="!", hidden=True),
            "password_change_date": Time(default=clock.now, read_only=True),
            "last_updated": Time(default=clock.now, read_only=True),
        },
    ),
    Model(
        name=GROUP,
        title="Group",
        plural="Groups",
        search=("name", "is_superuser"),
        fields={
            "name": Text(unique=True),
            "is_superuser": Bool(default=False),
            "parents": Many(default=[], to=GROUP),
            "users": Many(default=[], to=USER),
            "attributes": Json(default={}),
            "roles": Many(default=[], to=ROLE),
        },
    ),
    Model(
        name=ROLE,
        title="Role",
        plural="Roles",
        fields={
            "name": Text(unique=True),
            "users": Many(default=[], to=USER, hidden=True),
            "permissions": Json(default=[], mapping=False, hidden=True),
        },
    ),
    Model(
        name=TOKEN,
        title="Token",
        plural="Tokens",
        lookup="identifier",
        display="identifier",
        search=("identifier", "intent", "description"),
        ordering=("identifier", "expires"),
        fields={
            "managed": managed(unique=True),
            "identifier": Text(max_length=255, unique=True, validators=(_ascii_slug,)),
            "intent": Choice(default="api", choices=INTENTS),
            "user": Ref(default=None, to=USER),
            "description": Text(default="", blank=True),
            "expires": Time(default=None, null=True),
            "expiring": Bool(default=True),
            "key": Text(default=key, hidden=True),
        },
    ),
    Model(
        name=SESSION,
        title="Authenticated Session",
        plural="Authenticated Sessions",
        key="uuid",
        display="last_ip",
        search=("last_ip", "last_user_agent"),
        ordering=("last_used",),
        fields={
            "session_key": Text(default=key, hidden=True, unique=True),
            "user": Ref(to=USER),
            "last_ip": Text(default="127.0.0.1"),
            "last_user_agent": Text(default="", blank=True),
            "last_used": Time(default=clock.now),
            "expires": Time(default=None, null=True),
            "data": Json(default={}, hidden=True),
        },
    ),
    Model(
        name=BRAND,
        title="Brand",
        plural="Brands",
        key="brand_uuid",
        lookup="brand_uuid",
        display="domain",
        search=("domain", "branding_title"),
        ordering=("domain",),
        fields={
            "domain": Text(unique=True),
            "default": Bool(default=False),
            "branding_title": Text(default="authentik"),
            "branding_logo": Text(default="/static/dist/assets/icons/icon_left_brand.svg"),
            "branding_favicon": Text(default="/static/dist/assets/icons/icon.png"),
            "branding_custom_css": Text(default="", blank=True, trim=False),
            "branding_default_flow_background": Text(
                default="/static/dist/assets/images/flow_background.jpg"
            ),
            "branding_map_tiles": Text(default="", blank=True),
            **{
                f"flow_{purpose}": Ref(default=None, null=True, to=FLOW, on_delete="set_null")
                for purpose in (
                    "authentication",
                    "user_switch",
                    "invalidation",
                    "recovery",
                    "unenrollment",
                    "user_settings",
                    "device_code",
                    "lockdown",
                    "request",
                )
            },
            "default_application": Ref(default=None, null=True, to=APPLICATION, on_delete="set_null"),
            "web_certificate": Ref(default=None, null=True, to=KEYPAIR, on_delete="set_null"),
            "client_certificates": Many(default=[], to=KEYPAIR),
            "attributes": Json(default={}),
        },
    ),
    Model(
        name=APPLICATION,
        title="Application",
        plural="Applications",
        lookup="slug",
        search=("name", "slug", "meta_launch_url", "meta_description", "meta_publisher", "group"),
        fields={
            "name": Text(),
            "slug": Text(unique=True, validators=(slug,)),
            "provider": Ref(default=None, null=True, to=PROVIDER, on_delete="set_null", unique=True),
            "backchannel_providers": Many(default=[], to=PROVIDER),
            "open_in_new_tab": Bool(default=False),
            "meta_launch_url": Text(default="", blank=True, validators=(_launch_url,)),
            "meta_icon": Text(default="", blank=True),
            "meta_description": Text(default="", blank=True),
            "meta_publisher": Text(default="", blank=True),
            "policy_engine_mode": Choice(default="any", choices=POLICY_MODES),
            "group": Text(default="", blank=True),
            "meta_hide": Bool(default=False),
        },
    ),
    Model(
        name=KEYPAIR,
        title="Certificate-Key Pair",
        plural="Certificate-Key Pairs",
        fields={
            "name": Text(unique=True),
            "certificate_data": Text(write_only=True),
            "key_data": Text(default="", blank=True, write_only=True),
            "managed": managed(read_only=True, unique=True),
        },
    ),
    Model(
        name="authentik_rbac.objectpermission",
        title="Object permission",
        plural="Object permissions",
        integer_key=True,
        display="permission",
        search=("permission",),
        ordering=("pk",),
        unique_together=(("role", "permission", "object_pk"),),
        fields={
            "role": Ref(to=ROLE),
            "permission": Text(),
            "object_model": Text(),
            "object_pk": Text(),
        },
    ),
    Model(
        name="authentik_core.settings",
        title="Settings",
        plural="Settings",
        display="avatars",
        search=(),
        ordering=("pk",),
        fields={
            "avatars": Text(default="gravatar,initials"),
            "default_user_change_name": Bool(default=True),
            "default_user_change_email": Bool(default=False),
            "default_user_change_username": Bool(default=False),
            "event_retention": Text(default="days=365", validators=(duration,)),
            "reputation_lower_limit": Int(default=-5),
            "reputation_upper_limit": Int(default=5),
            "footer_links": Json(default=[], mapping=False),
            "gdpr_compliance": Bool(default=True),
            "impersonation": Bool(default=True),
            "impersonation_require_reason": Bool(default=True),
            "default_token_duration": Text(default="minutes=30", validators=(duration,)),
            "default_token_length": Int(default=60, minimum=1),
            "pagination_default_page_size": Int(default=20, minimum=1),
            "pagination_max_page_size": Int(default=100, minimum=1),
            "base_url": Text(default="", blank=True, max_length=200),
            "flags": Json(
                default={
                    "core_default_app_access": True,
                    "enterprise_audit_include_expanded_diff": False,
                    "flows_continuous_login": False,
                    "flows_refresh_others": False,
                }
            ),
        },
    ),
)
