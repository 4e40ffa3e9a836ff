"""What the role authentik makes of a server, and whether its look at the objects sees what is wrong."""

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from role_modules import load
from role_rendering import FILES

from controlplane.systems.authentik.rights import GRANTED_TO_PORTAL
from sandbox.standins.authentik import launcher

pytestmark = pytest.mark.usefixtures("applied")
api_of = load("module_utils", "authentik_api")
entries_of = load("module_utils", "authentik_entries")
blueprints_module = load("library", "authentik_blueprints")
objects_module = load("library", "authentik_objects")
tokens_module = load("library", "authentik_tokens")


def judged(api: Any, rendered: Path) -> Any:
    judge, _ = objects_module.examine(api, [rendered / file for file in FILES])
    return judge


def test_all_objects_are_there_as_the_blueprints_describe_them(api: Any, rendered: Path) -> None:
    judge = judged(api, rendered)
    assert (judge.missing, judge.different) == ([], [])


def test_the_outposts_token_tells_the_server_of_its_outpost(api: Any, server: launcher.Running) -> None:
    (user,) = api.all("core/users/", username="bic-ldap-outpost")
    token = {"identifier": "an-outpost", "intent": "api", "user": user["pk"], "expiring": False}
    api.call("POST", "core/tokens/", token)
    key = api.call("GET", "core/tokens/an-outpost/view_key/")["key"]
    headers = {"Authorization": f"Bearer {key}", "User-Agent": "goauthentik.io/outpost/2026.8.5"}
    assert httpx.get(f"{server.url}/api/v3/outposts/ldap/", headers=headers).status_code == 200
    (outpost,) = api.all("outposts/instances/", name__iexact="bic-ldap")
    (report,) = api.call("GET", f"outposts/instances/{outpost['pk']}/health/")
    assert (report["version"], report["version_outdated"]) == ("2026.8.5", False)


def test_an_application_without_redirect_uris_is_not_made(api: Any) -> None:
    slugs = {found["slug"] for found in api.all("core/applications/", superuser_full_list="true")}
    assert slugs >= {"portal", "grafana", "ldap"}
    assert "omero-web" not in slugs


def test_what_was_changed_or_deleted_is_named(api: Any, rendered: Path) -> None:
    (stage,) = api.all("stages/user_login/", name="bic-login")
    api.call("PATCH", f"stages/user_login/{stage['pk']}/", {"session_duration": "days=30"})
    (mapping,) = api.all("propertymappings/provider/scope/", name="bic-offline_access")
    api.call("DELETE", f"propertymappings/provider/scope/{mapping['pk']}/")
    judge = judged(api, rendered)
    assert judge.missing == ["scopemapping name bic-offline_access of 20-applications.yaml"]
    assert (
        "userloginstage name bic-login of 10-login.yaml: session_duration is 'days=30', and should be"
        " 'hours=12'" in judge.different
    )
    # The provider of Grafana has lost it too.
    assert any("oauth2provider name grafana" in text for text in judge.different)
    for instance in api.all("managed/blueprints/"):
        if instance["path"] in ("bic/10-login.yaml", "bic/20-applications.yaml"):
            digest = hashlib.sha512((rendered.parent / instance["path"]).read_bytes()).hexdigest()
            before = instance["last_applied"]
            api.call("POST", f"managed/blueprints/{instance['pk']}/apply/")
            wait_until_applied(api, instance["pk"], before, digest)
    judge = judged(api, rendered)
    assert (judge.missing, judge.different) == ([], [])


def wait_until_applied(api: Any, pk: str, before: str, digest: str) -> None:
    for _ in range(120):
        found = api.call("GET", f"managed/blueprints/{pk}/")
        if found["last_applied"] != before and blueprints_module.is_applied(found, digest):
            return
        blueprints_module.time.sleep(1)
    pytest.fail(f"not applied: {found}")


def test_the_accounts_may_do_what_they_need_and_no_more(api: Any, rendered: Path) -> None:
    (role,) = (found for found in api.all("rbac/roles/") if found["name"] == "bic-exporter")
    wanted = ["authentik_core.view_user", "authentik_core.delete_user"]
    lacks, exceeds = objects_module.rights_missing(api, role["pk"], wanted)
    assert lacks == ["authentik_core.delete_user"]
    assert "authentik_core.view_group" in exceeds
    (portal,) = (found for found in api.all("rbac/roles/") if found["name"] == "bic-portal")
    assert objects_module.rights_missing(api, portal["pk"], list(GRANTED_TO_PORTAL)) == ([], [])


def test_tokens_are_made_once_and_never_brought_back(api: Any, server: launcher.Running) -> None:
    wanted = [{"identifier": "bic-control-plane", "user": "bic-control-plane", "key": "c" * 40}]
    assert tokens_module.run(api, wanted, dry=True) == ["bic-control-plane"]
    assert tokens_module.run(api, wanted, dry=False) == ["bic-control-plane"]
    assert tokens_module.run(api, wanted, dry=False) == []
    own = api_of.Api(server.url, "c" * 40)
    assert own.call("GET", "core/users/me/")["user"]["username"] == "bic-control-plane"
    # The control plane has rotated it: another token holds, and the first one is gone.
    (user,) = api.all("core/users/", username="bic-control-plane")
    body = {"identifier": "rotated", "intent": "api", "user": user["pk"], "expiring": False}
    api.call("POST", "core/tokens/", body)
    api.call("DELETE", "core/tokens/bic-control-plane/")
    assert tokens_module.run(api, wanted, dry=False) == []
    with pytest.raises(api_of.ApiError, match="403"):
        own.call("GET", "core/users/me/")


def test_a_refused_request_is_told_without_the_token(server: launcher.Running) -> None:
    wrong = api_of.Api(server.url, "wrong-token-0123456789")
    with pytest.raises(api_of.ApiError) as caught:
        wrong.call("GET", "core/users/me/")
    assert "403" in str(caught.value)
    assert "wrong-token" not in str(caught.value)


def test_an_unknown_model_is_told_with_its_file() -> None:
    text = "entries:\n- {model: authentik_core.nope, identifiers: {name: x}}\n"
    with pytest.raises(entries_of.BlueprintError, match=r"x\.yaml has a authentik_core\.nope"):
        list(entries_of.entries(text, "x.yaml"))
