"""People at the login server, and their access in the zone: the control plane's commands against both
servers.

The control plane's account has the rights that `rights.GRANTED` lists, and no others.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from unittest import mock

import httpx
import pytest
from identity_site import CONTROL_PLANE, IdentitySite
from local_zone import PASSWORD, PASSWORD_VARIABLE

from controlplane.health.port import CheckFailedError
from controlplane.model import Team
from controlplane.systems.authentik.metrics import collectors
from controlplane.systems.authentik.probes import probes
from controlplane.systems.controlplane.metrics import collectors as store_collectors
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Client, endpoint

PATIENCE = 120.0
"""Seconds to wait for what happens by itself."""


def open_team(site: IdentitySite) -> Team:
    """A team whose people the inventory does not name."""
    return next(
        team for facility in site.platform.facilities.values() for team in facility.teams if not team.members
    )


def named_team(site: IdentitySite) -> Team:
    return next(
        team for facility in site.platform.facilities.values() for team in facility.teams if team.members
    )


def access(site: IdentitySite, group: str) -> dict[str, str]:
    """Who reaches a home and how, as `bic access who` says it."""
    ran = site.bic("access", "who", f"/bicZone/home/{group}", "--json")
    assert ran.code in (0, 2), ran.err
    return {row["account"]: row["level"] for row in json.loads(ran.out)["accounts"] if row["level"]}


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.5)


def test_the_tree_is_made_with_least_rights_and_a_second_run_changes_nothing(site: IdentitySite) -> None:
    pi, member = named_team(site).pi, named_team(site).members[0].person
    site.admin.user("pi@home.example", pi.name, bic_account=pi.user)
    site.admin.user("member@home.example", member.name, bic_account=member.user)
    first = site.bic("apply", "--yes")
    assert first.code == 0, first.out + first.err
    again = site.bic("plan")
    assert again.code == 0, again.out + again.err
    assert "Plan: nothing to do." in again.out
    assert site.bic("drift").code == 0
    assert site.admin.username("pi@home.example") == pi.user
    group = named_team(site).group
    assert site.admin.members(f"{group}.pi") == {site.admin.keys["pi@home.example"]}
    role = "contributors" if named_team(site).members[0].role == "contributor" else "collaborators"
    assert site.admin.members(f"{group}.{role}") == {site.admin.keys["member@home.example"]}
    tree = site.admin.group(f"{group}.pi")
    assert tree["attributes"] == {
        "bic_managed": site.platform.name,
        "bic_facility": named_team(site).facility,
        "bic_team": named_team(site).id,
        "bic_role": "pi",
    }
    assert tree["parents"] == [site.admin.group(group)["pk"]]


def test_a_newcomer_gets_in_by_one_sync_and_is_out_by_another(settled: IdentitySite) -> None:
    site, team = settled, open_team(settled)
    site.admin.user("tadhg@far.example", "Tadhg O'Brien")
    site.admin.put("tadhg@far.example", f"{team.group}.contributors")
    synced = site.bic("sync")
    assert synced.code == 0, synced.out + synced.err
    assert site.admin.account("tadhg@far.example") == "tobrien"
    assert site.admin.username("tadhg@far.example") == "tobrien"
    assert access(site, team.group)["tobrien"] == "write"
    history = site.bic("history").out
    assert "bic sync" in history
    runs = history.count("\n")
    again = site.bic("sync")
    assert (again.code, "nothing to do" in again.out) == (0, True)
    assert site.bic("history").out.count("\n") == runs
    site.admin.put("tadhg@far.example", f"{team.group}.contributors", "remove")
    site.admin.put("tadhg@far.example", f"{team.group}.collaborators")
    assert site.bic("sync").code == 0
    assert access(site, team.group)["tobrien"] == "read"
    site.admin.put("tadhg@far.example", f"{team.group}.collaborators", "remove")
    assert site.bic("sync").code == 0
    assert "tobrien" not in access(site, team.group)


def test_names_that_a_zone_has_given_away_are_not_given_again(settled: IdentitySite) -> None:
    site, team = settled, open_team(settled)
    zone = site.platform.zones["bicZone"]
    with mock.patch.dict(os.environ, {PASSWORD_VARIABLE: PASSWORD}):
        server = endpoint(zone, site.platform.hosts[zone.catalog_provider])
    with Client(server) as client:
        client.call(lambda session: calls.administer(session, "add", "user", "tobrien", "rodsuser", "", ""))
    site.admin.user("tadhg@far.example", "Tadhg O'Brien")
    site.admin.put("tadhg@far.example", f"{team.group}.collaborators")
    assert site.bic("sync").code == 0
    assert site.admin.account("tadhg@far.example") == "tobrien2"


def test_a_user_name_of_somebody_else_is_a_taken_name(settled: IdentitySite) -> None:
    site, team = settled, open_team(settled)
    site.admin.user("tobrien", "A service", kind="service_account")
    site.admin.user("tobrien2", "Nobody of ours")
    site.admin.user("tadhg@far.example", "Tadhg O'Brien")
    site.admin.put("tadhg@far.example", f"{team.group}.collaborators")
    # Somebody who was given a name when user names did not follow yet, and a service that has it.
    site.admin.user("ana@far.example", "Ana Lim", bic_account="alim")
    site.admin.user("alim", "Another service", kind="service_account")
    site.admin.put("ana@far.example", f"{team.group}.contributors")
    plan = site.bic("plan")
    assert "a service account has the user name alim at the login server" in " ".join(plan.out.split())
    assert site.bic("sync").code != 0
    assert site.admin.username("tadhg@far.example") == site.admin.account("tadhg@far.example") == "tobrien3"
    assert site.admin.username("ana@far.example") == "ana@far.example"
    assert access(site, team.group)["alim"] == "write"
    # Once the other one is called otherwise, the next run makes up for it.
    site.admin.call("PATCH", f"core/users/{site.admin.keys['alim']}/", {"username": "a-service"})
    assert site.bic("sync").code == 0
    assert site.admin.username("ana@far.example") == "alim"
    assert "nothing to do" in site.bic("sync").out


def test_a_closed_account_loses_everything_and_the_data_stay(settled: IdentitySite) -> None:
    site, team = settled, open_team(settled)
    site.admin.user("ana@far.example", "Ana Lim")
    site.admin.put("ana@far.example", f"{team.group}.contributors")
    assert site.bic("sync").code == 0
    _, key = site.admin.token("ana@far.example")
    with httpx.Client(base_url=f"{site.login.url}/api/v3/", timeout=60) as ana:
        mine = {"Authorization": f"Bearer {key}"}
        assert ana.get("core/users/me/", headers=mine).status_code == 200
    site.admin.activate("ana@far.example", active=False)
    plan = site.bic("plan", "--json")
    assert '"ended"' in plan.out
    assert key not in plan.out
    synced = site.bic("sync")
    assert synced.code == 0, synced.out + synced.err
    assert "alim" not in access(site, team.group)
    with httpx.Client(base_url=f"{site.login.url}/api/v3/", timeout=60) as ana:
        assert ana.get("core/users/me/", headers=mine).status_code == 403
    assert site.admin.attributes("ana@far.example") == {"bic_account": "alim", "bic_ended": True}
    of = site.bic("access", "of", "ana@far.example")
    assert "closed" in of.out
    # Opened again she has her name and her place back.
    site.admin.activate("ana@far.example", active=True)
    assert site.bic("sync").code == 0
    assert access(site, team.group)["alim"] == "write"
    assert site.admin.attributes("ana@far.example") == {"bic_account": "alim"}


def test_a_person_whom_the_inventory_names_and_who_is_closed_has_no_access(settled: IdentitySite) -> None:
    site, team = settled, named_team(settled)
    member = team.members[0].person
    assert member.user in access(site, team.group)
    site.admin.user("member@home.example", member.name)
    linked = site.bic("identity", "link", member.user, "member@home.example")
    assert (linked.code, linked.err) == (0, "")
    assert site.bic("sync").code == 0
    site.admin.activate("member@home.example", active=False)
    assert site.bic("sync").code == 0
    assert member.user not in access(site, team.group)


def test_linking_gives_no_name_to_two_and_no_two_names_to_one(settled: IdentitySite) -> None:
    site = settled
    one, other = sorted(site.platform.people)[:2]
    site.admin.user("one@home.example")
    site.admin.user("two@home.example")
    assert site.bic("identity", "link", one, "one@home.example").code == 0
    assert site.admin.username("one@home.example") == site.admin.account("one@home.example") == one
    assert "was already" in site.bic("identity", "link", one, one).out
    third = sorted(site.platform.people)[2]
    site.admin.user(third, "A service", kind="service_account")
    for arguments, text in (
        ((one, "two@home.example"), f"belongs to {one}"),
        ((other, one), f"has the account name {one}"),
        ((third, "two@home.example"), f"another account at the login server has the user name {third}"),
        (("nobody", "two@home.example"), "the inventory names nobody"),
        ((other, "nobody@home.example"), "no person with this user name"),
    ):
        refused = site.bic("identity", "link", *arguments)
        assert (refused.code, text in refused.err) == (2, True), refused.err


def test_without_the_login_server_no_plan_is_made_and_nobody_loses_access(settled: IdentitySite) -> None:
    site, team = settled, open_team(settled)
    site.admin.user("ana@far.example", "Ana Lim")
    site.admin.put("ana@far.example", f"{team.group}.contributors")
    assert site.bic("sync").code == 0
    site.front.away = True
    plan = site.bic("plan")
    assert plan.code == 1
    assert plan.out.count("it has no plan") == 2
    assert "members of its teams could not be read" in plan.out
    synced = site.bic("sync")
    assert synced.code == 1
    assert "Traceback" not in synced.err
    site.front.away = False
    assert access(site, team.group)["alim"] == "write"
    assert site.bic("plan").code == 0


def test_a_token_that_sees_too_little_makes_no_plan(settled: IdentitySite) -> None:
    site = settled
    site.admin.user("weak", kind="service_account")
    site.admin.role("weak", "weak", ("authentik_core.view_group", "authentik_rbac.view_role"))
    site.token_file.write_text(site.admin.token("weak")[1])
    plan = site.bic("plan")
    assert plan.code == 1
    assert "view_user" in plan.out
    site.token_file.write_text("no-such-token")
    plan = site.bic("plan")
    assert plan.code == 1
    assert "Token invalid/expired" in plan.out
    assert "no-such-token" not in plan.out


def test_a_group_that_members_from_names_and_that_is_missing_is_said(settled: IdentitySite) -> None:
    site, team = settled, open_team(settled)

    def change(data: dict[str, list[dict[str, str]]]) -> None:
        next(each for each in data["teams"] if each["id"] == team.id)["members_from"] = "outside"

    site.edit(f"facilities/{team.facility}.yml", change)
    plan = site.bic("plan")
    assert plan.code == 1
    assert "no group 'outside'" in plan.out
    site.admin.call("POST", "core/groups/", {"name": "outside"})
    site.admin.user("cy@far.example", "Cy Berg")
    site.admin.put("cy@far.example", "outside")
    assert site.bic("sync").code == 0
    assert access(site, team.group)["cberg"] == "write"
    # It is not ours, so it stays as it is.
    assert site.admin.group("outside")["attributes"] == {}


def reader(site: IdentitySite, username: str) -> httpx.Client:
    """Somebody's own way to the API."""
    _, key = site.admin.token(username)
    return httpx.Client(
        base_url=f"{site.login.url}/api/v3/", headers={"Authorization": f"Bearer {key}"}, timeout=60
    )


