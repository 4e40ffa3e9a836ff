"""Logins at the OMERO stand-in with the passwords of a directory."""

import subprocess
import sys
from pathlib import Path

import Glacier2
import omero
import omero_directory
import pytest
from omero.rtypes import rlong, rstring, unwrap
from omero_clients import USER_GROUP, add_group, add_person, groups, person, site
from throwaway_pki import create_authority, issue

NOBODY_NEW = ":query:(cn=nobody-gets-in-by-logging-in)"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return create_authority(tmp_path_factory.mktemp("directory"))


@pytest.fixture(scope="module")
def directory(tmp_path_factory, authority):
    """The port of a directory."""
    tls = issue(authority, tmp_path_factory.mktemp("directory"))
    files = (tls.certificate_chain_file, tls.certificate_key_file)
    with subprocess.Popen(
        [sys.executable, omero_directory.__file__, *files], stdout=subprocess.PIPE, text=True
    ) as process:
        yield int(process.stdout.readline())
        process.terminate()


def settings(port: int, ca_file: Path, **changes: str) -> dict[str, str]:
    values = {
        "config": "true",
        "urls": f"ldaps://localhost:{port}",
        "username": omero_directory.SEARCHER,
        "password": "searcher"[::-1],
        "base": omero_directory.BASE,
        "user_filter": "(objectClass=person)",
        "user_mapping": "omeName=cn,firstName=givenName,lastName=sn,email=mail",
        "new_user_group": NOBODY_NEW,
        **changes,
    }
    return {
        "omero.security.trustStore": str(ca_file),
        **{f"omero.ldap.{name}": value for name, value in values.items()},
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory, directory, authority):
    with site(tmp_path_factory.mktemp("omero"), settings(directory, authority.ca_file)) as made:
        yield made


@pytest.fixture(scope="module")
def marie(root):
    """Somebody of the directory who has an account, and a password of OMERO's own that no longer counts."""
    uid = add_person(root, "marie", add_group(root, "team of marie"), password="own")
    root.sf.getLdapService().setDN(rlong(uid), "ldap")
    return uid


def refused(server, name, password):
    with pytest.raises(Glacier2.PermissionDeniedException), server.client(name, password):
        pass
    return True


def test_the_directory_decides(server, root, marie):
    with server.client("marie", "eiram") as client:
        assert client.sf.getAdminService().getEventContext().userId == marie
    assert refused(server, "marie", "wrong")
    assert refused(server, "marie", "own")


def test_root_is_no_person_of_the_directory(root):
    assert root.sf.getAdminService().getEventContext().userName == "root"


def test_who_has_no_account_gets_none_by_logging_in(server, root):
    assert refused(server, "rosalind", "dnilasor")
    assert refused(server, "nowhere", "erehwon")
    with pytest.raises(omero.ApiUsageException):
        root.sf.getAdminService().lookupExperimenter("rosalind")


def test_an_account_whose_flag_is_not_set_has_its_own_password(server, root):
    add_person(root, "marco", add_group(root, "team of marco"), password="own")
    with server.client("marco", "own"):
        pass
    assert refused(server, "marco", "ocram")


def test_somebody_whom_the_directory_does_not_know_is_checked_by_the_server(server, root):
    uid = add_person(root, "left", add_group(root, "team of left"), password="own")
    root.sf.getLdapService().setDN(rlong(uid), "ldap")
    with server.client("left", "own"):
        pass
    assert refused(server, "left", "tfel")


def test_accounts_of_the_directory_cannot_be_created_with_a_password(root):
    admin, where = root.sf.getAdminService(), add_group(root, "impossible")
    arguments = (*groups(where), groups(USER_GROUP))
    with pytest.raises(omero.SecurityViolation, match="Cannot change password"):
        admin.createExperimenterWithPassword(person("rosalind", ldap=True), rstring("any"), *arguments)
    with pytest.raises(omero.ApiUsageException, match="Cannot find unique user"):
        admin.createExperimenterWithPassword(person("absent", ldap=True), rstring("any"), *arguments)
    for name in ("rosalind", "absent"):
        with pytest.raises(omero.ApiUsageException):
            admin.lookupExperimenter(name)


def test_a_password_of_the_directory_is_not_changed(server, root, marie):
    with pytest.raises(omero.SecurityViolation, match="Cannot change password"):
        root.sf.getAdminService().changeUserPassword("marie", rstring("new"))
    with server.client("marie", "eiram"):
        pass


def test_administrators_are_told_who_is_in_the_directory(root, marie):
    admin = root.sf.getAdminService()
    expected = f"cn=marie,{omero_directory.BASE}"
    assert admin.lookupLdapAuthExperimenter(marie) == expected
    assert {"dn": expected, "experimenter_id": marie} in unwrap(admin.lookupLdapAuthExperimenters())
    assert root.sf.getLdapService().findDN("rosalind") == f"cn=rosalind,{omero_directory.BASE}"
    assert root.sf.getLdapService().getSetting() is True


def test_a_name_with_a_filter_in_it_finds_nobody(server):
    assert refused(server, "ros*", "dnilasor")
    assert refused(server, "x)(cn=rosalind", "dnilasor")


@pytest.mark.parametrize(
    ("spec", "expected"), [("newcomers", "newcomers"), (":query:(member=@{dn})", "imagers")]
)
def test_newcomers_get_an_account_where_that_is_wanted(tmp_path, directory, authority, spec, expected):
    config = settings(directory, authority.ca_file, new_user_group=spec)
    with site(tmp_path, config) as welcoming, welcoming.client() as root:
        assert refused(welcoming, "rosalind", "wrong")
        admin = root.sf.getAdminService()
        with pytest.raises(omero.ApiUsageException):
            admin.lookupExperimenter("rosalind")
        with welcoming.client("rosalind", "dnilasor") as client:
            context = client.sf.getAdminService().getEventContext()
        found = admin.lookupExperimenter("rosalind")
        assert (context.groupName, unwrap(found.ldap), unwrap(found.firstName)) == (
            expected,
            True,
            "Rosalind",
        )
        assert unwrap(found.email) == "rosalind@example.org"


def test_who_matches_no_group_gets_no_account(tmp_path, directory, authority):
    config = settings(directory, authority.ca_file, new_user_group=":query:(member=@{dn})")
    with site(tmp_path, config) as choosy:
        assert refused(choosy, "marco", "ocram")


def test_a_directory_that_is_not_trusted_lets_nobody_in(tmp_path, directory):
    other = create_authority(tmp_path / "other", "another authority")
    with site(tmp_path, settings(directory, other.ca_file)) as careful:
        with careful.client() as root:
            uid = add_person(root, "marie", add_group(root, "team"), password="own")
            root.sf.getLdapService().setDN(rlong(uid), "ldap")
        for password in ("eiram", "own"):
            with (
                pytest.raises(Glacier2.PermissionDeniedException) as denied,
                careful.client("marie", password),
            ):
                pass
            assert "Please contact your administrator" in denied.value.reason
