"""Teams in the portal: who sees them, who changes them, and that nobody else does."""

import base64
import json
import logging

import httpx
import pytest
from portal_teams_site import OUTSIDE, PortalSite, Visit

from controlplane.portal import login
from controlplane.systems.authentik.rights import PORTAL_ACCOUNT


def add(visit: Visit, site: PortalSite, username: str, role: str = "contributor") -> httpx.Response:
    return visit.post(site.team, "put", person=site.uuid(username), role=role)


def session_key(visit: Visit) -> str:
    """The key that the forms of a session carry: from its cookie, as pages without forms do not show it."""
    cookie = visit.browser.cookies["__Host-bic-portal"].partition(".")[0]
    return str(json.loads(base64.b64decode(cookie))["form_key"])


def test_a_pi_finds_adds_and_removes_somebody_and_the_log_says_so(
    site: PortalSite, caplog: pytest.LogCaptureFixture
) -> None:
    team, admin = site.team, site.nation.admin
    with caplog.at_level(logging.INFO, "controlplane.portal"), site.visit(team.pi.user) as pi:
        assert f'href="/teams/{team.group}"' in pi.browser.get("/teams").text
        page = pi.team(team)
        assert "Find" in page.text
        found = pi.post(team, "find", who="tobrien")
        assert found.status_code == 200
        assert "Tadhg O&#39;Brien" in found.text
        assert "far.example" in found.text
        assert site.role("tobrien", team) == []
        added = add(pi, site, "tobrien")
        assert (added.status_code, added.headers["location"]) == (303, f"/teams/{team.group}")
        assert site.role("tobrien", team) == ["contributors"]
        page = pi.team(team)
        assert "is a contributor of" in page.text
        assert "is a contributor of" not in pi.team(team).text
        # Another role takes the place of the first.
        assert add(pi, site, "tobrien", "collaborator").status_code == 303
        assert site.role("tobrien", team) == ["collaborators"]
        gone = pi.post(team, "remove", person=str(admin.keys["tobrien"]))
        assert (gone.status_code, site.role("tobrien", team)) == (303, [])
        again = pi.post(team, "remove", person=str(admin.keys["tobrien"]))
        assert again.status_code == 303
        assert "not in the team any more" in pi.team(team).text
    lines = [record.getMessage() for record in caplog.records if record.name == "controlplane.portal"]
    who, whom = f"{team.pi.user} ({site.uuid(team.pi.user)})", f"tobrien ({site.uuid('tobrien')})"
    assert lines == [
        f"{team.group}: {who} makes {whom} a contributor",
        f"{team.group}: {who} makes {whom} a collaborator",
        f"{team.group}: {who} removes {whom}",
    ]


def test_somebody_without_an_account_name_is_found_by_address_and_gets_in_with_the_next_run(
    site: PortalSite,
) -> None:
    with site.visit(site.team.pi.user) as pi:
        found = pi.post(site.team, "find", who="Ana@far.example")
        assert found.status_code == 200
        assert "Ana &lt;b&gt;Lim&lt;/b&gt;" in found.text
        assert "none yet" in found.text
        assert add(pi, site, "ana@far.example").status_code == 303
        assert "in a few minutes" in pi.team(site.team).text
        assert site.nation.bic("sync").code == 0
        assert site.nation.admin.account("ana@far.example") == "alim"
        assert "<code>alim</code>" in pi.team(site.team).text


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ("", "Nobody has exactly"),
        ("tobrie", "Nobody has exactly"),
        ("far.example", "Nobody has exactly"),
        ("*", "Nobody has exactly"),
        ("gone", "Nobody has exactly"),
        (PORTAL_ACCOUNT, "Nobody has exactly"),
        ("akadmin", "Nobody has exactly"),
        ("twin@far.example", "Several people have the address"),
    ],
)
def test_nobody_is_found_but_by_exactly_their_own_name_or_address(
    site: PortalSite, who: str, said: str
) -> None:
    with site.visit(site.team.pi.user) as pi:
        page = pi.post(site.team, "find", who=who)
    assert page.status_code == 422
    assert said in page.text
    for name in ("Tadhg", "Twin", "Gone Person"):
        assert name not in page.text


