"""The LDAP outpost, by ldap3 and by OpenLDAP's client."""

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import ldap3
import pytest
from ldap3.core.exceptions import LDAPExceptionError
from ldap_outpost import Outpost, running_outpost
from login_site import PASSWORD, Site

from sandbox.standins.authentik import keypairs, outposts, permissions
from sandbox.standins.authentik.models.connections import LDAP
from sandbox.standins.authentik.models.core import APPLICATION, GROUP, KEYPAIR, ROLE
from sandbox.standins.authentik.models.flows import BINDING, target_of
from sandbox.standins.authentik.release import VERSION
from sandbox.standins.authentik.store import Row

BASE = "dc=ldap,dc=nation,dc=example"
USERS, GROUPS = f"ou=users,{BASE}", f"ou=groups,{BASE}"
SEARCH = "authentik_providers_ldap.search_full_directory"


@pytest.fixture(scope="module")
def people(site: Site) -> dict[str, Row]:
    """Two people of a team, a service that may search, and somebody who has left."""
    attributes = {"bic_account": "cleo1", "bic_managed": "nation", "entitlements": ["a", "b"]}
    found = {
        "cleo": site.add_user(
            "cleo", groups=("nantes-cells",), email="cleo@example.org", attributes=attributes
        ),
        "dan": site.add_user("dan", groups=("nantes-cells",)),
        "reader": site.add_user("reader", type="service_account"),
        "left": site.add_user("left", is_active=False),
    }
    with site.server.store.write() as tx:
        team = tx.find(GROUP, name="nantes-cells")
        nantes = tx.insert(GROUP, {"name": "nantes"})
        assert team is not None
        tx.set_links(GROUP, "parents", team["pk"], [nantes["pk"]])
    return found


@pytest.fixture(scope="module")
def provider(site: Site, people: dict[str, Row]) -> tuple[Row, str]:
    made, token = site.add_ldap(BASE)
    with site.server.store.write() as tx:
        role = tx.insert(ROLE, {"name": "directory readers"})
        tx.link(ROLE, "users", role["pk"], people["reader"]["pk"])
        permissions.assign(tx, str(role["pk"]), SEARCH, LDAP, made["pk"])
        pair = keypairs.generate("ldap.nation.example", 30, "rsa", ("ldap.nation.example",))
        keypair = tx.insert(KEYPAIR, {**pair, "name": "ldap"})
        tx.update(LDAP, made["pk"], {"certificate": keypair["pk"]})
        for outpost in tx.select("authentik_outposts.outpost", name="ldap"):
            outposts.settle(tx, outpost)
    return made, token


