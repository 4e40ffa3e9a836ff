"""The role irods_gateway: what people and programs get at the gateway, with WebDAV in front of a zone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import assert_modern_tls, reachable
from irods.exception import UserDoesNotExist
from irods.session import iRODSSession
from testinfra.host import Host, get_host

testinfra_hosts = ["ansible://mol-gateway"]

UNIT = "irods-webdav"
ZONE = "molZone"
PORT = 443
MIB = 1024 * 1024
BIG = 256 * MIB
PASSWORDS = {"gate-alice": "hers and secret", "gate-bob": "his and secret"}
ALICE, BOB = PASSWORDS


@pytest.fixture(scope="module")
def icat() -> Host:
    """The host of the zone's server."""
    return get_host(f"ansible://mol-gateway-icat?ansible_inventory={os.environ['MOLECULE_INVENTORY_FILE']}")


@pytest.fixture(scope="module")
def zone_address(icat: Host) -> str:
    """Where the zone's server is."""
    return str(icat.ansible.get_variables()["ansible_host"])


@pytest.fixture(autouse=True)
def people(zone_address: str, state_dir: Path, tls: ssl.SSLContext) -> None:
    """Two users of the zone."""
    with iRODSSession(
        host=zone_address,
        port=1247,
        user="rods",
        zone=ZONE,
        password=(state_dir / "secrets/irods_admin_password").read_text().strip(),
        client_server_negotiation="request_server_negotiation",
        client_server_policy="CS_NEG_REQUIRE",
        encryption_algorithm="AES-256-CBC",
        encryption_key_size=32,
        encryption_num_hash_rounds=16,
        encryption_salt_size=8,
        ssl_context=tls,
    ) as session:
        for name, password in PASSWORDS.items():
            with contextlib.suppress(UserDoesNotExist):
                session.users.get(name)
                continue
            session.users.create(name, "rodsuser")
            session.users.modify(name, "password", password)


def client(address: str, tls: ssl.SSLContext, name: str, password: str = "") -> httpx.Client:
    """A user's program."""
    auth = (name, password or PASSWORDS[name])
    return httpx.Client(base_url=f"https://{address}", auth=auth, verify=tls, timeout=120, trust_env=False)


@pytest.fixture
def alice(address: str, tls: ssl.SSLContext) -> Iterator[httpx.Client]:
    """Her program."""
    with client(address, tls, ALICE) as opened:
        yield opened


def test_the_gateway_says_that_it_is_ready(address: str, tls: ssl.SSLContext) -> None:
    answer = httpx.get(f"https://{address}/-/ready", verify=tls, trust_env=False)
    assert (answer.status_code, answer.text) == (200, "ready\n")
    assert "nginx/" not in answer.headers["server"]


def test_a_file_goes_up_and_comes_back_and_goes(alice: httpx.Client) -> None:
    content = os.urandom(2 * MIB + 3)
    assert alice.put(f"/{ALICE}/image.tif", content=content).status_code in (201, 204)
    assert alice.get(f"/{ALICE}/image.tif").content == content
    part = alice.get(f"/{ALICE}/image.tif", headers={"Range": f"bytes={MIB}-{MIB + 9}"})
    assert (part.status_code, part.content) == (206, content[MIB : MIB + 10])
    listing = alice.request("PROPFIND", f"/{ALICE}/", headers={"Depth": "1"})
    assert listing.status_code == 207
    assert f"/{ALICE}/image.tif<" in listing.text
    renamed = {"Destination": f"{alice.base_url}/{ALICE}/renamed.tif", "Overwrite": "T"}
    assert alice.request("MOVE", f"/{ALICE}/image.tif", headers=renamed).status_code in (201, 204)
    assert alice.delete(f"/{ALICE}/renamed.tif").status_code == 204
    assert alice.get(f"/{ALICE}/renamed.tif").status_code == 404