def test_a_referent_looks_after_all_teams_of_the_facility_and_an_administrator_after_all(
    site: PortalSite,
) -> None:
    with site.visit(site.mine.referents[0].user) as referent:
        page = referent.browser.get("/teams").text
        assert all(f"/teams/{team.group}" in page for team in site.mine.teams)
        assert not any(f"/teams/{team.group}" in page for team in site.theirs.teams)
        assert add(referent, site, "tobrien").status_code == 303
        assert site.role("tobrien", site.team) == ["contributors"]
        assert referent.team(site.other_team).status_code == 404
    with site.visit("head@home.example") as head:
        page = head.browser.get("/teams").text
        teams = (*site.mine.teams, *site.theirs.teams)
        assert all(f"/teams/{team.group}" in page for team in teams)
        done = head.post(site.other_team, "put", person=site.uuid("tobrien"), role="collaborator")
        assert (done.status_code, site.role("tobrien", site.other_team)) == (303, ["collaborators"])


def test_a_pi_neither_sees_nor_changes_a_team_of_another_facility(site: PortalSite) -> None:
    inside = site.nation.admin
    inside.put("twin1", f"{site.other_team.group}.contributors")
    with site.visit(site.team.pi.user) as pi:
        key = pi.team(site.team).text.partition('name="form_key" value="')[2].partition('"')[0]
        assert site.other_team.group not in pi.browser.get("/teams").text
        answers = [
            pi.team(site.other_team),
            pi.post(site.other_team, "find", key=key, who="tobrien"),
            pi.post(site.other_team, "put", key=key, person=site.uuid("tobrien"), role="contributor"),
            pi.post(site.other_team, "remove", key=key, person=str(inside.keys["twin1"])),
        ]
        # As a team that does not exist.
        unknown = pi.browser.get("/teams/nowhere-nothing")
    for answer in (*answers, unknown):
        assert answer.status_code == 404
        assert "Twin" not in answer.text
        assert site.other_team.title not in answer.text
    assert site.role("twin1", site.other_team) == ["contributors"]
    assert site.role("tobrien", site.other_team) == []


def test_a_member_sees_the_people_and_changes_nobody(site: PortalSite) -> None:
    site.nation.admin.put("twin1", f"{site.team.group}.contributors")
    site.nation.admin.put("twin2", f"{site.team.group}.collaborators")
    with site.visit("twin1") as member:
        page = member.team(site.team)
        assert "Twin Two" in page.text
        assert "/find" not in page.text
        assert "Remove" not in page.text
        key = session_key(member)
        assert (
            member.post(site.team, "put", key=key, person=site.uuid("twin1"), role="contributor").status_code
            == 403
        )
        refused = member.post(site.team, "remove", key=key, person=str(site.nation.admin.keys["twin2"]))
        assert refused.status_code == 403
        assert "You do not look after this team" in refused.text
    assert site.role("twin2", site.team) == ["collaborators"]


def test_a_pi_who_was_replaced_a_moment_ago_is_refused(
    site: PortalSite, caplog: pytest.LogCaptureFixture
) -> None:
    pi_user = site.team.pi.user
    with site.visit(pi_user) as pi:
        key = session_key(pi)
        site.nation.admin.put(pi_user, f"{site.team.group}.pi", "remove")
        refused = pi.post(site.team, "put", key=key, person=site.uuid("tobrien"), role="contributor")
        assert refused.status_code == 404
        site.nation.admin.put(pi_user, f"{site.team.group}.collaborators")
        refused = pi.post(site.team, "put", key=key, person=site.uuid("tobrien"), role="contributor")
        assert refused.status_code == 403
    assert site.role("tobrien", site.team) == []
    assert f"{site.team.group}: refused to {pi_user}" in caplog.text