@pytest.fixture(scope="module")
def outpost(
    site: Site, provider: tuple[Row, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outpost]:
    with running_outpost(site.url, provider[1], tmp_path_factory.mktemp("outpost")) as running:
        yield running


def connect(outpost: Outpost, name: str, password: str = PASSWORD) -> ldap3.Connection:
    server = ldap3.Server("127.0.0.1", outpost.ldap_port, get_info=ldap3.NONE)
    connection = ldap3.Connection(server, name, password, auto_bind=False, check_names=False)
    connection.bind()
    return connection


def dn(username: str) -> str:
    return f"cn={username},{USERS}"


def found(connection: ldap3.Connection, base: str, query: str, scope: str = ldap3.SUBTREE) -> dict[str, dict]:
    assert (
        connection.search(base, query, scope, attributes=ldap3.ALL_ATTRIBUTES)
        or connection.result["description"] == "success"
    ), connection.result
    return {entry["dn"]: entry["attributes"] for entry in connection.response or []}


@pytest.mark.parametrize(
    ("name", "password", "answer"),
    [
        (dn("cleo"), PASSWORD, "success"),
        (dn("CLEO").replace("ou=users", "OU=Users"), PASSWORD, "success"),
        (dn("cleo"), "wrong", "invalidCredentials"),
        (dn("nobody"), PASSWORD, "invalidCredentials"),
        (dn("left"), PASSWORD, "invalidCredentials"),
        ("cn=cleo,ou=users,dc=other,dc=example", PASSWORD, "insufficientAccessRights"),
        ("garbage", PASSWORD, "insufficientAccessRights"),
    ],
)
def test_who_may_bind(outpost: Outpost, name: str, password: str, answer: str) -> None:
    connection = connect(outpost, name, password)
    assert connection.result["description"] == answer
    connection.unbind()


def test_anonymous_clients_see_no_more_than_that_they_must_bind(outpost: Outpost) -> None:
    server = ldap3.Server("127.0.0.1", outpost.ldap_port, get_info=ldap3.NONE)
    connection = ldap3.Connection(server)
    assert not connection.bind()
    assert connection.result["description"] == "insufficientAccessRights"
    connection.search(BASE, "(objectClass=*)")
    assert connection.result["description"] == "insufficientAccessRights"
    connection.search("", "(objectClass=*)", ldap3.BASE, attributes=ldap3.ALL_ATTRIBUTES)
    attributes = connection.response[0]["attributes"]
    assert "namingContexts" not in attributes
    assert attributes["description"] == ["This LDAP server requires an authenticated session."]


def test_app_passwords_bind(site: Site, outpost: Outpost, people: dict[str, Row]) -> None:
    site.app_password(people["dan"], "an-app-password-of-dan")
    assert connect(outpost, dn("dan"), "an-app-password-of-dan").bound
    assert not connect(outpost, dn("cleo"), "an-app-password-of-dan").bound


def test_an_entry_has_upstreams_attributes_and_the_persons_own(
    outpost: Outpost, people: dict[str, Row], provider: tuple[Row, str]
) -> None:
    entry = found(connect(outpost, dn("cleo")), BASE, "(objectClass=user)")[dn("cleo")]
    assert entry["cn"] == ["cleo"]
    assert entry["mail"] == ["cleo@example.org"]
    assert entry["uidNumber"] == [str(2000 + people["cleo"]["pk"])]
    assert entry["gidNumber"] == entry["uidNumber"]
    assert entry["memberOf"] == [f"cn=nantes-cells,{GROUPS}"]
    assert entry["ak-active"] == ["TRUE"]
    assert entry["homeDirectory"] == ["/home/cleo"]
    assert entry["bic_account"] == ["cleo1"]
    assert entry["entitlements"] == ["a", "b"]
    assert {"user", "posixAccount", "inetOrgPerson", "goauthentik.io/ldap/user"} <= set(entry["objectClass"])


def test_others_see_themselves_only(outpost: Outpost, people: dict[str, Row]) -> None:
    connection = connect(outpost, dn("cleo"))
    assert set(found(connection, USERS, "(objectClass=user)")) == {dn("cleo")}
    assert found(connection, USERS, "(&(objectClass=user)(cn=dan))") == {}
    groups = found(connection, GROUPS, "(objectClass=groupOfNames)")
    assert set(groups) == {f"cn=nantes-cells,{GROUPS}"}
    assert groups[f"cn=nantes-cells,{GROUPS}"]["member"] == [dn("cleo")]


def test_who_may_search_the_directory_sees_all_of_it(outpost: Outpost, people: dict[str, Row]) -> None:
    connection = connect(outpost, dn("reader"))
    everybody = found(connection, USERS, "(objectClass=user)")
    assert {dn("cleo"), dn("dan"), dn("reader"), dn("left")} <= set(everybody)
    assert everybody[dn("left")]["ak-active"] == ["FALSE"]
    team = found(connection, GROUPS, "(&(objectClass=groupOfNames)(cn=nantes-cells))")
    assert set(team[f"cn=nantes-cells,{GROUPS}"]["member"]) == {dn("cleo"), dn("dan")}
    assert set(found(connection, BASE, f"(&(objectClass=user)(memberOf=cn=nantes-cells,{GROUPS}))")) == {
        dn("cleo"),
        dn("dan"),
    }
    virtual = found(connection, BASE, "(&(objectClass=goauthentik.io/ldap/virtual-group)(cn=cleo))")
    assert [entry["member"] for entry in virtual.values()] == [[dn("cleo")]]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("(&(objectClass=user)(|(cn=cleo)(cn=dan)))", {"cleo", "dan"}),
        ("(&(objectClass=user)(mail=cleo@example.org))", {"cleo"}),
        ("(&(objectClass=user)(cn=cl*))", {"cleo"}),
        ("(&(objectClass=user)(cn=*e*r))", {"reader"}),
        ("(&(objectClass=user)(memberOf=*)(!(cn=dan)))", {"cleo"}),
        ("(&(objectClass=user)(bic_managed=nation))", {"cleo"}),
        ("(&(objectClass=user)(uidNumber=1))", set()),
    ],
)
def test_filters(outpost: Outpost, query: str, names: set[str]) -> None:
    entries = found(connect(outpost, dn("reader")), USERS, query)
    known = {dn(name) for name in ("cleo", "dan", "reader", "left")}
    assert set(entries) & known == {dn(name) for name in names}


def test_scopes_and_attributes(outpost: Outpost) -> None:
    connection = connect(outpost, dn("reader"))
    everything = "(objectClass=*)"
    assert set(found(connection, BASE, everything, ldap3.BASE)) == {BASE}
    assert set(found(connection, BASE, everything, ldap3.LEVEL)) == {
        USERS,
        GROUPS,
        f"ou=virtual-groups,{BASE}",
    }
    assert set(found(connection, dn("dan"), everything, ldap3.BASE)) == {dn("dan")}
    assert found(connection, "dc=other", everything) == {}
    connection.search(dn("dan"), everything, ldap3.BASE, attributes=["CN", "mail"])
    assert dict(connection.response[0]["attributes"]) == {"cn": ["dan"], "mail": [""]}
    connection.search(USERS, "(objectClass=user)", size_limit=1)
    assert connection.result["description"] == "sizeLimitExceeded"