@pytest.mark.parametrize("role", ["referent", "pi"])
def test_who_looks_after_a_facility_or_team_sees_and_changes_no_other(site: IdentitySite, role: str) -> None:
    mine, theirs = [facility for facility in site.platform.facilities.values()][:2]
    person = mine.referents[0] if role == "referent" else mine.teams[-1].pi
    site.admin.user("me@home.example", person.name, bic_account=person.user)
    site.admin.user("new@far.example", "New Comer")
    assert site.bic("apply", "--yes").code == 0
    own, other = mine.teams[-1].group, theirs.teams[-1].group
    with reader(site, "me@home.example") as me:
        seen = {
            group["name"] for group in me.get("core/groups/", params={"page_size": 100}).json()["results"]
        }
        expected = {f"{own}.contributors", f"{own}.collaborators"}
        if role == "referent":
            expected = {
                f"{team.group}.{part}"
                for team in mine.teams
                for part in ("pi", "contributors", "collaborators")
            }
        assert seen == expected
        for name in (f"{other}.contributors", f"{theirs.id}.referents", site.platform.name):
            key, new = site.admin.group(name)["pk"], {"pk": site.admin.keys["new@far.example"]}
            before = site.admin.members(name)
            assert me.get(f"core/groups/{key}/").status_code in (403, 404)
            assert me.post(f"core/groups/{key}/add_user/", json=new).status_code in (403, 404)
            assert me.patch(f"core/groups/{key}/", json={"users": []}).status_code in (403, 404)
            assert me.delete(f"core/groups/{key}/").status_code in (403, 404)
            assert site.admin.members(name) == before
        key = site.admin.group(f"{own}.contributors")["pk"]
        # In the own team membership changes, and nothing else.
        assert me.patch(f"core/groups/{key}/", json={"name": "mine"}).status_code in (403, 404)
        assert me.patch(
            f"core/users/{site.admin.keys['me@home.example']}/", json={"attributes": {"bic_account": "rods"}}
        ).status_code in (403, 404)
        assert me.post("core/groups/", json={"name": "x"}).status_code == 403


