"""The runbooks on a nation: each command is typed as its page says, where such an alert would send people."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from game_day import MONITOR, GameDay
from irods.models import ModelBase
from nation import REPOSITORY
from runbooks import CLONE, HARDWARE, ICOMMANDS, RUNBOOKS, commands, filled

from sandbox.standins.irods.column_names import NUMBERS

HOSTS = {
    "": MONITOR,
    "Authentik": "dc1-idp",
    "CertificateExpiring": "dc1-irods",
    "Clock": "buffer-nantes",
    "ExporterDown": "dc1-icat",
    "Federation": "dc1-idp",
    "Filesystem": "buffer-nantes",
    "HostDown": "buffer-nantes",
    "Irods": "dc1-icat",
    "IrodsServerDown": "dc1-irods",
    "Omero": "dc1-omero",
    "PostgreSQL": "dc1-icat",
    "README": "dc1-icat",
    "UnitFailed": "buffer-nantes",
}
"""What an alert's name begins with → a host that it may name."""

ELSEWHERE = {
    "curl --cacert": MONITOR,
    "journalctl -u authentik": "dc1-idp",
    "journalctl -u bic-exporter": MONITOR,
    "journalctl -u bic-portal": MONITOR,
    "journalctl -u satosa": "dc1-idp",
    "sudo -u postgres": "dc1-icat",
    "systemctl reload bic-exporter": MONITOR,
    "systemctl status bic-portal": MONITOR,
    "systemctl status authentik": "dc1-idp",
}
"""What a command begins with that pages have people type on another host."""

VALUES = {
    "COLLECTION": "/bicZone/home/nantes-cell-dynamics",
    "DATABASE": "ICAT",
    "FILE": "/etc/bic/pki/ca.crt",
    "MOUNTPOINT": "/",
    # No process of PostgreSQL.
    "PID": "0",
    "PORT": "9887",
    "ZONE": "bicZone",
}
NAMES = {
    "CertificateExpiring": "irods",
    "QueueNotWorked": "nantes",
    "README": "irods",
    "ExporterDown": "node_exporter",
}
UNITS = {"ConfigurationReloadFailed": "prometheus"}

NOT_TRIED = {
    "bic identity rotate-token": "the integration tests do, with the play after it",
    "bic rules rollback": "the integration tests do, where there is a version to go back to",
    "cat /proc/mdstat": "the hosts have no disks of their own",
    "chronyc makestep": "the hosts have this machine's clock",
    "openssl s_client -connect MAILSERVER:587 -starttls smtp </dev/null": "no host sends mail",
    "systemctl stop nginx": "it is for a gateway, which this nation does not have",
    "ssh HOST true": "Ansible does, whenever it works on a host",
}


@cache
def _in_host(day: GameDay, host: str, command: str) -> subprocess.CompletedProcess[str]:
    return day.run(host, "bash", "-o", "pipefail", "-c", command)


@cache
def _in_clone(day: GameDay, command: str) -> tuple[int, str]:
    words = shlex.split(command)
    if words[0] == "bic":
        if words[1] == "rules":
            words += ["--rules", str(REPOSITORY / "rules")]
        if words[1] == "apply":
            # The sync of the nation may be at work.
            words += ["--wait-for-lock", "120"]
        done = day.nation.bic(*words[1:])
        return done.code, done.output
    if words[0] == "promtool":
        done = day.nation.run("sh", "-c", command)
        return done.code, done.output
    arguments = words[words.index("site.yml") + 1 :]
    # The whole of it is played by the game day; here the point is that the words are right.
    only = [] if "--check" in arguments else ["--list-tasks"]
    done = day.nation.ansible(*arguments, *only)
    return done.code, done.output if "TAGS:" in done.output or not only else f"no task: {done.output}"


def _query(day: GameDay, command: str) -> None:
    """Ask what `iquest` asks; its query is the last of its words."""
    numbered = dict(ModelBase.column_items)
    select, _, where = shlex.split(command)[-1].removeprefix("select ").partition(" where ")
    with day.nation.administrator() as session:
        query = session.query(*(numbered[NUMBERS[name]] for name in select.split(", ")))
        for name, value in re.findall(r"(\w+) = '([^']*)'", where):
            query = query.filter(numbered[NUMBERS[name]] == value)
        list(query)


def _place(alert: str, command: str) -> str:
    host = HOSTS[max((start for start in HOSTS if alert.startswith(start)), key=len)]
    return next((there for start, there in ELSEWHERE.items() if command.startswith(start)), host)


def _found(day: GameDay, placeholder: str) -> str:
    """What only the nation knows."""
    find: dict[str, Callable[[], str]] = {
        "KEY": lambda: day.inside("dc1-idp", "ls /etc/satosa/keys").partition("sp-")[2].partition(".crt")[0],
        "RUN": lambda: str(json.loads(day.nation.bic("history", "--json").output)[0]["run"]),
        "URL": lambda: re.findall(
            r'"url": "(http[^"]+)"', day.inside("dc1-idp", "cat /etc/bic-federation/settings.json")
        )[0],
    }
    return find[placeholder]()


def _accepted(command: str) -> set[int]:
    if command.startswith("systemctl status"):
        return {0, 3}
    # Files of processes that end while it looks are missing.
    return {0, 1} if command.startswith("find /proc") else {0}


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_the_commands_of_a_runbook_do_what_it_says(day: GameDay, page: Path) -> None:
    alert, troubles = page.stem, []
    for template in commands(page):
        if template in NOT_TRIED:
            continue
        host = _place(alert, template)
        values = VALUES | {
            "ADDRESS": day.nation.address(MONITOR),
            "HOST": host,
            "NAME": NAMES.get(alert, "nantes-raw"),
            "UNIT": UNITS.get(alert, "prometheus-node-exporter"),
        }
        values |= {
            name: _found(day, name) for name in ("KEY", "RUN", "URL") if re.search(rf"\b{name}\b", template)
        }
        command = filled(template, values)
        program = command.split()[0]
        if program == "iquest":
            _query(day, command)
        elif program in ICOMMANDS | HARDWARE:
            continue
        elif program in CLONE or "monitoring/rules/" in command:
            code, output = _in_clone(day, command)
            if code:
                troubles.append(f"{command}: {code}: {output[-1500:]}")
        else:
            done = _in_host(day, host, command)
            if done.returncode not in _accepted(command) or (
                " -u " in command and "-- No entries --" in done.stdout
            ):
                troubles.append(
                    f"{host}: {command}: {done.returncode}: {(done.stdout + done.stderr)[-1500:]}"
                )
    assert not troubles, "\n".join(troubles)
