"""One login for the nation, as people meet it: from a foreign institution to a collection and out again."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest
from irods.exception import CollectionDoesNotExist, iRODSException
from nation import Nation
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from controlplane.systems.omero.client import Client
from controlplane.systems.omero.connection import Endpoint
from controlplane.systems.omero.errors import OmeroError

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 60_000
"""Milliseconds that a page may take on a busy machine."""

GROUP = "nantes-light-sheet"
PI = "cadoret@confluent.example"
NEWCOMER = "jweiss@beispielstadt.example"


@dataclass(frozen=True)
class Login:
    """How to be at the nation's login server."""

    nation: Nation
    browser: Browser
    passwords: dict[str, str]
    """People's passwords at their institutions."""

    @property
    def domain(self) -> str:
        return self.nation.platform.domain


@pytest.fixture(scope="module")
def login(nation: Nation) -> Iterator[Login]:
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail("CI must look at the pages, and there is no Chromium (Debian package chromium)")
        pytest.skip("there is no Chromium on this machine (Debian package chromium)")
    platform = nation.platform
    passwords = json.loads((platform.state_dir / "federation" / "passwords.json").read_text("utf-8"))
    rules = ", ".join(f"MAP {name} {host.address}" for name, host in platform.service_names.items())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", f"--host-resolver-rules={rules}"]
        )
        yield Login(nation, browser, passwords)
        browser.close()


@contextlib.contextmanager
def visitor(login: Login) -> Iterator[Page]:
    """Somebody at a browser of their own, whose store does not have the platform's authority."""
    context: BrowserContext = login.browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(PATIENCE)
    try:
        yield context.new_page()
    finally:
        context.close()


def log_in(login: Login, page: Page, who: str, institution: str) -> None:
    """From the portal by the federation to an institution and back, for the first time."""
    page.goto(f"https://portal.{login.domain}/")
    page.get_by_role("link", name="Log in").click()
    page.get_by_role("link", name="My institution").click()
    page.get_by_role("searchbox").fill(institution)
    page.get_by_role("list", name="Institutions found").get_by_role("link").first.click()
    page.get_by_label("Account").fill(who.partition("@")[0])
    page.get_by_label("Password").fill(login.passwords[who])
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Hello", timeout=PATIENCE)


def synced(nation: Nation) -> None:
    done = nation.bic("sync", "--wait-for-lock", "120")
    assert done.code == 0, done.output


def listing(nation: Nation, account: str, password: str) -> list[str]:
    """What somebody sees in the team's collection who logs in by PAM."""
    with nation.irods(account, password, authentication_scheme="pam_password") as session:
        collection = session.collections.get(f"/{session.zone}/home/{GROUP}")
        return [found.name for found in collection.subcollections]


@contextlib.contextmanager
def sftp(nation: Nation, account: str, password: str) -> Iterator[paramiko.SFTPClient]:
    """Somebody at the facility's buffer server."""
    transport = paramiko.Transport((nation.address("buffer-nantes"), 22))
    try:
        transport.connect(username=account, password=password)
        files = paramiko.SFTPClient.from_transport(transport)
        assert files is not None
        yield files
    finally:
        transport.close()


def omero(nation: Nation, account: str, password: str) -> Client:
    """Somebody at the OMERO server, who logs in when they first ask for something."""
    (server,) = nation.platform.omero_servers.values()
    entrance = Endpoint(nation.address(server.host), server.port, account, password, server.ca_file)
    return Client(entrance, connections=1)


def groups(person: Client) -> set[str]:
    """The groups that somebody sees at the OMERO server."""
    return person.call(lambda connection: {each.name.val for each in connection.admin.lookupGroups()})


def test_from_a_foreign_institution_into_a_team_and_out_again(login: Login) -> None:
    nation = login.nation
    with visitor(login) as pi, visitor(login) as newcomer:
        log_in(login, pi, PI, "confluence")
        linked = nation.bic("identity", "link", "cadoret", PI)
        assert linked.code == 0, linked.output
        synced(nation)

        log_in(login, newcomer, NEWCOMER, "beispielstadt")
        expect(newcomer.locator("main")).to_contain_text("You are in no team yet")

        pi.goto(f"https://portal.{login.domain}/teams/{GROUP}")
        pi.get_by_label("Account name or e-mail address").fill(NEWCOMER)
        pi.get_by_role("button", name="Find").click()
        expect(pi.locator("main")).to_contain_text("Jürgen Weiß")
        pi.get_by_role("radio", name="Collaborator").check()
        pi.get_by_role("button", name="Add to").click()
        expect(pi.get_by_role("status")).to_contain_text("Jürgen Weiß is a", timeout=PATIENCE)
        synced(nation)

        [person] = login.nation.ask_login_server("GET", f"core/users/?email={NEWCOMER}")["results"]
        account = str(person["username"])
        assert account == "jweiss"
        password = "an app password of Juergen"
        token = {"identifier": "juergen-irods", "intent": "app_password", "user": person["pk"]}
        login.nation.ask_login_server("POST", "core/tokens/", token)
        login.nation.ask_login_server("POST", "core/tokens/juergen-irods/set_key/", {"key": password})
        assert listing(nation, account, password) == []
        with pytest.raises(iRODSException):
            listing(nation, account, "not the password")
        with pytest.raises(OmeroError), omero(nation, account, "not the password") as person:
            groups(person)
        with pytest.raises(paramiko.AuthenticationException), sftp(nation, account, "not the password"):
            pass
        who = nation.bic("access", "who", f"/bicZone/home/{GROUP}")
        assert who.code == 0, who.output
        for system in ("iRODS zone bicZone", "OMERO server dc1-omero", "buffer server buffer-nantes"):
            assert system in who.output

        folder = f"/{GROUP}"
        with omero(nation, account, password) as images, sftp(nation, account, password) as files:
            assert GROUP in groups(images)
            assert files.listdir(folder) == []
            with pytest.raises(PermissionError), files.open(f"{folder}/image", "w"):
                pass
            _leave(nation, pi)
            # What was open has ended.
            with pytest.raises((OSError, EOFError, paramiko.SSHException)):
                files.listdir(folder)
            with pytest.raises(OmeroError):
                groups(images)
        with pytest.raises(CollectionDoesNotExist):
            listing(nation, account, password)
        with pytest.raises(OmeroError), omero(nation, account, password) as person:
            groups(person)
        with pytest.raises(paramiko.AuthenticationException), sftp(nation, account, password):
            pass


def _leave(nation: Nation, pi: Page) -> None:
    pi.get_by_role("button", name="Remove Jürgen Weiß").click()
    expect(pi.get_by_role("status")).to_contain_text("is not in Light sheet any more")
    synced(nation)
