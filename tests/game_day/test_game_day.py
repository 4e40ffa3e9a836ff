"""A game day on the nation: whatever breaks is named, nothing else is told, and all clears after the mend."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "harness"))

from game_day import LONGEST_WAIT, MONITOR, Fault, GameDay
from irods.message import Message, StringProperty, iRODSMessage
from irods.session import iRODSSession
from nation import Nation, copy_inventory, environment_for, require_fleet

from controlplane.systems.irods import calls
from sandbox.federation import control as world
from sandbox.fleet import fleet as fleets


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GameDay]:
    """A nation of its own, which has had its backups and the proof that they can be restored."""
    require_fleet()
    folder = tmp_path_factory.mktemp("game-day")
    inventory = copy_inventory(folder, "gameday", "10.83.0")
    environment = environment_for(inventory, folder / "state")
    nation = Nation(inventory, environment)
    with pytest.MonkeyPatch.context() as patch:
        # The state folder is read when the inventory is loaded, in this process too.
        patch.setenv("BIC_STATE_DIR", environment["BIC_STATE_DIR"])
        fleets.down(nation.fleet, [], print)
        try:
            demo = nation.run("make", "demo")
            assert demo.code == 0, demo.output[-8000:]
            day = GameDay(nation, folder)
            for name in ("ICAT", "bic", "authentik"):
                for unit in ("postgresql-backup", "postgresql-restore-drill"):
                    day.inside("dc1-icat", f"systemctl start {unit}@{name}")
            for unit in ("authentik-backup", "authentik-restore-drill"):
                day.inside("dc1-idp", f"systemctl start {unit}")
            assert day.quiet(240) is not None, (day.told(), day.causes())
            yield day
            print(day.table())
        finally:
            fleets.down(nation.fleet, [], print)


def _make_stale(day: GameDay) -> None:
    """Write a data object again that has a replica elsewhere, which nobody copies to."""

    def write() -> None:
        with session.data_objects.open(_path(session), "w", rescName="archive") as data:
            data.write(b"a game day")

    with day.nation.administrator() as session:
        write()
        session.data_objects.replicate(_path(session), resource="nantes-raw")
        write()


def _remove_stale(day: GameDay) -> None:
    with day.nation.administrator() as session:
        session.data_objects.unlink(_path(session), force=True)


def _path(session: iRODSSession) -> str:
    return f"/{session.zone}/home/{session.username}/game-day"


CERTIFICATE, KEY = "/etc/bic/pki/irods.crt", "/etc/bic/pki/irods.key"


def _shorten_certificate(day: GameDay) -> None:
    """Sign the server's key anew, for three days."""
    copy = "-copy_extensions copyall"
    request = day.inside("dc1-irods", f"openssl x509 -x509toreq -in {CERTIFICATE} -signkey {KEY} {copy}")
    pki = day.nation.authority.parent
    sign = f"openssl x509 -req -days 3 {copy} -CA {pki}/ca.crt -CAkey {pki}/ca.key"
    signed = subprocess.run(sign.split(), input=request, capture_output=True, text=True, check=True).stdout
    day.inside(
        "dc1-irods", f"cp {CERTIFICATE} {CERTIFICATE}.kept && cat >{CERTIFICATE} <<'EOF'\n{signed}EOF\n"
    )


def _hang_the_store(day: GameDay) -> None:
    """Hold a lock in which whoever reads the journal waits."""
    ends = "set client_connection_check_interval = 1000"
    hold = f"{ends}; begin; lock table run in access exclusive mode; select pg_sleep(600)"
    day.inside("dc1-icat", f"systemd-run --unit=game-day --uid=postgres psql -d bic -c {shlex.quote(hold)}")


def _edit_rule_base(day: GameDay) -> None:
    day.inside(
        "dc1-irods", "for f in /etc/irods/bic-*.re; do cp $f /root/; echo '# by hand' >>$f; break; done"
    )
    day.inside("dc1-irods", "systemctl start irods-rule-bases-note")


class _Migration(Message):
    """`DelayServerMigrationInp_PI` of iRODS 5.0.2, which the client library does not name."""

    _name = "DelayServerMigrationInp_PI"
    leader = StringProperty()
    successor = StringProperty()


def _run_delay_server_on(day: GameDay, host: str) -> None:
    """Name who runs the delay server; nobody does where the name is of no server."""
    request = _Migration(leader=host, successor="ignore")
    with day.nation.administrator() as session, session.pool.get_connection() as connection:
        connection.send(iRODSMessage("RODS_API_REQ", msg=request, int_info=20011))
        connection.recv()


def _stop_the_delay_server(day: GameDay) -> None:
    """Leave a rule in the queue that should have run two hours ago."""
    _run_delay_server_on(day, "nobody.example")
    due = int(time.time()) - 7200
    with day.nation.administrator() as session:
        calls.run_rule(session, f'delay("<ET>{due}</ET>") {{ writeLine("serverLog", "a game day"); }}')