def test_somebody_whose_account_was_closed_is_out_at_once(site: PortalSite) -> None:
    pi_user = site.team.pi.user
    with site.visit(pi_user) as pi:
        key = session_key(pi)
        site.nation.admin.activate(pi_user, active=False)
        try:
            refused = pi.post(site.team, "put", key=key, person=site.uuid("tobrien"), role="contributor")
        finally:
            site.nation.admin.activate(pi_user, active=True)
        assert refused.status_code == 403
        assert "Your account is closed" in refused.text
        # The session is gone with it.
        assert pi.browser.get("/teams", follow_redirects=False).headers["location"].startswith("/login")
    assert site.role("tobrien", site.team) == []


def test_groups_that_merely_have_the_name_give_nothing(site: PortalSite) -> None:
    """Whoever may make groups at the login server must not become a PI by it: the mark counts."""
    admin = site.nation.admin
    key = admin.group(f"{site.team.group}.pi")["pk"]
    before = admin.group(f"{site.team.group}.pi")["attributes"]
    admin.call("PATCH", f"core/groups/{key}/", {"attributes": {**before, "bic_managed": "another"}})
    try:
        with site.visit(site.team.pi.user) as pi:
            assert pi.team(site.team).status_code == 404
    finally:
        admin.call("PATCH", f"core/groups/{key}/", {"attributes": before})


def test_a_forged_form_changes_nothing(site: PortalSite) -> None:
    with site.visit(site.team.pi.user) as pi, site.visit("twin1") as attacker:
        site.nation.admin.put("twin1", f"{site.team.group}.contributors")
        stolen = session_key(attacker)
        for key in ("", "x", stolen):
            forged = pi.post(site.team, "put", key=key, person=site.uuid("tobrien"), role="contributor")
            assert forged.status_code == 403
            assert "Nothing was changed" in forged.text
        good = session_key(pi)
        elsewhere = {"origin": "https://evil.example"}
        fields = {"form_key": good, "person": site.uuid("tobrien"), "role": "contributor"}
        path = f"/teams/{site.team.group}/put"
        assert pi.browser.post(path, data=fields, headers=elsewhere).status_code == 403
        assert pi.browser.post(path, json=fields).status_code == 415
        assert pi.browser.post(path, data={**fields, "role": "x" * 9000}).status_code == 413
        assert pi.browser.get(path).status_code == 405
        assert site.role("tobrien", site.team) == []
        assert pi.browser.post(path, data=fields, headers={"origin": site.url}).status_code == 200
        assert site.role("tobrien", site.team) == ["contributors"]


