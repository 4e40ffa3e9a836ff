"""Flows, their stages and policies, and what binds them together."""

from typing import Any

from .. import clock
from .core import FLOW, GROUP, POLICY_MODES, SOURCE, USER, USER_TYPES, new_uuid
from .fields import (
    Bool,
    Choice,
    Field,
    Int,
    Json,
    ListOf,
    Many,
    Ref,
    Text,
    Time,
    Uuid,
    duration,
    expression,
    slug,
)
from .registry import Model, register

STAGE, POLICY = "authentik_flows.stage", "authentik_policies.policy"
BINDING, STAGE_BINDING = "authentik_policies.policybinding", "authentik_flows.flowstagebinding"
PROMPT = "authentik_stages_prompt.prompt"
#: What a policy binding's target can be: models with a key for it, and that key's name.
TARGETS = {
    FLOW: "policybindingmodel_ptr_id",
    STAGE_BINDING: "policybindingmodel_ptr_id",
    "authentik_core.application": "pk",
    SOURCE: "pk",
    "authentik_events.notificationrule": "pk",
}
DESIGNATIONS = (
    "authentication",
    "authorization",
    "invalidation",
    "enrollment",
    "unenrollment",
    "recovery",
    "stage_configuration",
)
_VERIFICATION = ("required", "preferred", "discouraged")


def _binding_key() -> Uuid:
    return Uuid(default=new_uuid, read_only=True, unique=True)


def _flow() -> Ref:
    return Ref(default=None, null=True, to=FLOW, on_delete="set_null")


def _stage(name: str, title: str, component: str, plural: str = "", **fields: Field) -> Model:
    return Model(
        name=name,
        base=STAGE,
        title=title,
        plural=plural or f"{title}s",
        component=component,
        fields={"name": Text(unique=True), **fields},
    )


def _policy(name: str, title: str, component: str, **fields: Field) -> Model:
    return Model(
        name=name,
        base=POLICY,
        title=title,
        plural=f"{title[:-1]}ies",
        component=component,
        fields={"name": Text(unique=True), "execution_logging": Bool(default=False), **fields},
    )


def _count(default: int) -> Int:
    return Int(default=default, minimum=0)


