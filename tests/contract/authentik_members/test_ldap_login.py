"""Somebody to whom the control plane gave an account name logs in under it, by OpenLDAP's client.

This is what PAM of an iRODS server does: the name is looked up by the settings of the role irods_server, and
the password tried as what was found.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from identity_site import IdentitySite
from ldap_outpost import Outpost, running_outpost
from login_site import Site
from test_members import open_team

from sandbox.standins.authentik import permissions
from sandbox.standins.authentik.models.connections import LDAP
from sandbox.standins.authentik.models.core import ROLE

BASE = "dc=ldap,dc=nation,dc=example"
USERS = f"ou=users,{BASE}"
SEARCH = "authentik_providers_ldap.search_full_directory"
PASSWORDS = {"tadhg-of-far": "a password of Tadhg", "bic-ldap-search": "a password of the search"}
INVALID_CREDENTIALS = 49

pytestmark = pytest.mark.skipif(
    shutil.which("ldapsearch") is None, reason="OpenLDAP's client is not installed"
)


@pytest.fixture
def outpost(settled: IdentitySite, tmp_path: Path) -> Iterator[Outpost]:
    """The outpost of a nation in whose team Tadhg is."""
    admin = settled.admin
    admin.user("tadhg-of-far", "Tadhg O'Brien")
    admin.put("tadhg-of-far", f"{open_team(settled).group}.contributors")
    search = admin.user("bic-ldap-search", kind="service_account")
    for username, password in PASSWORDS.items():
        admin.call("POST", f"core/users/{admin.keys[username]}/set_password/", {"password": password})
    provider, token = Site(settled.login).add_ldap(BASE)
    with settled.login.store.write() as tx:
        role = tx.insert(ROLE, {"name": "directory readers"})
        tx.link(ROLE, "users", role["pk"], search)
        permissions.assign(tx, str(role["pk"]), SEARCH, LDAP, provider["pk"])
    folder = tmp_path / "outpost"
    folder.mkdir()
    with running_outpost(settled.login.url, token, folder) as running:
        yield running


def ask(outpost: Outpost, who: str, password: str, base: str, query: str) -> tuple[int, list[str]]:
    command = ["ldapsearch", "-x", "-LLL", "-H", f"ldap://127.0.0.1:{outpost.ldap_port}", "-D", who]
    command += ["-w", password, "-b", base, query, "cn"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout.split()


def search(outpost: Outpost, query: str) -> tuple[int, list[str]]:
    return ask(outpost, f"cn=bic-ldap-search,{USERS}", PASSWORDS["bic-ldap-search"], USERS, query)


def login(outpost: Outpost, who: str, password: str) -> int:
    """How a bind as somebody ends, by the code of the LDAP result."""
    return ask(outpost, who, password, who, "(objectClass=*)")[0]


def test_people_log_in_under_their_account_name(settled: IdentitySite, outpost: Outpost) -> None:
    by_name = "(&(objectClass=user)(cn=tobrien))"
    assert search(outpost, by_name) == (0, [])
    synced = settled.bic("sync")
    assert synced.code == 0, synced.out + synced.err
    found = f"cn=tobrien,{USERS}"
    assert search(outpost, by_name) == (0, ["dn:", found, "cn:", "tobrien"])
    password = PASSWORDS["tadhg-of-far"]
    assert login(outpost, found, password) == 0
    assert login(outpost, found, "wrong") == INVALID_CREDENTIALS
    assert login(outpost, f"cn=tadhg-of-far,{USERS}", password) == INVALID_CREDENTIALS
    settled.admin.activate("tadhg-of-far", active=False)
    assert login(outpost, found, password) == INVALID_CREDENTIALS


def test_openldaps_client_asks_for_no_attribute_with_an_underscore(outpost: Outpost) -> None:
    code, _ = search(outpost, "(&(objectClass=user)(bic_account=tobrien))")
    assert code not in (0, INVALID_CREDENTIALS)
    assert search(outpost, "(&(objectClass=user)(cn=tadhg-of-far))")[0] == 0