def test_a_rotated_token_works_and_the_old_one_does_not(settled: IdentitySite) -> None:
    site = settled
    old = site.token_file.read_text().strip()
    refused = site.bic("identity", "rotate-token")
    assert (refused.code, site.token_file.read_text().strip()) == (1, old)
    assert "default_token_duration" in refused.err
    site.admin.call("PATCH", "admin/settings/", {"default_token_duration": "days=90"})
    mode = site.token_file.stat().st_mode
    kept = site.bic("identity", "rotate-token", "--keep-old")
    assert kept.code == 0, kept.err
    new = site.token_file.read_text().strip()
    assert new != old
    assert site.token_file.stat().st_mode == mode
    for key in (old, new):
        assert key not in kept.out + kept.err
    probe = httpx.Client(base_url=f"{site.login.url}/api/v3/", timeout=60)

    def status(key: str) -> int:
        return probe.get("core/users/me/", headers={"Authorization": f"Bearer {key}"}).status_code

    assert (status(old), status(new)) == (200, 200)
    assert site.bic("plan").code == 0
    rotated = site.bic("identity", "rotate-token")
    assert rotated.code == 0, rotated.err
    assert "Deleted: " in rotated.out
    newest = site.token_file.read_text().strip()
    assert [status(key) for key in (old, new, newest)] == [403, 403, 200]
    assert site.bic("plan").code == 0
    tokens = site.admin.call("GET", "core/tokens/", user__username=CONTROL_PLANE)["results"]
    mine = [
        token
        for token in tokens
        if token["user"] == site.admin.keys[CONTROL_PLANE] and token["intent"] == "api"
    ]
    assert any(token["expiring"] for token in mine)