register(
    Model(
        name=FLOW,
        title="Flow",
        plural="Flows",
        lookup="slug",
        display="slug",
        search=("name", "slug", "designation", "title"),
        ordering=("slug",),
        fields={
            "policybindingmodel_ptr_id": _binding_key(),
            "name": Text(),
            "slug": Text(unique=True, validators=(slug,)),
            "title": Text(),
            "designation": Choice(choices=DESIGNATIONS),
            "background": Text(default="", blank=True),
            "policy_engine_mode": Choice(default="any", choices=POLICY_MODES),
            "compatibility_mode": Bool(default=False),
            "layout": Choice(
                default="stacked",
                choices=(
                    "stacked",
                    "content_left",
                    "content_right",
                    "sidebar_left",
                    "sidebar_right",
                    "sidebar_left_frame_background",
                    "sidebar_right_frame_background",
                ),
            ),
            "denied_action": Choice(
                default="message_continue", choices=("message_continue", "message", "continue")
            ),
            "authentication": Choice(
                default="none",
                choices=(
                    "none",
                    "require_authenticated",
                    "require_unauthenticated",
                    "require_superuser",
                    "require_redirect",
                    "require_outpost",
                    "require_token",
                ),
            ),
        },
    ),
    Model(name=STAGE, title="Stage", plural="Stages", abstract=True, fields={"name": Text()}),
    Model(name=POLICY, title="Policy", plural="Policies", abstract=True, fields={"name": Text()}),
    Model(
        name=STAGE_BINDING,
        title="Flow Stage Binding",
        plural="Flow Stage Bindings",
        display="order",
        search=("stage",),
        ordering=("target", "order"),
        unique_together=(("target", "stage", "order"),),
        fields={
            "policybindingmodel_ptr_id": _binding_key(),
            "target": Ref(to=FLOW),
            "stage": Ref(to=STAGE),
            "evaluate_on_plan": Bool(default=False),
            "re_evaluate_policies": Bool(default=True),
            "order": Int(),
            "policy_engine_mode": Choice(default="any", choices=POLICY_MODES),
            "invalid_response_action": Choice(
                default="retry", choices=("retry", "restart", "restart_with_context")
            ),
        },
    ),
    Model(
        name=BINDING,
        title="Policy Binding",
        plural="Policy Bindings",
        display="order",
        search=("policy",),
        ordering=("target", "order"),
        fields={
            "policy": Ref(default=None, null=True, to=POLICY),
            "group": Ref(default=None, null=True, to=GROUP),
            "user": Ref(default=None, null=True, to=USER),
            "target": Text(),
            "negate": Bool(default=False),
            "enabled": Bool(default=True),
            "order": Int(),
            "timeout": Int(default=30, minimum=0),
            "failure_result": Bool(default=False),
            "expires": Time(default=None, null=True, read_only=True),
            "expiring": Bool(default=False, read_only=True),
        },
    ),
    _stage(
        "authentik_stages_identification.identificationstage",
        "Identification Stage",
        "ak-stage-identification-form",
        user_fields=ListOf(default=[], item=Choice(choices=("email", "username", "upn"))),
        password_stage=Ref(default=None, null=True, to=STAGE, on_delete="set_null"),
        captcha_stage=Ref(default=None, null=True, to=STAGE, on_delete="set_null"),
        webauthn_stage=Ref(default=None, null=True, to=STAGE, on_delete="set_null"),
        case_insensitive_matching=Bool(default=True),
        show_matched_user=Bool(default=True),
        enrollment_flow=_flow(),
        recovery_flow=_flow(),
        passwordless_flow=_flow(),
        sources=Many(default=[], to=SOURCE),
        show_source_labels=Bool(default=False),
        pretend_user_exists=Bool(default=True),
        enable_remember_me=Bool(default=False),
    ),
    _stage(
        "authentik_stages_password.passwordstage",
        "Password Stage",
        "ak-stage-password-form",
        backends=ListOf(
            item=Choice(
                choices=(
                    "authentik.core.auth.InbuiltBackend",
                    "authentik.core.auth.TokenBackend",
                    "authentik.sources.ldap.auth.LDAPBackend",
                    "authentik.sources.kerberos.auth.KerberosBackend",
                )
            )
        ),
        configure_flow=_flow(),
        failed_attempts_before_cancel=Int(default=5),
        allow_show_password=Bool(default=False),
    ),
    _stage(
        "authentik_stages_prompt.promptstage",
        "Prompt Stage",
        "ak-stage-prompt-form",
        fields=Many(to=PROMPT),
        validation_policies=Many(default=[], to=POLICY),
    ),
    Model(
        name=PROMPT,
        title="Prompt",
        plural="Prompts",
        search=("field_key", "name", "label", "type", "placeholder"),
        ordering=("field_key",),
        fields={
            "name": Text(unique=True),
            "field_key": Text(),
            "label": Text(trim=False),
            "type": Choice(
                choices=(
                    "text",
                    "text_area",
                    "text_read_only",
                    "text_area_read_only",
                    "username",
                    "email",
                    "password",
                    "number",
                    "checkbox",
                    "radio-button-group",
                    "dropdown",
                    "date",
                    "date-time",
                    "file",
                    "separator",
                    "hidden",
                    "static",
                    "alert_info",
                    "alert_warning",
                    "alert_danger",
                    "ak-locale",
                )
            ),
            "required": Bool(default=True),
            "placeholder": Text(default="", blank=True, trim=False),
            "initial_value": Text(default="", blank=True, trim=False),
            "order": Int(default=0),
            "sub_text": Text(default="", blank=True, trim=False),
            "placeholder_expression": Bool(default=False),
            "initial_value_expression": Bool(default=False),
        },
    ),
    _stage(
        "authentik_stages_user_write.userwritestage",
        "User Write Stage",
        "ak-stage-user-write-form",
        user_creation_mode=Choice(
            default="create_when_required",
            choices=("never_create", "create_when_required", "always_create"),
        ),
        create_users_as_inactive=Bool(default=True),
        create_users_group=Ref(default=None, null=True, to=GROUP, on_delete="set_null"),
        user_type=Choice(default="external", choices=USER_TYPES),
        user_path_template=Text(default="", blank=True),
    ),
    _stage(
        "authentik_stages_user_login.userloginstage",
        "User Login Stage",
        "ak-stage-user-login-form",
        session_duration=Text(default="seconds=0", validators=(duration,)),
        terminate_other_sessions=Bool(default=False),
        remember_me_offset=Text(default="seconds=0", validators=(duration,)),
        network_binding=Choice(
            default="no_binding",
            choices=("no_binding", "bind_asn", "bind_asn_network", "bind_asn_network_ip"),
        ),
        geoip_binding=Choice(
            default="no_binding",
            choices=(
                "no_binding",
                "bind_continent",
                "bind_continent_country",
                "bind_continent_country_city",
            ),
        ),
        remember_device=Text(default="seconds=0", validators=(duration,)),
    ),
    _stage("authentik_stages_user_logout.userlogoutstage", "User Logout Stage", "ak-stage-user-logout-form"),
    _stage(
        "authentik_stages_consent.consentstage",
        "Consent Stage",
        "ak-stage-consent-form",
        mode=Choice(default="always_require", choices=("always_require", "permanent", "expiring")),
        consent_expire_in=Text(default="weeks=4", validators=(duration,)),
    ),
    _stage(
        "authentik_stages_authenticator_validate.authenticatorvalidatestage",
        "Authenticator Validation Stage",
        "ak-stage-authenticator-validate-form",
        not_configured_action=Choice(default="skip", choices=("skip", "deny", "configure")),
        device_classes=ListOf(
            default=["static", "totp", "webauthn", "duo", "sms", "email"],
            item=Choice(choices=("static", "totp", "webauthn", "duo", "sms", "email")),
        ),
        configuration_stages=Many(default=[], to=STAGE),
        last_auth_threshold=Text(default="seconds=0", validators=(duration,)),
        webauthn_user_verification=Choice(default="preferred", choices=_VERIFICATION),
        webauthn_hints=ListOf(default=[], item=Choice(choices=("security-key", "client-device", "hybrid"))),
        email_otp_throttling_factor=_count(1),
        sms_otp_throttling_factor=_count(1),
        totp_otp_throttling_factor=_count(1),
        static_otp_throttling_factor=_count(1),
    ),
    _stage(
        "authentik_stages_authenticator_totp.authenticatortotpstage",
        "TOTP Authenticator Setup Stage",
        "ak-stage-authenticator-totp-form",
        configure_flow=_flow(),
        friendly_name=Text(default="", blank=True),
        digits=Choice(default="6", choices=("6", "8")),
    ),
    _stage(
        "authentik_stages_authenticator_static.authenticatorstaticstage",
        "Static Authenticator Setup Stage",
        "ak-stage-authenticator-static-form",
        configure_flow=_flow(),
        friendly_name=Text(default="", blank=True),
        token_count=_count(6),
        token_length=Int(default=12, minimum=0, maximum=100),
    ),
    _stage(
        "authentik_stages_deny.denystage",
        "Deny Stage",
        "ak-stage-deny-form",
        deny_message=Text(default="", blank=True),
    ),
    _policy(
        "authentik_policies_expression.expressionpolicy",
        "Expression Policy",
        "ak-policy-expression-form",
        expression=Text(trim=False, validators=(expression,)),
    ),
    _policy(
        "authentik_policies_event_matcher.eventmatcherpolicy",
        "Event Matcher Policy",
        "ak-policy-event-matcher-form",
        action=Text(default=None, null=True),
        client_ip=Text(default=None, null=True),
        app=Text(default=None, null=True),
        matched_model=Text(default=None, null=True, api_name="model"),
        query=Text(default=None, null=True),
    ),
    _policy(
        "authentik_policies_password.passwordpolicy",
        "Password Policy",
        "ak-policy-password-form",
        password_field=Text(default="password"),
        amount_digits=_count(0),
        amount_uppercase=_count(0),
        amount_lowercase=_count(0),
        amount_symbols=_count(0),
        length_min=_count(0),
        symbol_charset=Text(default="!\\\"#$%&'()*+,-./:;<=>?@[]^_`{|}~ ", trim=False),
        error_message=Text(default="", blank=True),
        check_static_rules=Bool(default=True),
        check_have_i_been_pwned=Bool(default=False),
        check_zxcvbn=Bool(default=False),
        hibp_allowed_count=_count(0),
        zxcvbn_score_threshold=_count(2),
    ),
    Model(
        name="authentik_stages_authenticator_totp.totpdevice",
        title="TOTP Device",
        plural="TOTP Devices",
        integer_key=True,
        fields={
            "name": Text(max_length=64),
            "user": Ref(to=USER),
            "confirmed": Bool(default=False),
            "key": Text(hidden=True),
            "digits": Int(default=6),
            "last_t": Int(default=-1, maximum=2**62, hidden=True),
            "created": Time(default=clock.now, read_only=True),
            "last_used": Time(default=None, null=True),
        },
    ),
    Model(
        name="authentik_stages_authenticator_static.staticdevice",
        title="Static Device",
        plural="Static Devices",
        integer_key=True,
        fields={
            "name": Text(max_length=64),
            "user": Ref(to=USER),
            "confirmed": Bool(default=True),
            "tokens": Json(default=[], mapping=False, hidden=True),
            "created": Time(default=clock.now, read_only=True),
        },
    ),
    Model(
        name="authentik_stages_consent.userconsent",
        title="User Consent",
        plural="User Consents",
        integer_key=True,
        display="user",
        search=(),
        ordering=("expires",),
        fields={
            "user": Ref(to=USER),
            "application": Ref(to="authentik_core.application"),
            "permissions": Text(default="", blank=True),
            "expires": Time(default=None, null=True),
            "expiring": Bool(default=True),
        },
    ),
)


def target_of(row: dict[str, Any], model: str) -> str:
    """Return the key by which policy bindings name an object."""
    return str(row[TARGETS[model]])
