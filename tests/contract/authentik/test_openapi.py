"""Requests and answers against the OpenAPI document of 2026.8, through the client that is generated from it.

The client refuses to send what the document does not allow, and to read an answer that does not meet it.
Importing it takes many seconds, so that is done once.
"""

import importlib
import uuid
from types import ModuleType
from typing import Any

import pytest
from authentik_under_test import AuthentikServer

# What is listed: class of the API, method.
LISTS = [
    ("CoreApi", "core_users_list"),
    ("CoreApi", "core_groups_list"),
    ("CoreApi", "core_tokens_list"),
    ("CoreApi", "core_applications_list"),
    ("CoreApi", "core_brands_list"),
    ("CoreApi", "core_authenticated_sessions_list"),
    ("CryptoApi", "crypto_certificatekeypairs_list"),
    ("EventsApi", "events_events_list"),
    ("EventsApi", "events_rules_list"),
    ("EventsApi", "events_transports_list"),
    ("FlowsApi", "flows_bindings_list"),
    ("FlowsApi", "flows_instances_list"),
    ("ManagedApi", "managed_blueprints_list"),
    ("OutpostsApi", "outposts_instances_list"),
    ("OutpostsApi", "outposts_ldap_list"),
    ("PoliciesApi", "policies_bindings_list"),
    ("PoliciesApi", "policies_expression_list"),
    ("PropertymappingsApi", "propertymappings_all_list"),
    ("PropertymappingsApi", "propertymappings_provider_scope_list"),
    ("ProvidersApi", "providers_all_list"),
    ("ProvidersApi", "providers_ldap_list"),
    ("ProvidersApi", "providers_oauth2_list"),
    ("RbacApi", "rbac_permissions_list"),
    ("RbacApi", "rbac_roles_list"),
    ("SourcesApi", "sources_all_list"),
    ("SourcesApi", "sources_oauth_list"),
    ("StagesApi", "stages_all_list"),
    ("StagesApi", "stages_authenticator_validate_list"),
    ("StagesApi", "stages_identification_list"),
    ("StagesApi", "stages_password_list"),
    ("StagesApi", "stages_user_login_list"),
    ("TasksApi", "tasks_tasks_list"),
]
SINGLE = [
    ("AdminApi", "admin_settings_retrieve"),
    ("AdminApi", "admin_system_retrieve"),
    ("AdminApi", "admin_version_retrieve"),
    ("CoreApi", "core_brands_current_retrieve"),
    ("CoreApi", "core_users_me_retrieve"),
    ("OutpostsApi", "outposts_instances_default_settings_retrieve"),
    ("RootApi", "root_config_retrieve"),
]


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    """The generated client."""
    return importlib.import_module("authentik_client")


@pytest.fixture(scope="module")
def api(generated: ModuleType, authentik: AuthentikServer) -> Any:
    """The generated client, with the superuser's token."""
    configuration = generated.Configuration(host=f"{authentik.url}/api/v3", access_token=authentik.token)
    with generated.ApiClient(configuration) as client:
        yield client


