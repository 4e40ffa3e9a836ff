"""The demo as a whole: what a person who runs it may rely on."""

import contextlib
import json
import re
import shlex
import ssl
import subprocess
import sys
import time

import httpx
import psycopg
import pytest
from irods.exception import NetworkException, iRODSException
from irods.session import iRODSSession
from nation import KILL_POINTS, Nation

from sandbox.fleet import host as hosts

RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
#: Seconds that the services may take until all answer again after their hosts' power came back.
RECOVERY_DEADLINE = 180


def test_check_mode_does_not_fail_on_fresh_hosts(nation: Nation) -> None:
    assert nation.check is not None
    assert nation.check.code == 0, nation.check.output[-5000:]


def test_every_kill_point_was_reached(nation: Nation) -> None:
    assert [run.killed_at for run in nation.killed] == list(KILL_POINTS)


def test_the_run_after_the_killed_ones_ends_well(nation: Nation) -> None:
    assert nation.demo is not None
    assert nation.demo.code == 0, nation.demo.output[-8000:]
    for word in ("https://10.78.0.15:9090", "https://10.78.0.15:9887/metrics", "Next, try"):
        assert word in nation.demo.output
    assert re.search(r"OK +journey +login to the portal", nation.demo.output)
    for number in ("Hosts that do not answer +0", "iRODS servers down +0", r"Data +\d+ B"):
        assert re.search(rf"{number}\n", nation.demo.output), number


def test_a_second_run_changes_nothing(nation: Nation) -> None:
    assert nation.again is not None
    assert nation.again.code == 0, nation.again.output[-8000:]
    recap = {host: int(changed) for host, changed, _, _ in RECAP.findall(nation.again.output)}
    assert recap == dict.fromkeys(nation.platform.hosts, 0) | (
        {"localhost": 0} if "localhost" in recap else {}
    ), nation.again.output[-8000:]


def _targets(nation: Nation) -> dict[str, str]:
    """Every scrape target of Prometheus and its health, asked over TLS with our authority."""
    url = f"https://{nation.address('dc1-monitor')}:9090/api/v1/targets"
    context = ssl.create_default_context(cafile=str(nation.authority))
    answer = httpx.get(url, verify=context, timeout=10, trust_env=False).raise_for_status().json()
    return {target["scrapeUrl"]: target["health"] for target in answer["data"]["activeTargets"]}


def _wait_for_targets(nation: Nation, deadline: float = 90) -> dict[str, str]:
    until = time.monotonic() + deadline
    while True:
        try:
            targets = _targets(nation)
        except httpx.HTTPError:
            targets = {}
        if (targets and set(targets.values()) == {"up"}) or time.monotonic() > until:
            return targets
        time.sleep(2)


def test_prometheus_says_that_every_target_is_up(nation: Nation) -> None:
    targets = _wait_for_targets(nation)
    expected = {f"https://{host.address}:9100/metrics" for host in nation.platform.hosts.values()}
    expected |= {f"https://{nation.address('dc1-icat')}:9187/metrics"}
    expected |= {f"https://{nation.address('dc2-irods')}:443/metrics"}
    expected |= {f"https://{nation.address('dc1-monitor')}:{port}/metrics" for port in (9090, 9093, 9887)}
    # Authentik's server and its LDAP outpost.
    expected |= {f"http://{nation.address('dc1-idp')}:{port}/metrics" for port in (9300, 9302)}
    assert targets == dict.fromkeys(expected, "up")


def test_prometheus_has_the_metrics_of_the_zone(nation: Nation) -> None:
    url = f"https://{nation.address('dc1-monitor')}:9090/api/v1/query"
    context = ssl.create_default_context(cafile=str(nation.authority))
    query = {"query": "bic_irods_users"}
    answer = (
        httpx.get(url, params=query, verify=context, timeout=10, trust_env=False).raise_for_status().json()
    )
    assert sum(float(sample["value"][1]) for sample in answer["data"]["result"]) > 1, answer


def _in_host(nation: Nation, host: str, script: str, words: str = "") -> str:
    """Run a shell script in a host, with `words` on its standard input, and return what it prints."""
    return nation.in_host(host, "sh", "-c", script, given=words).stdout