def test_what_people_store_cannot_act_in_a_browser(alice: httpx.Client) -> None:
    alice.put(f"/{ALICE}/page.html", content=b"<script>alert(1)</script>")
    for path in (f"/{ALICE}/page.html", f"/{ALICE}/"):
        answer = alice.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("sandbox")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_wrong_password_and_another_user_are_refused(address: str, tls: ssl.SSLContext) -> None:
    with client(address, tls, ALICE, "wrong") as stranger:
        assert stranger.get("/").status_code == 401
        assert stranger.put(f"/{ALICE}/x.bin", content=bytes(20 * MIB)).status_code == 401
    with client(address, tls, ALICE) as alice, client(address, tls, BOB) as bob:
        alice.put(f"/{ALICE}/hers.txt", content=b"hers")
        assert bob.get(f"/{ALICE}/hers.txt").status_code == 404
        assert bob.put(f"/{ALICE}/hers.txt", content=b"his").status_code in (403, 404, 409)
        assert alice.get(f"/{ALICE}/hers.txt").content == b"hers"


def test_a_big_file_goes_through_without_being_kept(
    host: Host, address: str, tls: ssl.SSLContext, alice: httpx.Client
) -> None:
    block = os.urandom(MIB)
    digest = hashlib.sha256(block * (BIG // MIB)).hexdigest()
    blocks = (block for _ in range(BIG // MIB))
    answer = alice.put(f"/{ALICE}/big.bin", content=blocks, headers={"Content-Length": str(BIG)})
    assert answer.status_code in (201, 204)
    got = hashlib.sha256()
    with alice.stream("GET", f"/{ALICE}/big.bin") as download:
        for part in download.iter_raw(MIB):
            got.update(part)
    assert got.hexdigest() == digest
    pid = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    peak = re.search(r"VmHWM:\s+(\d+) kB", host.file(f"/proc/{pid}/status").content_string)
    assert peak is not None
    assert int(peak[1]) * 1024 < 160 * MIB
    assert host.check_output("find /var/lib/nginx -type f -size +1M") == ""


def test_plain_http_and_other_hosts_are_kept_out(host: Host, address: str, icat: Host) -> None:
    assert not reachable(address, 80)
    assert not reachable(address, 9001)
    assert host.socket("tcp://127.0.0.1:9001").is_listening
    assert icat.run("timeout 3 bash -c '</dev/tcp/%s/443'", address).rc != 0


def test_only_modern_tls_is_spoken(address: str, authority: Path) -> None:
    assert_modern_tls(address, 443, authority)


def test_the_service_is_confined_and_knows_no_secret(host: Host) -> None:
    assert host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled
    pid = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    assert host.process.get(pid=int(pid)).user == "irods-webdav"
    exposure = host.run("systemd-analyze security --no-pager %s", UNIT).stdout.splitlines()[-1]
    assert float(re.search(r"(\d+\.\d)", exposure)[1]) < 2.5  # type: ignore[index]
    logs = host.check_output("journalctl --no-pager -u %s -u nginx", UNIT)
    for secret in PASSWORDS.values():
        assert secret not in logs


def test_people_notice_a_restart_only_as_a_pause(host: Host, alice: httpx.Client) -> None:
    alice.put(f"/{ALICE}/before.txt", content=b"1")
    host.check_output("systemctl restart %s", UNIT)
    assert alice.get(f"/{ALICE}/before.txt").content == b"1"


def test_a_zone_that_is_away_is_said_to_be_away(
    host: Host, icat: Host, address: str, tls: ssl.SSLContext, alice: httpx.Client
) -> None:
    icat.check_output("systemctl stop irods")
    try:
        host.check_output("systemctl restart %s", UNIT)
        assert httpx.get(f"https://{address}/-/ready", verify=tls, trust_env=False).status_code == 503
        assert alice.get(f"/{ALICE}/").status_code == 503
    finally:
        icat.check_output("systemctl start irods")
    host.check_output("systemctl restart %s", UNIT)
    assert alice.get(f"/{ALICE}/").status_code == 200