def _start_the_delay_server(day: GameDay) -> None:
    platform = day.nation.platform
    (zone,) = platform.zones.values()
    _run_delay_server_on(day, platform.hosts[zone.catalog_provider].fqdn)


BACKUP = "/var/lib/prometheus/node-exporter/postgresql_backup_ICAT.prom"


def _age_backups(day: GameDay) -> None:
    """Let the last success be two days older."""
    days = 2 * 86400
    older = f'/^bic_.*timestamp/ {{ $NF = sprintf("%d", $NF - {days}) }} {{ print }}'
    day.inside("dc1-icat", f"awk {shlex.quote(older)} {BACKUP} >{BACKUP}.new; mv {BACKUP}.new {BACKUP}")


# The stand-in has its catalogue in a file, and copies it to where a real server has it.
CATALOGUE = "/var/lib/irods/standin/catalogue.db"
AGE_ACCOUNTING = "update r_quota_usage set modify_ts = '0' || (cast(modify_ts as bigint) - 7 * 3600)"


def _stop_accounting(day: GameDay) -> None:
    """Let the latest accounting be seven hours ago, and no other come."""
    day.inside("dc1-icat", "systemctl stop irods-quota-accounting.timer")
    in_file = f"import sqlite3; c = sqlite3.connect({CATALOGUE!r}); c.execute({AGE_ACCOUNTING!r}); c.commit()"
    in_database = ["runuser", "-u", "postgres", "--", "psql", "-d", "ICAT", "-c", AGE_ACCOUNTING]
    change = f"python3 -c {shlex.quote(in_file)}; else {shlex.join(in_database)}"
    day.inside("dc1-icat", f"if [ -e {CATALOGUE} ]; then {change}; fi")


def _start_accounting(day: GameDay) -> None:
    day.inside("dc1-icat", "systemctl start irods-quota-accounting.timer irods-quota-accounting.service")


def _restore_rule_base(day: GameDay) -> None:
    day.inside("dc1-irods", "cd /root; for f in bic-*.re; do cat $f >/etc/irods/$f; rm $f; done")
    day.inside("dc1-irods", "systemctl start irods-rule-bases-note")


def _remove_a_group(day: GameDay) -> None:
    with day.nation.administrator() as session:
        session.groups.remove("nantes-cell-dynamics")
    day.inside(MONITOR, "systemctl start bic-drift || true")


def _apply(day: GameDay) -> None:
    applied = day.nation.bic("apply", "--yes")
    assert applied.code == 0, applied.output
    day.inside(MONITOR, "systemctl start bic-drift")


def _publish(day: GameDay, valid: timedelta) -> None:
    world.publish(day.nation.fleet, "national", valid=valid)
    day.inside("dc1-idp", "systemctl start bic-federation-update || true")