@pytest.fixture(scope="module")
def objects(generated: ModuleType, api: Any) -> dict[str, Any]:
    """One object of each kind that a fresh server has none of, made through the client."""
    mark = uuid.uuid4().hex[:8]
    core, flows = generated.CoreApi(api), generated.FlowsApi(api)
    authorization = flows.flows_instances_retrieve("default-provider-authorization-implicit-consent")
    invalidation = flows.flows_instances_retrieve("default-provider-invalidation-flow")
    both = {"authorization_flow": authorization.pk, "invalidation_flow": invalidation.pk}
    user = core.core_users_create(generated.UserRequest(username=f"u-{mark}", name="Somebody"))
    group = core.core_groups_create(generated.GroupRequest(name=f"g-{mark}", users=[user.pk]))
    uri = generated.RedirectURIRequest(matching_mode="strict", url="https://portal.example.org/callback")
    oauth2 = generated.ProvidersApi(api).providers_oauth2_create(
        generated.OAuth2ProviderRequest(name=f"p-{mark}", redirect_uris=[uri], **both)
    )
    ldap = generated.ProvidersApi(api).providers_ldap_create(
        generated.LDAPProviderRequest(name=f"l-{mark}", base_dn="dc=ldap,dc=example,dc=org", **both)
    )
    application = core.core_applications_create(
        generated.ApplicationRequest(name="Portal", slug=f"a-{mark}", provider=oauth2.pk)
    )
    core.core_applications_create(
        generated.ApplicationRequest(name="LDAP", slug=f"b-{mark}", provider=ldap.pk)
    )
    outpost = generated.OutpostsApi(api).outposts_instances_create(
        generated.OutpostRequest(name=f"o-{mark}", type="ldap", providers=[ldap.pk], config={})
    )
    source = generated.SourcesApi(api).sources_oauth_create(
        generated.OAuthSourceRequest(
            name="Federation",
            slug=f"s-{mark}",
            provider_type="openidconnect",
            consumer_key="authentik",
            consumer_secret="secret",
            authorization_url="https://federation.example.org/authorize",
            access_token_url="https://federation.example.org/token",
            profile_url="https://federation.example.org/userinfo",
        )
    )
    policy = generated.PoliciesApi(api).policies_expression_create(
        generated.ExpressionPolicyRequest(name=f"e-{mark}", expression="return True")
    )
    binding = generated.PoliciesApi(api).policies_bindings_create(
        generated.PolicyBindingRequest(target=application.pk, policy=policy.pk, order=0)
    )
    blueprint = generated.ManagedApi(api).managed_blueprints_create(
        generated.BlueprintInstanceRequest(name=f"bp-{mark}", content="version: 1\nentries: []\n")
    )
    token = core.core_tokens_create(generated.TokenRequest(identifier=f"t-{mark}", expiring=True))
    return {
        "user": user,
        "group": group,
        "oauth2": oauth2,
        "ldap": ldap,
        "application": application,
        "outpost": outpost,
        "source": source,
        "binding": binding,
        "blueprint": blueprint,
        "token": token,
    }


@pytest.mark.parametrize(("subject", "method"), LISTS, ids=[method for _, method in LISTS])
def test_list_meets_the_document(subject, method, generated, api, objects):
    page = getattr(getattr(generated, subject)(api), method)(page_size=100)
    assert page.pagination.count >= len(page.results)


@pytest.mark.parametrize(("subject", "method"), SINGLE, ids=[method for _, method in SINGLE])
def test_answer_meets_the_document(subject, method, generated, api, objects):
    assert getattr(getattr(generated, subject)(api), method)() is not None


def test_what_was_made_is_what_is_read(generated, api, objects):
    core = generated.CoreApi(api)
    assert core.core_groups_retrieve(objects["group"].pk).users == [objects["user"].pk]
    assert core.core_applications_retrieve(objects["application"].slug).provider == objects["oauth2"].pk
    assert generated.ProvidersApi(api).providers_ldap_retrieve(objects["ldap"].pk).outpost_set == [
        objects["outpost"].name
    ]
    assert core.core_tokens_view_key_retrieve(objects["token"].identifier).key


def test_changes_meet_the_document(generated, api, objects):
    core, group, user = generated.CoreApi(api), objects["group"], objects["user"]
    changed = core.core_groups_partial_update(
        group.pk, generated.PatchedGroupRequest(attributes={"bic_managed": "nation"})
    )
    assert changed.attributes == {"bic_managed": "nation"}
    core.core_groups_remove_user_create(group.pk, generated.UserAccountRequest(pk=user.pk))
    assert core.core_groups_retrieve(group.pk).users == []
    core.core_groups_add_user_create(group.pk, generated.UserAccountRequest(pk=user.pk))
    assert core.core_groups_retrieve(group.pk).users == [user.pk]


def test_roles_and_their_permissions_meet_the_document(generated, api, objects):
    rbac = generated.RbacApi(api)
    role = rbac.rbac_roles_create(generated.RoleRequest(name=f"role-{uuid.uuid4().hex[:8]}"))
    request = generated.PermissionAssignRequest(
        permissions=["authentik_core.view_group", "authentik_core.add_user_to_group"],
        model="authentik_core.group",
        object_pk=str(objects["group"].pk),
    )
    rbac.rbac_permissions_assigned_by_roles_assign(role.pk, request)
    held = rbac.rbac_permissions_roles_list(uuid=role.pk)
    assert {item.codename for item in held.results} == {"view_group", "add_user_to_group"}
    holders = rbac.rbac_permissions_assigned_by_roles_list(
        model="authentik_core.group", object_pk=str(objects["group"].pk)
    )
    assert [item.role_pk for item in holders.results] == [str(role.pk)]