def test_a_deployment_does_not_put_back_a_token_that_was_rotated_away(settled: IdentitySite) -> None:
    site = settled
    first = site.token_file.read_text()
    site.admin.call("PATCH", "admin/settings/", {"default_token_duration": "days=90"})

    def compared(given: str) -> str:
        ran = site.bic("identity", "compare-token", given=given)
        assert ran.code == 0, ran.err
        assert given.strip() not in ran.out
        return ran.out

    same, nonsense = compared(first), compared("nonsense")
    assert same == f"replace {site.token_file}\n"
    assert nonsense.startswith(f"keep {site.token_file}: ")
    assert site.bic("identity", "rotate-token", "--keep-old").code == 0
    second = site.token_file.read_text()
    assert compared(first).startswith("replace ")
    assert site.bic("identity", "rotate-token").code == 0
    third = site.token_file.read_text()
    assert compared(first).startswith("keep ")
    assert compared(second).startswith("keep ")
    # Where ours is the one that ended, a deployment mends it.
    site.token_file.write_text(second)
    assert compared(third).startswith("replace ")
    assert compared(first).startswith("replace ")
    site.front.away = True
    try:
        assert "cannot be asked" in compared(first)
    finally:
        site.front.away = False


def test_the_login_server_is_probed_and_measured_without_names_of_people(settled: IdentitySite) -> None:
    site = settled
    site.admin.user("ana@far.example", "Ana Lim")
    site.admin.activate("ana@far.example", active=False)
    assert site.bic("sync").code == 0
    with mock.patch.dict(os.environ, {"BIC_STATE_DIR": str(site.folder / "state")}):
        platform = site.platform
        (probe,) = probes(platform)
        assert [check.run() for check in probe.checks[:2]] == [
            "ready",
            f"the token of {CONTROL_PLANE} sees all groups and people",
        ]
        offered = list(collectors(platform))
        samples = {
            (sample.name, tuple(sample.labels.values())): sample.value
            for collector in offered
            for metric in collector.collect()
            for sample in metric.samples
        }
        assert samples["bic_authentik_operations_total", ("login", "success")] == 1
        assert samples["bic_authentik_operations_total", ("login", "failure")] == 0
        assert samples["bic_authentik_certificate_not_after_timestamp_seconds", ()] > time.time()
        assert samples["bic_authentik_people", ("false",)] == 1
        assert samples["bic_authentik_people", ("true",)] == 1  # the administrator
        assert samples["bic_authentik_logins_total", ("failed",)] == 0
        # The embedded outpost serves no application, so nobody is told that it does not report.
        assert not [labels for name, labels in samples if name == "bic_authentik_outpost_up"]
        assert not any("ana" in label for _, labels in samples for label in labels)
        synced = next(each for each in store_collectors(platform) if each.name == "sync")
        assert {metric.name: metric.samples[0].value for metric in synced.collect()}["bic_sync_success"] == 1
    site.front.away = True
    with pytest.raises(CheckFailedError):
        probe.checks[0].run()
    (page,) = [collector for collector in offered if collector.name == "authentik_operations"]
    (results, *_) = page.collect()
    assert {sample.labels["result"]: sample.value for sample in results.samples} == {
        "success": 1,
        "failure": 1,
    }