def _fill_a_disk(day: GameDay, folder: Path) -> None:
    """Mount a small file system in the host, and fill it."""
    image = folder / "disk"
    image.write_bytes(b"")
    os.truncate(image, 64 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    device = subprocess.check_output(["losetup", "--find", "--show", image], text=True).strip()
    number = os.stat(device).st_rdev
    day.inside(
        "buffer-nantes",
        f"mknod /dev/game-day b {os.major(number)} {os.minor(number)}; mkdir -p /srv/game-day; "
        "mount /dev/game-day /srv/game-day; dd if=/dev/zero of=/srv/game-day/fill bs=1M || true",
    )


def _empty_the_disk(day: GameDay, folder: Path) -> None:
    day.inside("buffer-nantes", "umount /srv/game-day; rm /dev/game-day; rmdir /srv/game-day")
    find = ["losetup", "--noheadings", "--output", "NAME", "--associated", folder / "disk"]
    subprocess.run(["losetup", "--detach", *subprocess.check_output(find, text=True).split()], check=True)


def _of_hosts(day: GameDay, folder: Path) -> Iterator[Fault]:
    def lost(host: str) -> dict[str, str]:
        return {f"HostDown {host}": f"host {host}"}

    for host, title in {
        "dc2-irods": "a storage server loses power",
        "buffer-nantes": "a buffer server loses power",
        "dc1-idp": "the login server loses power",
        "dc1-icat": "the catalogue's server loses power",
    }.items():
        yield Fault(title, *day.power(host), lost(host))
    second = "dc2-irods", "buffer-montpellier"
    yield Fault("a data centre is cut off", *day.cable(*second), lost(second[0]) | lost(second[1]))
    yield Fault(
        "a unit fails",
        lambda: day.inside("buffer-nantes", "systemd-run --wait --unit=game-day false || true"),
        lambda: day.inside("buffer-nantes", "systemctl reset-failed game-day"),
        {"UnitFailed buffer-nantes": "host buffer-nantes, measured"},
    )
    yield Fault(
        "a disk is full",
        lambda: _fill_a_disk(day, folder),
        lambda: _empty_the_disk(day, folder),
        {"FilesystemAlmostFull buffer-nantes": "host buffer-nantes, measured"},
    )


def _of_services(day: GameDay) -> Iterator[Fault]:
    def stopped(title: str, host: str, unit: str, said: dict[str, str], within: float = 60) -> Fault:
        return Fault(title, *day.unit(host, unit), said, within)

    yield stopped(
        "PostgreSQL stops",
        "dc1-icat",
        "postgresql@15-main",
        {"PostgreSQLDown dc1-icat": "PostgreSQL dc1-icat"},
    )
    yield stopped(
        "a server of the zone stops",
        "dc1-irods",
        "irods",
        {"IrodsServerDown dc1-irods": "iRODS bicZone on dc1-irods"},
        90,
    )
    # Where it is the only one, the host is taken to be down.
    yield stopped(
        "one of a host's exporters stops",
        "dc1-icat",
        "prometheus-node-exporter",
        {"ExporterDown dc1-icat": "host dc1-icat, measured"},
    )
    yield stopped(
        "the control plane's exporter stops",
        MONITOR,
        "bic-exporter",
        {f"ExporterDown {MONITOR}": f"exporter {MONITOR}"},
    )
    yield stopped(
        "the federation proxy stops",
        "dc1-idp",
        "satosa.socket satosa.service",
        {"FederationProxyDown dc1-idp": "Federation dc1-idp"},
        150,
    )
    # What is down tells nobody: the dead man's switch is for that. It tells of itself when it is back.
    stop, start = day.unit(MONITOR, "prometheus-alertmanager")
    yield Fault(
        "the Alertmanager stops",
        stop,
        lambda: [start(), time.sleep(LONGEST_WAIT)],
        {"": f"Alertmanager {MONITOR}"},
    )
    yield Fault(
        "a collector hangs",
        lambda: _hang_the_store(day),
        lambda: day.inside("dc1-icat", "systemctl stop game-day"),
        {f"CollectorFailing {MONITOR}": f"exporter {MONITOR}"},
        150,
    )


def _of_contents(day: GameDay) -> Iterator[Fault]:
    yield Fault(
        "a replica goes stale",
        lambda: _make_stale(day),
        lambda: _remove_stale(day),
        {"IrodsReplicasStale bicZone": "iRODS bicZone"},
        # Replicas are counted every five minutes.
        330,
    )
    yield Fault(
        "a certificate is about to expire",
        lambda: _shorten_certificate(day),
        lambda: day.inside("dc1-irods", f"cat {CERTIFICATE}.kept >{CERTIFICATE}; rm {CERTIFICATE}.kept"),
        {"CertificateExpiring dc1-irods": "iRODS bicZone on dc1-irods"},
        120,
    )
    yield Fault(
        "the delay server is nowhere",
        lambda: _stop_the_delay_server(day),
        lambda: _start_the_delay_server(day),
        {"IrodsDelayQueueStuck bicZone": "iRODS bicZone"},
        120,
    )
    yield Fault(
        "accounting stops",
        lambda: _stop_accounting(day),
        lambda: _start_accounting(day),
        {"IrodsAccountingOld bicZone": ""},
        # It is looked at every five minutes.
        330,
    )
    yield Fault(
        "the newest backup is old",
        lambda: _age_backups(day),
        lambda: day.inside("dc1-icat", "systemctl start postgresql-backup@ICAT"),
        {"PostgreSQLBackupOld dc1-icat": "PostgreSQL dc1-icat, backups"},
        90,
    )
    yield Fault(
        "a rule base is edited by hand",
        lambda: _edit_rule_base(day),
        lambda: _restore_rule_base(day),
        {"IrodsRuleBasesDiffer bicZone": ""},
        90,
    )
    yield Fault(
        "a group is deleted by hand",
        lambda: _remove_a_group(day),
        lambda: _apply(day),
        {"Drift irods/bicZone": "store bic on dc1-icat"},
        150,
    )
    yield Fault(
        "a federation's metadata expire",
        lambda: _publish(day, timedelta(hours=-1)),
        lambda: _publish(day, timedelta(days=9)),
        {"FederationFeedRefused dc1-idp": "Federation dc1-idp, feeds"},
        120,
    )


def test_every_fault_is_named_and_clears(day: GameDay, tmp_path: Path) -> None:
    for fault in [*_of_hosts(day, tmp_path), *_of_services(day), *_of_contents(day)]:
        verdict = day.play(fault)
        print(verdict.row(), flush=True)
    assert [verdict.fault.title for verdict in day.verdicts if not verdict.passed] == []
