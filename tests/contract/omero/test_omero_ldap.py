"""A server that asks an LDAP directory for passwords, as ours do: who gets in, and until when."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import Glacier2
import omero
import omero_directory
import pytest
from omero.rtypes import rstring, unwrap
from omero_directory import BASE, SEARCHER
from omero_site import READER, Site, omero_site
from omero_under_test import account, group_proxy, logged_in, standin_server
from throwaway_pki import create_authority, issue


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A directory with a few people, as OMERO's settings describe it."""
    folder = tmp_path_factory.mktemp("directory")
    files = issue(create_authority(folder), folder)
    command = [sys.executable, omero_directory.__file__]
    command += [files.certificate_chain_file, files.certificate_key_file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield {
                "omero.ldap.config": "true",
                "omero.ldap.urls": f"ldaps://localhost:{process.stdout.readline().strip()}",
                "omero.ldap.username": SEARCHER,
                "omero.ldap.password": "rehcraes",
                "omero.ldap.base": BASE,
                # Nobody is in such a group, so nobody gets an account by logging in.
                "omero.ldap.new_user_group": ":query:(member=nobody)",
                "omero.security.trustStore": str(folder / "ca.crt"),
            }
        finally:
            process.terminate()


@pytest.fixture
def team(directory: dict[str, str], tmp_path: Path) -> Iterator[Site]:
    """A settled facility on a server that asks the directory, whose reader is marie."""
    (tmp_path / "site").mkdir()
    with standin_server(tmp_path, directory) as server, omero_site(server, tmp_path / "site") as site:
        site.edit("{id}.reader", "marie")
        site.settle()
        yield site


def enters(site: Site, user: str, password: str) -> bool:
    """Whether somebody gets in and can ask the server something."""
    try:
        with logged_in(site.server, user, password) as client:
            client.sf.getAdminService().getSecurityRoles()
            client.sf.getQueryService().projection("select e.id from Experimenter e", None)
            return True
    except (Glacier2.PermissionDeniedException, omero.SecurityViolation):
        return False


def test_people_log_in_with_the_directory_s_password_and_no_other(team: Site) -> None:
    assert enters(team, "marie", "eiram")
    assert [enters(team, "marie", password) for password in ("marie", " ", "")] == [False] * 3
    with logged_in(team.server, "marie", "eiram") as client:
        context = client.sf.getAdminService().getEventContext()
        assert context.userName == "marie"
        with logged_in(team.server) as root:
            cells = root.sf.getAdminService().lookupGroup(team.group("cells")).id.val
        assert cells in context.memberOfGroups


def test_who_has_no_account_gets_none_by_logging_in(team: Site) -> None:
    assert not enters(team, "rosalind", "dnilasor")
    with logged_in(team.server) as root, pytest.raises(omero.ApiUsageException):
        root.sf.getAdminService().lookupExperimenter("rosalind")


def test_who_is_closed_here_does_not_get_in_though_the_directory_says_yes(team: Site) -> None:
    team.edit(READER.replace("{id}.reader", "marie"), "")
    team.settle()
    assert not enters(team, "marie", "eiram")


def test_an_account_with_a_password_of_its_own_is_adopted_and_asks_the_directory(team: Site) -> None:
    with logged_in(team.server) as root:
        admin = root.sf.getAdminService()
        groups = [group_proxy(unwrap(admin.lookupGroup(name).id)) for name in ("guest", "user")]
        admin.createExperimenterWithPassword(account("marco"), rstring("his own"), groups[0], groups[1:])
    assert enters(team, "marco", "his own")
    team.edit("user: {id}.writer", "user: marco", count=2)
    team.settle(adopt=True)
    assert enters(team, "marco", "ocram")
    assert not enters(team, "marco", "his own")
