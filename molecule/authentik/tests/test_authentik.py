"""The role authentik: what people, applications and LDAP clients get, and what they do not."""

from __future__ import annotations

import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import CONNECT_TIMEOUT, reachable
from testinfra.host import Host

testinfra_hosts = ["ansible://mol-authentik"]

NAME = "login.mol.example"
BASE = "dc=ldap,dc=mol,dc=example"
UNITS = ["authentik-server", "authentik-worker", "authentik-ldap", "nginx"]
TIMEOUT = 60.0


def secret(state_dir: Path, name: str) -> str:
    return (state_dir / "secrets" / name).read_text().strip()


class Api:
    """The API through nginx, by its public name, which only the fleet's hosts can resolve."""

    def __init__(self, address: str, tls: ssl.SSLContext, token: str) -> None:
        self.client = httpx.Client(
            base_url=f"https://{address}",
            verify=tls,
            timeout=TIMEOUT,
            headers={"Host": NAME, "Authorization": f"Bearer {token}"},
        )

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.client.request(method, f"/api/v3/{path}", extensions={"sni_hostname": NAME}, **more)


@pytest.fixture
def administrator(address: str, tls: ssl.SSLContext, state_dir: Path) -> Api:
    return Api(address, tls, secret(state_dir, "bootstrap"))


@pytest.mark.parametrize("unit", UNITS)
def test_it_runs_now_and_at_every_boot(host: Host, unit: str) -> None:
    service = host.service(unit)
    assert service.is_running
    assert service.is_enabled


def test_the_api_answers_over_tls_with_the_wanted_version(administrator: Api) -> None:
    answer = administrator.ask("GET", "admin/version/")
    assert answer.status_code == 200
    assert answer.json()["version_current"] == "2026.8.5"


def test_a_certificate_of_nobody_is_not_believed(address: str) -> None:
    browser = httpx.Client(timeout=TIMEOUT)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        browser.get(f"https://{address}/", extensions={"sni_hostname": NAME})


@pytest.mark.parametrize("port", [80, 389, 3389, 6636, 9000, 9001, 9300, 9302, 9443])
def test_nothing_else_is_open_outside(host: Host, address: str, port: int) -> None:
    assert not reachable(address, port)


def test_plaintext_is_refused_at_the_tls_port(address: str) -> None:
    answer = httpx.get(f"http://{address}:443/", headers={"Host": NAME})
    assert answer.status_code == 400


def test_plaintext_is_refused_by_ldap(address: str) -> None:
    # A bind in the clear: message 1, version 3, no name, no password.
    with socket.create_connection((address, 636), CONNECT_TIMEOUT) as connection:
        connection.settimeout(TIMEOUT)
        connection.sendall(bytes.fromhex("300c020101600702010304008000"))
        answer = connection.recv(100)
    assert b"\x61" not in answer[:10], "no bind response"


def test_applications_find_their_provider(address: str, tls: ssl.SSLContext) -> None:
    browser = httpx.Client(verify=tls, headers={"Host": NAME}, timeout=TIMEOUT)
    by_name = {"sni_hostname": NAME}
    url = f"https://{address}/application/o/portal/.well-known/openid-configuration"
    answer = browser.get(url, extensions=by_name)
    assert answer.status_code == 200
    document = answer.json()
    assert document["issuer"] == f"https://{NAME}/application/o/portal/"
    assert "S256" in document["code_challenge_methods_supported"]
    keys = browser.get(document["jwks_uri"].replace(NAME, address), extensions=by_name).json()["keys"]
    assert [key["kty"] for key in keys] == ["RSA"]


def test_an_application_without_redirect_uris_is_not_there(administrator: Api) -> None:
    found = administrator.ask("GET", "core/applications/", params={"superuser_full_list": "true"}).json()
    assert {one["slug"] for one in found["results"]} >= {"portal", "ldap"}
    assert "grafana" not in {one["slug"] for one in found["results"]}


@pytest.mark.parametrize(
    ("account", "path", "allowed"),
    [
        ("controlplane", "core/groups/", True),
        ("exporter", "core/groups/", True),
        ("exporter", "core/tokens/bic-control-plane/view_key/", False),
        ("outpost", "core/tokens/bic-control-plane/view_key/", False),
        ("controlplane", "flows/instances/bic-authentication/", False),
    ],
)
def test_service_accounts_see_what_they_need(  # noqa: PLR0917 - three of them are fixtures
    address: str, tls: ssl.SSLContext, state_dir: Path, account: str, path: str, allowed: bool
) -> None:
    status = Api(address, tls, secret(state_dir, account)).ask("GET", path).status_code
    assert status in ({200} if allowed else {403, 404})


def test_no_service_account_is_a_superuser(administrator: Api) -> None:
    for name in ("bic-control-plane", "bic-exporter", "bic-ldap-outpost", "bic-ldap-search"):
        (user,) = administrator.ask("GET", "core/users/", params={"username": name}).json()["results"]
        assert not user["is_superuser"], name


def test_the_control_plane_can_make_itself_a_token_that_lasts(
    address: str, tls: ssl.SSLContext, state_dir: Path
) -> None:
    own = Api(address, tls, secret(state_dir, "controlplane"))
    mine = own.ask("GET", "core/users/me/").json()["user"]["pk"]
    body = {"identifier": "of-a-test", "intent": "api", "user": mine, "expiring": True}
    made = own.ask("POST", "core/tokens/", json=body)
    assert made.status_code == 201, made.text
    try:
        expires = datetime.fromisoformat(made.json()["expires"])
        assert expires > datetime.now(UTC) + timedelta(days=80)
    finally:
        assert own.ask("DELETE", "core/tokens/of-a-test/").status_code == 204