def test_compare(outpost: Outpost) -> None:
    connection = connect(outpost, dn("cleo"))
    assert connection.compare(dn("cleo"), "mail", "cleo@example.org")
    assert not connection.compare(dn("cleo"), "mail", "dan@example.org")


def test_who_may_not_use_the_application_may_not_bind(
    site: Site, outpost: Outpost, provider: tuple[Row, str]
) -> None:
    with site.server.store.write() as tx:
        application = tx.find(APPLICATION, slug="ldap")
        team = tx.find(GROUP, name="nantes-cells")
        assert application is not None
        assert team is not None
        values = {"target": target_of(application, APPLICATION), "group": team["pk"], "order": 0}
        binding = tx.insert(BINDING, values)
    try:
        assert connect(outpost, dn("cleo")).bound
        refused = connect(outpost, dn("reader"))
        assert refused.result["description"] == "insufficientAccessRights"
    finally:
        with site.server.store.write() as tx:
            tx.delete(BINDING, binding["pk"])


def test_tls_has_the_providers_certificate(
    site: Site, outpost: Outpost, provider: tuple[Row, str], tmp_path: Path
) -> None:
    with site.server.store.read() as tx:
        keypair = tx.find(KEYPAIR, name="ldap")
    assert keypair is not None
    authority = tmp_path / "ca.pem"
    authority.write_text(keypair["certificate_data"])
    tls = ldap3.Tls(
        ca_certs_file=str(authority), validate=ssl.CERT_REQUIRED, valid_names=["ldap.nation.example"]
    )
    for port, use_ssl in ((outpost.ldaps_port, True), (outpost.ldap_port, False)):
        server = ldap3.Server("127.0.0.1", port, use_ssl=use_ssl, tls=tls, get_info=ldap3.NONE)
        connection = ldap3.Connection(server, dn("cleo"), PASSWORD)
        if not use_ssl:
            assert connection.start_tls()
        assert connection.bind()
    other = tmp_path / "other.pem"
    other.write_text(keypairs.generate("other", 30, "rsa")["certificate_data"])
    wrong = ldap3.Tls(ca_certs_file=str(other), validate=ssl.CERT_REQUIRED)
    server = ldap3.Server("127.0.0.1", outpost.ldaps_port, use_ssl=True, tls=wrong, get_info=ldap3.NONE)
    with pytest.raises(LDAPExceptionError):
        ldap3.Connection(server, dn("cleo"), PASSWORD).bind()


def test_binds_leave_no_sessions_behind(site: Site, outpost: Outpost, people: dict[str, Row]) -> None:
    assert connect(outpost, dn("cleo")).bound
    assert site.rows("authentik_core.authenticatedsession", user=people["cleo"]["pk"]) == []


def test_what_pam_of_an_irods_server_does(outpost: Outpost, people: dict[str, Row]) -> None:
    """As nslcd with the settings of the role ldap_client: find the name, then bind as what was found."""
    probe = connect(outpost, dn("reader"))
    assert set(found(probe, USERS, "(objectClass=*)", ldap3.BASE)) == {USERS}
    entries = found(probe, USERS, "(&(objectClass=user)(cn=cleo))")
    assert list(entries) == [dn("cleo")]
    assert connect(outpost, next(iter(entries))).bound
    assert not connect(outpost, next(iter(entries)), "wrong").bound


@pytest.mark.skipif(shutil.which("ldapsearch") is None, reason="OpenLDAP's client is not installed")
def test_openldaps_client_searches(outpost: Outpost) -> None:
    command = ["ldapsearch", "-x", "-LLL", "-H", f"ldap://127.0.0.1:{outpost.ldap_port}", "-D", dn("reader")]
    asked = [*command, "-w", PASSWORD, "-b", USERS, "(&(objectClass=user)(cn=cleo))", "bic_account"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["dn:", dn("cleo"), "bic_account:", "cleo1"]


def test_refusals_are_counted(outpost: Outpost) -> None:
    assert not connect(outpost, dn("cleo"), "wrong").bound
    metrics = httpx.get(f"{outpost.metrics_url}/metrics").text
    assert (
        'authentik_outpost_ldap_requests_rejected_total{reason="invalid_credentials",type="bind"}' in metrics
    )


def test_the_server_hears_of_an_outpost_that_runs(site: Site, outpost: Outpost) -> None:
    deadline = time.monotonic() + 60
    reports: list[dict[str, object]] = []
    while not reports and time.monotonic() < deadline:
        with site.server.store.read() as tx:
            [found] = tx.select("authentik_outposts.outpost", name="ldap")
            reports = outposts.health(found)
        time.sleep(0.1)
    assert [(report["version"], report["version_outdated"]) for report in reports] == [(VERSION, False)]
