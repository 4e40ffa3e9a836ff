"""What people who are no superusers may see and do, by the roles that they have."""

import uuid

import httpx
import pytest
from authentik_under_test import AuthentikServer

BASE = "/api/v3"


@pytest.fixture
def admin(authentik: AuthentikServer):
    with authentik.client() as client:
        yield client


def make(admin: httpx.Client, path: str, **values) -> dict:
    answer = admin.post(f"{BASE}/{path}/", json=values)
    assert answer.is_success, answer.text
    return answer.json()


@pytest.fixture
def referent(admin, authentik):
    """Somebody with rights on one of two groups, with a client of theirs."""
    mark = uuid.uuid4().hex[:8]
    person = make(admin, "core/users", username=f"ref-{mark}", name="Referent")
    member = make(admin, "core/users", username=f"mem-{mark}", name="Member")
    own, other = (make(admin, "core/groups", name=f"{name}-{mark}") for name in ("own", "other"))
    role = make(admin, "rbac/roles", name=f"role-{mark}")
    permissions = ["view_group", "add_user_to_group", "remove_user_from_group"]
    assign = f"{BASE}/rbac/permissions/assigned_by_roles/{role['pk']}/assign/"
    admin.post(
        assign,
        json={
            "permissions": [f"authentik_core.{name}" for name in permissions],
            "model": "authentik_core.group",
            "object_pk": own["pk"],
        },
    )
    admin.post(assign, json={"permissions": ["authentik_core.view_user"]})
    admin.post(f"{BASE}/rbac/roles/{role['pk']}/add_user/", json={"pk": person["pk"]})
    token = make(
        admin, "core/tokens", identifier=f"tok-{mark}", intent="api", user=person["pk"], expiring=False
    )
    key = admin.get(f"{BASE}/core/tokens/{token['identifier']}/view_key/").json()["key"]
    with authentik.client(key) as client:
        yield client, own, other, member


def test_lists_show_only_what_a_role_shows(referent):
    client, own, _, _ = referent
    shown = client.get(f"{BASE}/core/groups/").json()["results"]
    assert [group["pk"] for group in shown] == [own["pk"]]


def test_another_group_cannot_be_seen_or_changed(referent):
    client, _, other, member = referent
    assert client.get(f"{BASE}/core/groups/{other['pk']}/").status_code == 404
    for action in ("add_user", "remove_user"):
        answer = client.post(f"{BASE}/core/groups/{other['pk']}/{action}/", json={"pk": member["pk"]})
        assert answer.status_code == 403
    assert client.patch(f"{BASE}/core/groups/{other['pk']}/", json={"users": []}).status_code in (403, 404)


def test_membership_of_ones_own_group_can_be_changed_but_nothing_else(referent, admin):
    client, own, _, member = referent
    path = f"{BASE}/core/groups/{own['pk']}/"
    assert client.post(f"{path}add_user/", json={"pk": member["pk"]}).status_code == 204
    assert admin.get(path).json()["users"] == [member["pk"]]
    assert client.post(f"{path}remove_user/", json={"pk": member["pk"]}).status_code == 204
    assert admin.get(path).json()["users"] == []
    assert client.patch(path, json={"name": "mine"}).status_code == 403
    assert client.delete(path).status_code == 403


def test_rights_of_a_group_reach_the_members_of_groups_below_it(admin, authentik):
    mark = uuid.uuid4().hex[:8]
    role = make(admin, "rbac/roles", name=f"inherited-{mark}")
    admin.post(
        f"{BASE}/rbac/permissions/assigned_by_roles/{role['pk']}/assign/",
        json={"permissions": ["authentik_core.view_group"]},
    )
    person = make(admin, "core/users", username=f"child-{mark}", name="Child")
    parent = make(admin, "core/groups", name=f"parent-{mark}", roles=[role["pk"]])
    make(admin, "core/groups", name=f"child-{mark}", parents=[parent["pk"]], users=[person["pk"]])
    token = make(admin, "core/tokens", identifier=f"inh-{mark}", user=person["pk"], expiring=False)
    key = admin.get(f"{BASE}/core/tokens/{token['identifier']}/view_key/").json()["key"]
    with authentik.client(key) as client:
        assert client.get(f"{BASE}/core/groups/").status_code == 200


def test_a_service_account_rotates_its_own_token(admin, authentik):
    mark = uuid.uuid4().hex[:8]
    account = make(admin, "core/users/service_account", name=f"svc-{mark}")
    first = make(admin, "core/tokens", identifier=f"one-{mark}", user=account["user_pk"], expiring=False)
    key = admin.get(f"{BASE}/core/tokens/{first['identifier']}/view_key/").json()["key"]
    with authentik.client(key) as client:
        make(client, "core/tokens", identifier=f"two-{mark}", expiring=True)
        shown = client.get(f"{BASE}/core/tokens/two-{mark}/view_key/").json()["key"]
        with authentik.client(shown) as renewed:
            assert renewed.get(f"{BASE}/core/users/me/").json()["user"]["username"] == f"svc-{mark}"
            assert renewed.delete(f"{BASE}/core/tokens/one-{mark}/").status_code == 204
        assert client.get(f"{BASE}/core/users/me/").status_code == 403