def test_the_service_follows_changes_and_survives_an_outage(settled: IdentitySite) -> None:
    site, team = settled, open_team(settled)
    environment = {
        **os.environ,
        PASSWORD_VARIABLE: PASSWORD,
        "BIC_STATE_DIR": str(site.folder / "state"),
    }
    command = [sys.executable, "-m", "controlplane", "--inventory", str(site.inventory)]
    command += ["sync", "--follow", "--interval", "1"]
    with (site.folder / "sync.log").open("w") as log:
        service = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        status = site.folder / "state" / "sync.json"
        until(lambda: status.exists() and json.loads(status.read_text())["ok"])
        site.admin.user("ana@far.example", "Ana Lim")
        site.admin.put("ana@far.example", f"{team.group}.contributors")
        until(lambda: access(site, team.group).get("alim") == "write")
        site.front.away = True
        until(lambda: not json.loads(status.read_text())["ok"])
        site.admin.put("ana@far.example", f"{team.group}.contributors", "remove")
        assert service.poll() is None
        site.front.away = False
        until(lambda: "alim" not in access(site, team.group))
        until(lambda: bool(json.loads(status.read_text())["ok"]))
        assert site.bic("plan").code == 0
        service.send_signal(signal.SIGTERM)
        assert service.wait(PATIENCE) == 0
    finally:
        service.kill()
        service.wait()
    text = (site.folder / "sync.log").read_text()
    assert "Traceback" not in text
    assert text.count("not all systems follow") == 1