#: Sends a start-up message without TLS and prints the server's answer.
PLAINTEXT_LOGIN = r"""
import socket, sys
address, user, database = sys.argv[1:]
message = f"user\0{user}\0database\0{database}\0\0".encode()
packet = (len(message) + 8).to_bytes(4, "big") + (196608).to_bytes(4, "big") + message
with socket.create_connection((address, 5432), timeout=10) as connection:
    connection.sendall(packet)
    print(connection.recv(4096))
"""


@pytest.mark.parametrize(("user", "database"), [("irods", "ICAT"), ("bic", "bic")])
def test_postgresql_refuses_plaintext(nation: Nation, user: str, database: str) -> None:
    words = (nation.address("dc1-icat"), user, database)
    script = f"python3 - {shlex.join(words)} <<'EOF'{PLAINTEXT_LOGIN}EOF"
    here = subprocess.run(
        [sys.executable, "-c", PLAINTEXT_LOGIN, *words], capture_output=True, text=True, check=True
    )
    for answer in (_in_host(nation, "dc1-icat", script), here.stdout):
        assert answer.startswith("b'E"), answer
        assert "no encryption" in answer


def test_only_the_store_is_open_to_other_machines(nation: Nation) -> None:
    with pytest.raises(psycopg.OperationalError, match="no pg_hba"):
        psycopg.connect(
            host=nation.address("dc1-icat"),
            dbname="ICAT",
            user="irods",
            password="x",
            sslmode="verify-full",
            sslrootcert=nation.authority,
        )


@pytest.mark.parametrize("server", ["dc1-icat", "dc2-irods"])
def test_irods_refuses_plaintext(nation: Nation, server: str) -> None:
    password = (nation.platform.state_dir / "secrets" / "irods_admin_password").read_text().strip()
    with (
        iRODSSession(
            host=nation.address(server),
            port=1247,
            user="rods",
            password=password,
            zone="bicZone",
            client_server_policy="CS_NEG_REFUSE",
            connection_timeout=15,
        ) as session,
        pytest.raises((NetworkException, iRODSException)),
    ):
        session.collections.get("/bicZone")


def test_plan_is_empty_after_apply(nation: Nation) -> None:
    done = nation.bic("plan")
    assert done.code == 0, done.output


def test_a_group_deleted_by_hand_is_the_plans_one_creation(nation: Nation) -> None:
    password = (nation.platform.state_dir / "secrets" / "irods_admin_password").read_text().strip()
    with nation.irods("rods", password) as session:
        session.groups.remove("nantes-cell-dynamics")
    plan = nation.bic("plan", "--json")
    assert plan.code == 2, plan.output
    changes = json.loads(plan.output)["changes"]
    assert [(change["action"], change["key"]) for change in changes] == [
        ("create", "irods/bicZone/group/nantes-cell-dynamics")
    ]
    applied = nation.bic("apply", "--yes")
    assert applied.code == 0, applied.output
    assert nation.bic("plan").code == 0


def _metrics(nation: Nation) -> str:
    url = f"https://{nation.address('dc1-monitor')}:9887/metrics"
    context = ssl.create_default_context(cafile=str(nation.authority))
    scrape = nation.platform.scrape
    assert scrape
    prometheus = httpx.BasicAuth(scrape.user, scrape.password.reveal())
    assert httpx.get(url, verify=context, timeout=10, trust_env=False).status_code == 401
    page = httpx.get(url, verify=context, timeout=10, trust_env=False, auth=prometheus)
    return page.raise_for_status().text


def _compare_on_the_monitor(nation: Nation) -> str:
    """Run the comparison as its timer does, let the exporter read the store anew, and return its metrics."""
    _in_host(nation, "dc1-monitor", "systemctl start bic-drift; systemctl restart bic-exporter")
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            if "bic_drift_up" in (text := _metrics(nation)):
                return text
        time.sleep(1)
    pytest.fail(
        _in_host(nation, "dc1-monitor", "journalctl --no-pager --lines=40 -u bic-drift -u bic-exporter")
    )


