"""Blueprints: what they make, and that one that fails makes nothing."""

import time
import uuid

import pytest
from test_permissions import BASE, admin, make

__all__ = ["admin"]
DEADLINE_SECONDS = 90


@pytest.fixture
def mark() -> str:
    return uuid.uuid4().hex[:8]


def import_once(admin, content: str, **fields) -> dict:
    answer = admin.post(
        f"{BASE}/managed/blueprints/import/", files={"file": ("blueprint.yaml", content)}, data=fields
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def apply(admin, name: str, content: str) -> dict:
    """Keep a blueprint, apply it and wait for how it ends."""
    instance = make(admin, "managed/blueprints", name=name, content=content)
    path = f"{BASE}/managed/blueprints/{instance['pk']}/"
    assert admin.post(f"{path}apply/").status_code == 200
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        instance = admin.get(path).json()
        if instance["status"] != "unknown":
            return instance
        time.sleep(0.1)
    raise TimeoutError(instance)


def groups(admin, name: str) -> list[dict]:
    return admin.get(f"{BASE}/core/groups/", params={"name": name}).json()["results"]


def test_entries_may_name_each_other(admin, mark):
    content = f"""\
version: 1
metadata: {{name: tree-{mark}}}
context: {{title: Portal}}
entries:
- model: authentik_rbac.role
  id: role
  identifiers: {{name: role-{mark}}}
  attrs: {{permissions: [authentik_core.view_user]}}
- model: authentik_core.group
  id: parent
  identifiers: {{name: parent-{mark}}}
  attrs: {{attributes: {{a: 1}}, roles: [!KeyOf role]}}
- model: authentik_core.group
  identifiers: {{name: child-{mark}}}
  attrs: {{parents: [!KeyOf parent]}}
- model: authentik_core.user
  id: robot
  identifiers: {{username: robot-{mark}}}
  attrs: {{name: !Format ["%s robot", !Context title], type: service_account, groups: [!KeyOf parent]}}
- model: authentik_core.token
  identifiers: {{identifier: robot-{mark}}}
  attrs: {{user: !KeyOf robot, intent: api, key: "key-{mark}", expiring: false}}
- model: authentik_providers_oauth2.oauth2provider
  id: provider
  identifiers: {{name: portal-{mark}}}
  attrs:
    authorization_flow: !Find [authentik_flows.flow, [slug, default-provider-authorization-implicit-consent]]
    invalidation_flow: !Find [authentik_flows.flow, [slug, default-provider-invalidation-flow]]
    redirect_uris: [{{matching_mode: strict, url: "https://portal.example.org/callback"}}]
- model: authentik_core.application
  id: application
  identifiers: {{slug: portal-{mark}}}
  attrs: {{name: Portal, provider: !KeyOf provider}}
- model: authentik_policies.policybinding
  identifiers: {{target: !KeyOf application, group: !KeyOf parent}}
  attrs: {{order: 0}}
"""
    assert apply(admin, f"tree-{mark}", content)["status"] == "successful"
    parent, child = groups(admin, f"parent-{mark}")[0], groups(admin, f"child-{mark}")[0]
    assert child["parents"] == [parent["pk"]]
    assert parent["attributes"] == {"a": 1}
    me = admin.get(f"{BASE}/core/users/me/", headers={"Authorization": f"Bearer key-{mark}"}).json()["user"]
    assert me["name"] == "Portal robot"
    application = admin.get(f"{BASE}/core/applications/portal-{mark}/").json()
    bindings = admin.get(f"{BASE}/policies/bindings/", params={"target": application["pk"]}).json()["results"]
    assert [binding["group"] for binding in bindings] == [parent["pk"]]


def test_applying_again_changes_nothing_and_adds_nothing(admin, mark):
    content = f"version: 1\nentries:\n- model: authentik_core.group\n  identifiers: {{name: once-{mark}}}\n"
    assert import_once(admin, content)["success"]
    before = groups(admin, f"once-{mark}")
    assert import_once(admin, content)["success"]
    assert groups(admin, f"once-{mark}") == before


def test_one_entry_that_fails_takes_all_others_back(admin, mark):
    content = f"""\
version: 1
entries:
- model: authentik_core.group
  identifiers: {{name: first-{mark}}}
- model: authentik_core.group
  identifiers: {{name: second-{mark}}}
  attrs: {{parents: [!Find [authentik_core.group, [name, absent-{mark}]]]}}
"""
    outcome = import_once(admin, content)
    assert not outcome["success"]
    assert "does not exist" in outcome["logs"][0]["event"]
    assert groups(admin, f"first-{mark}") == []


def test_states_say_whether_to_change_to_leave_or_to_remove(admin, mark):
    entry = (
        "version: 1\nentries:\n- model: authentik_core.group\n  state: {state}\n"
        "  identifiers: {{name: s-{mark}}}\n"
    )
    with_attributes = entry + "  attrs: {{attributes: {{n: {number}}}}}\n"
    assert import_once(admin, with_attributes.format(state="created", mark=mark, number=1))["success"]
    assert import_once(admin, with_attributes.format(state="created", mark=mark, number=2))["success"]
    assert groups(admin, f"s-{mark}")[0]["attributes"] == {"n": 1}
    assert not import_once(admin, entry.format(state="must_created", mark=mark))["success"]
    assert import_once(admin, with_attributes.format(state="present", mark=mark, number=3))["success"]
    assert groups(admin, f"s-{mark}")[0]["attributes"] == {"n": 3}
    assert import_once(admin, entry.format(state="absent", mark=mark))["success"]
    assert groups(admin, f"s-{mark}") == []


def test_an_entry_whose_conditions_do_not_hold_is_left_out(admin, mark):
    content = f"""\
version: 1
entries:
- model: authentik_core.group
  conditions: [!Condition [AND, !Context wanted, true]]
  identifiers: {{name: cond-{mark}}}
"""
    assert import_once(admin, content)["success"]
    assert groups(admin, f"cond-{mark}") == []
    assert import_once(admin, content, context='{"wanted": true}')["success"]
    assert len(groups(admin, f"cond-{mark}")) == 1


def test_a_blueprint_is_applied_after_those_that_it_needs(admin, mark):
    first = f"version: 1\nentries:\n- model: authentik_core.group\n  identifiers: {{name: base-{mark}}}\n"
    make(admin, "managed/blueprints", name=f"base-{mark}", content=first)
    second = f"""\
version: 1
entries:
- model: authentik_blueprints.metaapplyblueprint
  attrs: {{identifiers: {{name: base-{mark}}}, required: true}}
- model: authentik_core.group
  identifiers: {{name: top-{mark}}}
  attrs: {{parents: [!Find [authentik_core.group, [name, base-{mark}]]]}}
"""
    instance = admin.post(f"{BASE}/managed/blueprints/", json={"name": f"top-{mark}", "content": first})
    path = f"{BASE}/managed/blueprints/{instance.json()['pk']}/"
    assert groups(admin, f"top-{mark}") == []
    # Its check when it is written already needs the other's objects, as upstream's does.
    early = admin.post(f"{BASE}/managed/blueprints/", json={"name": f"no-{mark}", "content": second})
    assert early.status_code == 400
    admin.delete(path)
    base = admin.get(f"{BASE}/managed/blueprints/", params={"name": f"base-{mark}"}).json()["results"][0]
    admin.post(f"{BASE}/managed/blueprints/{base['pk']}/apply/")
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not groups(admin, f"base-{mark}") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert apply(admin, f"top-{mark}", second)["status"] == "successful"
    assert groups(admin, f"top-{mark}")[0]["parents"] == [groups(admin, f"base-{mark}")[0]["pk"]]


def test_permissions_on_an_object_are_given_to_roles(admin, mark):
    content = f"""\
version: 1
entries:
- model: authentik_rbac.role
  id: role
  identifiers: {{name: holder-{mark}}}
- model: authentik_core.group
  identifiers: {{name: held-{mark}}}
  permissions:
  - {{permission: authentik_core.view_group, role: !KeyOf role}}
"""
    assert import_once(admin, content)["success"]
    role = admin.get(f"{BASE}/rbac/roles/", params={"name": f"holder-{mark}"}).json()["results"][0]
    held = admin.get(f"{BASE}/rbac/permissions/roles/", params={"uuid": role["pk"]}).json()["results"]
    assert [item["codename"] for item in held] == ["view_group"]