def test_an_expired_session_changes_nothing_and_comes_back_after_the_login(
    site: PortalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.visit(site.team.pi.user) as pi:
        key = session_key(pi)
        now = login.time.time()
        with monkeypatch.context() as later:
            later.setattr(login.time, "time", lambda: now + login.SESSION_SECONDS + 1)
            refused = pi.post(site.team, "put", key=key, person=site.uuid("tobrien"), role="contributor")
            assert refused.status_code == 303
            assert refused.headers["location"] == "/login?back=%2Fteams"
            there = pi.browser.get(f"/teams/{site.team.group}", follow_redirects=False)
        assert site.role("tobrien", site.team) == []
        page = pi.browser.get(there.headers["location"])
        assert page.url.path == f"/teams/{site.team.group}"
        # A login gives forms another key.
        assert session_key(pi) != key
        for back in ("https://evil.example/", "//evil.example/teams", "/teams/../x", "/logout"):
            assert pi.browser.get("/login", params={"back": back}).url.path == "/"


def test_who_is_not_logged_in_gets_to_no_team(site: PortalSite) -> None:
    with site.visit("twin1") as visit:
        visit.browser.cookies.clear()
        for path in ("/teams", f"/teams/{site.team.group}"):
            answer = visit.browser.get(path, follow_redirects=False)
            assert (answer.status_code, answer.headers["location"].startswith("/login?")) == (303, True)
        sent = visit.post(site.team, "put", key="x", person=site.uuid("tobrien"), role="contributor")
        assert (sent.status_code, sent.headers["location"]) == (303, "/login?back=%2Fteams")
    assert site.role("tobrien", site.team) == []


def test_teams_whose_people_are_chosen_elsewhere_say_where_and_are_not_changed(site: PortalSite) -> None:
    with site.visit(site.mine.referents[0].user) as referent:
        key = session_key(referent)
        for team, reason in (
            (site.mine.teams[0], "written in the platform&#39;s inventory"),
            (site.mine.teams[1], f"those of the group {OUTSIDE}"),
        ):
            page = referent.team(team)
            assert reason in page.text
            assert "/find" not in page.text
            refused = referent.post(team, "put", key=key, person=site.uuid("tobrien"), role="contributor")
            assert refused.status_code == 403
            assert site.role("tobrien", team) == []


def test_the_pi_is_not_made_anything_less_and_roles_are_the_two(site: PortalSite) -> None:
    with site.visit(site.mine.referents[0].user) as referent:
        refused = add(referent, site, site.team.pi.user)
        assert refused.status_code == 422
        assert "leads this team already" in refused.text
        assert add(referent, site, "tobrien", "pi").status_code == 422
        assert referent.post(site.team, "put", person="everybody", role="contributor").status_code == 422
        assert add(referent, site, "gone").status_code == 422
        pi_key = str(site.nation.admin.keys[site.team.pi.user])
        referent.post(site.team, "remove", person=pi_key)
    assert site.role(site.team.pi.user, site.team) == ["pi"]
    assert site.role("gone", site.team) == []


def test_the_portals_token_does_no_more_than_that(site: PortalSite) -> None:
    """What whoever steals it could do: nothing to groups that give rights, to people or to roles."""
    admin, portal = site.nation.admin, site.platform.portal
    assert portal is not None
    person = {"pk": admin.keys["tobrien"]}
    with httpx.Client(
        base_url=f"{site.nation.login.url}/api/v3/",
        headers={"Authorization": f"Bearer {portal.token.reveal()}"},
        timeout=60,
    ) as http:
        for name in (
            f"{site.team.group}.pi",
            f"{site.mine.id}.referents",
            f"{site.mine.id}.portal",
            f"{site.platform.name}.administrators",
            f"{site.mine.teams[0].group}.contributors",
            f"{site.mine.teams[1].group}.contributors",
            "authentik Admins",
            OUTSIDE,
        ):
            key = admin.group(name)["pk"]
            assert http.post(f"core/groups/{key}/add_user/", json=person).status_code == 403, name
            assert http.patch(f"core/groups/{key}/", json={"users": []}).status_code == 403, name
        key = admin.group(f"{site.team.group}.contributors")["pk"]
        assert http.patch(f"core/groups/{key}/", json={"name": "x"}).status_code == 403
        assert http.patch(f"core/users/{person['pk']}/", json={"name": "x"}).status_code == 403
        assert http.post("core/users/", json={"username": "x", "name": "x"}).status_code == 403
        assert http.get("core/tokens/").json()["pagination"]["count"] <= 1
        assert http.post(f"core/groups/{key}/add_user/", json=person).status_code == 204


def test_a_login_server_that_does_not_answer_is_said(site: PortalSite) -> None:
    with site.visit(site.team.pi.user) as pi:
        key = session_key(pi)
        site.nation.front.cut()
        page = pi.team(site.team)
        assert page.status_code == 502
        assert "does not answer" in page.text
        sent = pi.post(site.team, "put", key=key, person=site.uuid("tobrien"), role="contributor")
        assert sent.status_code == 502
        assert "Traceback" not in sent.text
    site.nation.front.away = False
    assert site.role("tobrien", site.team) == []