def test_a_change_by_hand_becomes_a_metric(nation: Nation) -> None:
    text = _compare_on_the_monitor(nation)
    assert 'bic_drift_up{system="irods/bicZone"} 1.0' in text
    assert re.findall(r"^bic_drift_objects\{.*\} [1-9]", text, re.MULTILINE) == []
    assert "bic_apply_success 1.0" in text
    missing = 'bic_drift_objects{difference="missing",kind="group",system="irods/bicZone"} 1.0'
    facility = nation.inventory / "facilities" / "nantes.yml"
    before = facility.read_text()
    try:
        # A team that leaves the inventory and comes back leaves a group to make, as after a deletion by hand.
        assert nation.bic("facility", "remove-team", "nantes", "neuro-imaging").code == 0
        assert nation.bic("apply", "--yes").code == 0
    finally:
        facility.write_text(before)
    assert nation.bic("drift").code == 2
    assert missing in _compare_on_the_monitor(nation)
    assert nation.bic("apply", "--yes").code == 0
    assert missing not in _compare_on_the_monitor(nation)


NEW_FACILITY = (
    "--no-input",
    "--title=Lyon cell imaging platform",
    "--institution=Institut du Confluent",
    "--city=Lyon",
    "--data-centre=dc1",
    "--storage-resource=lyon-raw",
    "--referent=mleroy,Manon Leroy,manon.leroy@lyon.example",
    "--team=organoids,Organoids,pgarrigou,Perrine Garrigou,perrine.garrigou@lyon.example",
)


def test_a_facility_from_its_file_to_an_empty_second_plan_and_away_again(nation: Nation) -> None:
    assert nation.bic("plan").code == 0
    new = nation.bic("facility", "new", *NEW_FACILITY)
    assert new.code == 0, new.output
    saved = nation.inventory / "lyon.plan"
    plan = nation.bic("plan", "-o", str(saved))
    assert plan.code == 2, plan.output
    changes = json.loads(nation.bic("plan", "--json").output)["changes"]
    assert {change["action"] for change in changes} == {"create"}, changes
    assert {"irods/bicZone/group/lyon-organoids", "irods/bicZone/user/pgarrigou"} <= {
        change["key"] for change in changes
    }
    applied = nation.bic("apply", str(saved), "--yes")
    assert applied.code == 0, applied.output
    assert nation.bic("plan").code == 0
    (nation.inventory / "facilities" / "lyon.yml").unlink()
    left = nation.bic("apply", "--yes")
    assert left.code == 0, left.output
    plan = nation.bic("plan", "--json")
    assert plan.code == 0, plan.output
    kept = {note["key"] for note in json.loads(plan.output)["kept"]}
    # The storage resource held nothing: it is gone.
    assert kept == {"irods/bicZone/user/mleroy", "irods/bicZone/user/pgarrigou"}
    history = nation.bic("history", "--json")
    assert history.code == 0
    assert f"bic apply {saved}" in history.output


def test_the_worker_on_the_monitor_does_what_is_dispatched(nation: Nation) -> None:
    done = nation.bic("dispatch", "--json")
    assert done.code == 0, done.output
    assert f'"dc1-monitor.{nation.platform.domain}"' in done.output


#: Takes the lock of an apply of everything, says so, and keeps it.
HOLD_LOCK = """
import time
from pathlib import Path
from controlplane.model import load_platform
from controlplane.state import Scope
from controlplane.store import open_store
from controlplane.store.locks import hold, locks_for
with open_store(load_platform(Path("/etc/bic/inventory"))) as store:
    with hold(store.locks, locks_for(Scope()), "the test", 0, print):
        print("held", flush=True)
        time.sleep(600)
"""


def test_a_lock_ends_with_the_machine_that_holds_it(nation: Nation) -> None:
    start = (
        "cat >/dev/shm/hold.py; BIC_STATE_DIR=/var/lib/bic nohup /opt/bic/venv/bin/python /dev/shm/hold.py "
        ">/dev/shm/hold.log 2>&1 & "
        "for i in $(seq 100); do sleep 0.2; grep held /dev/shm/hold.log && break; done"
    )
    assert "held" in _in_host(nation, "dc1-monitor", start, HOLD_LOCK)
    try:
        refused = nation.bic("apply", "--yes", "--wait-for-lock", "0")
        assert refused.code == 1
        assert "the test" in refused.output
        assert nation.bic("sandbox", "cut", "dc1-monitor").code == 0
        # 25 s until the server knows that the machine is gone.
        waited = nation.bic("apply", "--yes", "--wait-for-lock", "60")
        assert waited.code == 0, waited.output
    finally:
        nation.bic("sandbox", "mend", "dc1-monitor")
        _in_host(nation, "dc1-monitor", "pkill -f '/dev/shm/[h]old.py'; rm /dev/shm/hold.*")


