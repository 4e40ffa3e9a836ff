"""A portal in front of a login server, with the rights that the role and the control plane give its account,
and the people who open it."""

import contextlib
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from fastapi import FastAPI
from identity_site import IdentitySite, identity_site
from local_zone import Pki, make_pki
from oidc_provider import CLIENT_SECRET, Provider, provider, served

from controlplane.generate.nation import Nation
from controlplane.model import Facility, Platform, Team
from controlplane.portal.app import application
from controlplane.systems.authentik.rights import GRANTED_TO_PORTAL, PORTAL_ACCOUNT

NATION = Nation(facilities=2, people=14, teams=6)
FORM_KEY = re.compile(r'name="form_key" value="([^"]+)"')
OUTSIDE = "outside"
"""A group of the login server that `members_from` of one team names."""


@dataclass
class PortalSite:
    """The nation, its portal, and the provider at which people log in there."""

    nation: IdentitySite
    platform: Platform
    pki: Pki
    provider: Provider
    url: str = ""

    @property
    def mine(self) -> Facility:
        """The facility whose people the tests look after."""
        return next(iter(self.platform.facilities.values()))

    @property
    def theirs(self) -> Facility:
        return list(self.platform.facilities.values())[1]

    @property
    def team(self) -> Team:
        """A team of ours whose people are chosen at the login server."""
        return self.mine.teams[-1]

    @property
    def other_team(self) -> Team:
        """A team of the other facility of the same kind."""
        return self.theirs.teams[-1]

    def tidy(self) -> None:
        """Nobody is in the teams' groups but the PIs, and the people are as they were made."""
        admin = self.nation.admin
        for team in (self.team, self.other_team):
            for part in ("contributors", "collaborators"):
                for key in admin.members(f"{team.group}.{part}"):
                    path = f"core/groups/{admin.group(f'{team.group}.{part}')['pk']}/remove_user/"
                    admin.call("POST", path, {"pk": key})
            if admin.keys[team.pi.user] not in admin.members(f"{team.group}.pi"):
                admin.put(team.pi.user, f"{team.group}.pi")
        self.nation.front.away = False

    def role(self, username: str, team: Team) -> list[str]:
        """The role groups of a team in which somebody is."""
        key = self.nation.admin.keys[username]
        parts = ("pi", "contributors", "collaborators")
        return [part for part in parts if key in self.nation.admin.members(f"{team.group}.{part}")]

    def uuid(self, username: str) -> str:
        return str(self.nation.admin.call("GET", f"core/users/{self.nation.admin.keys[username]}/")["uuid"])

    @contextlib.contextmanager
    def visit(self, username: str) -> Iterator["Visit"]:
        """Somebody's browser, logged in."""
        self.provider.claims = {"sub": self.uuid(username), "name": username, "groups": []}
        trust = ssl.create_default_context(cafile=self.pki.ca_file)
        with httpx.Client(verify=trust, base_url=self.url, follow_redirects=True, timeout=60) as browser:
            assert "Log out" in browser.get("/login").text
            yield Visit(browser)


@dataclass
class Visit:
    """A browser on the portal's pages."""

    browser: httpx.Client

    def team(self, team: Team) -> httpx.Response:
        return self.browser.get(f"/teams/{team.group}")

    def post(self, team: Team, what: str, *, key: str | None = None, **fields: str) -> httpx.Response:
        """Send a form of a team's page, with the key of a page that this session may open."""
        if key is None:
            found = FORM_KEY.search(self.team(team).text)
            key = found[1] if found else ""
        return self.browser.post(
            f"/teams/{team.group}/{what}", data={"form_key": key, **fields}, follow_redirects=False
        )


@contextlib.contextmanager
def portal_site(folder: Path) -> Iterator[PortalSite]:
    """A nation that was applied, with the portal's account, and a portal that answers."""
    pki = make_pki(folder / "pki")
    token = folder / "portal-token"
    with contextlib.ExitStack() as stack:
        nation = stack.enter_context(identity_site(folder, NATION, pki))
        (folder / "client-secret").write_text(CLIENT_SECRET)

        def with_portal(data: dict) -> None:
            data["hosts"]["dc1-icat"]["services"].append("controlplane")
            data["portal"] = {
                "host": "dc1-icat",
                "url": "https://portal.bic.example",
                "client_secret": {"file": str(folder / "client-secret")},
                "token": {"file": str(token)},
            }

        nation.edit("platform.yml", with_portal)
        first = next(iter(nation.platform.facilities.values()))

        def choose_elsewhere(data: dict) -> None:
            named = {
                "user": "nnamed",
                "name": "Nina Named",
                "email": "nina@home.example",
                "role": "collaborator",
            }
            data["teams"][0]["members"] = [named]
            data["teams"][1]["members_from"] = OUTSIDE

        nation.edit(f"facilities/{first.id}.yml", choose_elsewhere)
        _people(nation)
        token.write_text(nation.admin.token(PORTAL_ACCOUNT)[1])
        ran = nation.bic("apply", "--yes")
        assert ran.code == 0, ran.out + ran.err
        where = pki.server.certificate_chain_file, pki.server.certificate_key_file
        asked = stack.enter_context(provider(*where))
        site = PortalSite(nation, nation.platform, pki, asked)
        nation.admin.put("head@home.example", f"{site.platform.name}.administrators")

        def make(port: int) -> FastAPI:
            site.url = f"https://localhost:{port}"
            portal, identity = site.platform.portal, site.platform.identity
            assert portal is not None
            assert identity is not None
            return application(
                site.platform,
                identity,
                replace(portal, url=site.url, issuer=asked.issuer, ca_file=pki.ca_file),
            )

        stack.enter_context(served(make, *where))
        yield site


def _people(nation: IdentitySite) -> None:
    admin = nation.admin
    admin.user(PORTAL_ACCOUNT, kind="service_account")
    admin.role(PORTAL_ACCOUNT, PORTAL_ACCOUNT, GRANTED_TO_PORTAL)
    admin.call("POST", "core/groups/", {"name": OUTSIDE})
    named = {
        person.user: person
        for facility in nation.platform.facilities.values()
        for person in (*facility.referents, *(team.pi for team in facility.teams))
    }
    for person in named.values():
        admin.user(person.user, person.name, bic_account=person.user)
    admin.user("head@home.example", "Head Office")
    admin.user("tobrien", "Tadhg O'Brien", bic_account="tobrien", home_organization="far.example")
    ana = {"given_name": "Ana", "family_name": "Lim", "home_organization": "far.example"}
    admin.user("ana@far.example", "Ana <b>Lim</b>", **ana)
    admin.user("twin1", "Twin One", bic_account="twin1")
    admin.user("twin2", "Twin Two", bic_account="twin2")
    admin.user("gone", "Gone Person", bic_account="gone")
    for twin in ("twin1", "twin2"):
        admin.call("PATCH", f"core/users/{admin.keys[twin]}/", {"email": "twin@far.example"})
    admin.activate("gone", active=False)