def ldapsearch(host: Host, password: str, *words: str) -> Any:
    script = (
        'umask 077; printf %s "$0" > /run/molecule-password; '
        "LDAPTLS_CACERT=/etc/bic/pki/ca.crt LDAPTLS_REQCERT=demand "
        'ldapsearch -LLL -x -y /run/molecule-password -H ldaps://mol-authentik.mol.example "$@"; '
        "answer=$?; rm /run/molecule-password; exit $answer"
    )
    return host.run("sh -c %s %s " + " ".join(["%s"] * len(words)), script, password, *words)


def test_ldap_finds_people_for_those_who_may_ask(host: Host, state_dir: Path, administrator: Api) -> None:
    body = {"username": "ada@mol.example", "name": "Ada", "attributes": {"bic_account": "ada"}}
    made = administrator.ask("POST", "core/users/", json=body)
    assert made.status_code == 201
    pk = made.json()["pk"]
    try:
        body = {"password": "hers-and-secret-1"}
        assert administrator.ask("POST", f"core/users/{pk}/set_password/", json=body).status_code == 204
        people = ("-b", f"ou=users,{BASE}")
        search = (*people, "-D", f"cn=bic-ldap-search,ou=users,{BASE}")
        # OpenLDAP's client refuses to send filters on attributes with an underscore.
        found = ldapsearch(host, secret(state_dir, "search"), *search, "(cn=ada@mol.example)", "bic_account")
        assert found.rc == 0, found.stderr
        answer = found.stdout.splitlines()
        assert answer[:2] == [f"dn: cn=ada@mol.example,ou=users,{BASE}", "bic_account: ada"]
        own = (*people, "-D", f"cn=ada@mol.example,ou=users,{BASE}", "(cn=bic-ldap-search)", "dn")
        hers = ldapsearch(host, "hers-and-secret-1", *own)
        assert hers.rc == 0, hers.stderr
        assert "bic-ldap-search" not in hers.stdout, "she sees herself alone"
        wrong = ldapsearch(host, "not-hers", *own)
        assert wrong.rc == 49, "invalid credentials"
    finally:
        assert administrator.ask("DELETE", f"core/users/{pk}/").status_code == 204


def test_ldap_tells_nothing_to_those_who_are_nobody(host: Host) -> None:
    found = host.run(
        "LDAPTLS_CACERT=/etc/bic/pki/ca.crt ldapsearch -LLL -x -H ldaps://mol-authentik.mol.example"
        f" -b ou=users,{BASE} '(objectClass=*)' dn"
    )
    assert "dn: cn=" not in found.stdout


def test_secrets_are_read_by_those_who_need_them(host: Host) -> None:
    assert not host.file("/etc/authentik/bootstrap.env").exists
    for name in ("secret_key", "postgresql_password", "oidc_portal", "ldap_outpost_token"):
        file = host.file(f"/etc/authentik/secrets/{name}")
        assert (file.user, file.mode) == ("authentik", 0o400), name
    arguments = host.run("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'").stdout
    environment = host.run("systemctl show --property=Environment authentik-server authentik-ldap").stdout
    for name in ("secret_key", "ldap_outpost_token"):
        value = host.file(f"/etc/authentik/secrets/{name}").content_string
        assert value not in arguments
        assert value not in environment


def test_a_backup_brings_back_what_was_deleted(host: Host, administrator: Api) -> None:
    marker = host.run("echo before > /var/lib/authentik/data/marker")
    assert marker.rc == 0
    made = administrator.ask("POST", "core/groups/", json={"name": "of before"})
    assert made.status_code == 201
    taken = host.run("authentik-backup take")
    assert taken.rc == 0, taken.stderr
    name = json.loads(taken.stdout)["backup"]
    drilled = host.run("authentik-backup drill")
    assert drilled.rc == 0, drilled.stderr
    assert administrator.ask("DELETE", f"core/groups/{made.json()['pk']}/").status_code == 204
    assert host.run("rm /var/lib/authentik/data/marker").rc == 0

    refused = host.run(f"authentik-backup restore {name}")
    assert refused.rc == 1
    assert "authentik-server.service runs: stop it first" in refused.stderr
    assert host.run("systemctl stop authentik-ldap authentik-server authentik-worker").rc == 0
    restored = host.run(f"authentik-backup restore {name}")
    assert restored.rc == 0, restored.stderr
    assert host.run("systemctl start authentik-worker authentik-server authentik-ldap").rc == 0
    assert host.file("/var/lib/authentik/data/marker").content_string == "before\n"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if administrator.ask("GET", "admin/version/").status_code == 200:
            break
        time.sleep(2)
    assert administrator.ask("GET", "core/users/me/").status_code == 200


def test_a_damaged_backup_is_told(host: Host) -> None:
    taken = host.run("authentik-backup take")
    assert taken.rc == 0, taken.stderr
    name = json.loads(taken.stdout)["backup"]
    assert host.run(f"printf x >> /var/backups/authentik/{name}.tar.gz").rc == 0
    drilled = host.run(f"authentik-backup drill {name}")
    assert drilled.rc == 1
    assert "is not what was written" in drilled.stderr
    host.run(f"rm /var/backups/authentik/{name}.*")