def test_a_play_keeps_a_token_that_was_rotated_on_its_host(nation: Nation) -> None:
    bic = "BIC_STATE_DIR=/var/lib/bic /opt/bic/venv/bin/bic --inventory /etc/bic/inventory"
    show = "cat /var/lib/bic/secrets/authentik_token"
    copy = nation.platform.state_dir / "secrets" / "authentik_token"
    before = copy.read_text()
    assert "has a new token" in _in_host(nation, "dc1-monitor", f"{bic} identity rotate-token")
    rotated = _in_host(nation, "dc1-monitor", show)
    try:
        # The services begin anew with it.
        play = nation.ansible("--limit", "dc1-monitor", "--tags", "controlplane")
        assert play.code == 0, play.output[-5000:]
        assert _in_host(nation, "dc1-monitor", show) == rotated
        # As the service does it: it is not root.
        synced = _in_host(nation, "dc1-monitor", f"runuser -u bic -- sh -c '{bic} sync' && echo synced")
        assert synced.endswith("synced\n"), synced
    finally:
        copy.write_text(_in_host(nation, "dc1-monitor", show))
    assert copy.read_text().strip() not in {"", before.strip()}


def test_all_services_come_back_after_a_power_cycle(nation: Nation) -> None:
    fleet = nation.fleet
    for host in fleet.hosts:
        hosts.stop(fleet, host)
    for host in fleet.hosts:
        hosts.start(fleet, host)
    begun = time.monotonic()
    health = nation.bic("health")
    while health.code != 0 and time.monotonic() < begun + RECOVERY_DEADLINE:
        time.sleep(3)
        health = nation.bic("health")
    assert health.code == 0, health.output
    print(f"healthy {time.monotonic() - begun:.0f} s after power came back")
    assert set(_wait_for_targets(nation).values()) == {"up"}


def test_a_missing_role_variable_is_one_clear_message(nation: Nation) -> None:
    done = nation.ansible("--limit", "dc1-icat", "--tags", "irods_server", "-e", "irods_server_zone_key=")
    assert done.code == 2, done.output
    assert "irods_server_zone_key" in done.output


def _secrets(nation: Nation) -> list[str]:
    """All secrets of the platform; of a private key a line in its middle."""
    files = (nation.platform.state_dir / "secrets").iterdir()
    texts = [path.read_text().strip() for path in files if path.suffix != ".pub"]
    return [lines[len(lines) // 2] for lines in (text.splitlines() for text in texts)]


def test_no_secret_is_in_the_output_of_the_runs(nation: Nation) -> None:
    assert nation.demo is not None
    secrets = _secrets(nation)
    outputs = [nation.demo.output, *(run.output for run in nation.killed)]
    assert secrets
    assert not [secret for secret in secrets for output in outputs if secret in output]


def test_no_host_has_a_secret_that_everybody_can_read(nation: Nation) -> None:
    words = "\n".join(_secrets(nation))
    script = (
        "cat >/root/words && find /etc /opt /var/lib /srv /var/log -xdev -type f -perm -o=r -size -1000k "
        "-exec grep -lFf /root/words {} +; rm /root/words"
    )
    for host in nation.fleet.hosts:
        assert _in_host(nation, host.name, script, words) == "", host.name


def test_the_authoritys_key_never_leaves_the_control_host(nation: Nation) -> None:
    key = nation.platform.state_dir / "pki" / "ca.key"
    assert key.stat().st_mode & 0o077 == 0
    body = key.read_text().splitlines()[1]
    search = "cat >/dev/shm/k; grep -rlFf /dev/shm/k /etc /root /var/lib"
    for host in nation.fleet.hosts:
        found = _in_host(nation, host.name, search, body)
        assert found == "", host.name
