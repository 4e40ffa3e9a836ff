"""Rule bases to ten hosts: as a rollout brings them there (pyinfra), and with an Ansible play; needs root.

`.venv/bin/python tests/bench/rules_bench.py [--hosts 10] [--rounds 3] [--files 8]`

It makes a fleet of light hosts of its own, `rulebench`, and removes it. Both arms bring the same files to the
same hosts, and run the same `irods-rule-bases activate` and `confirm`; every round has new texts, so that
nothing is there already. What reloads an iRODS server is replaced by a script that says so and ends: the
seconds of a reload are the same in both arms, and are not what is compared. The arms take turns. The play
runs as the repository's ansible.cfg says (pipelining), with a fork for each host and no facts gathered; it is
measured once without connections that an earlier run kept open, and once with.

It prints medians and their ratio. It is no test: a busy machine changes the figures.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from controlplane.cli.output import console, table
from controlplane.model import Platform, load_platform
from controlplane.rules.rollout.release import Release, RuleFile
from controlplane.rules.rollout.servers import COMMAND, Servers
from sandbox.fleet import fleet as fleets
from sandbox.fleet.spec import fleet_of

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = REPOSITORY / ".venv" / "bin"
COMMANDS = REPOSITORY / "roles" / "irods_server" / "files"

#: Stands for what reloads a server: it notes what is in effect, so that each activation has something to do.
SERVICE = """#!/bin/sh
case $1 in
pending) cmp -s /etc/irods/server_config.json /run/in-effect && echo nothing || echo reload ;;
reload) cp /etc/irods/server_config.json /run/in-effect && echo "closed for 0.0 s" ;;
esac
"""

CONFIGURATION = """\
{"plugin_configuration": {"rule_engines": [{"plugin_name": "irods_rule_engine_plugin-irods_rule_language",
 "plugin_specific_configuration": {"re_rulebase_set": ["bic-tls", "core"]}}]}}
"""

PREPARE = [
    {"ansible.builtin.file": {"path": "/etc/irods", "state": "directory", "mode": "0755"}},
    {
        "ansible.builtin.copy": {"src": "{{ item.src }}", "dest": "{{ item.dest }}", "mode": "0755"},
        "loop": [
            {"src": str(COMMANDS / "irods-rule-bases"), "dest": "/usr/local/sbin/irods-rule-bases"},
            {
                "src": str(COMMANDS / "irods-rule-bases.service"),
                "dest": "/etc/systemd/system/irods-rule-bases.service",
            },
        ],
    },
    {
        "ansible.builtin.copy": {"content": "{{ item.text }}", "dest": "{{ item.dest }}", "mode": "0755"},
        "loop": [
            {"text": SERVICE, "dest": "/usr/local/sbin/irods-service"},
            {"text": "#!/bin/sh\n", "dest": "/usr/local/sbin/irods-check-config"},
            {"text": CONFIGURATION, "dest": "/etc/irods/server_config.json"},
            {"text": "# core\n", "dest": "/etc/irods/core.re"},
            {"text": "# bic-tls\n", "dest": "/etc/irods/bic-tls.re"},
        ],
    },
    {"ansible.builtin.systemd_service": {"daemon_reload": True}},
]


class Bench:
    """A fleet of light hosts, and the two ways to bring rule bases there."""

    def __init__(self, folder: Path, hosts: int, files: int) -> None:
        """Write the inventory; nothing is made yet."""
        self.folder = folder
        self.files = files
        self.inventory = folder / "inventory"
        shutil.copytree(REPOSITORY / "inventories" / "sandbox" / "group_vars", self.inventory / "group_vars")
        names = [f"bench{number:02}" for number in range(hosts)]
        self.names = names
        first, *others = names
        services = {
            first: ["irods_catalog_provider"],
            **{name: ["irods_catalog_consumer"] for name in others},
        }
        document = {
            "name": "rulebench",
            "title": "Hosts of the benchmark of rule bases",
            "environment": "sandbox",
            "domain": "bench.example",
            "sandbox": {"fleet": "rulebench", "network": "10.80.0.0/24"},
            "data_centres": {"dc1": {"title": "Data centre 1", "city": "Nantes"}},
            "hosts": {
                name: {"data_centre": "dc1", "address": f"10.80.0.{20 + number}", "services": services[name]}
                for number, name in enumerate(names)
            },
            "zones": {
                "benchZone": {
                    "catalog_provider": first,
                    "catalog_consumers": others,
                    "administrator": {"user": "rods", "password": {"file": "{state_dir}/none"}},
                }
            },
        }
        (self.inventory / "platform.yml").write_text(yaml.safe_dump(document, sort_keys=False))
        os.environ["BIC_STATE_DIR"] = str(folder / "state")
        self.platform: Platform = load_platform(self.inventory)
        self.round = 0

    def release(self) -> Release:
        """Texts of some kilobytes that no host has."""
        self.round += 1
        line = 'bicRule(*x) { writeLine("serverLog", *x); }\n'
        return Release(
            tuple(
                RuleFile(f"rule-base-{number}", "1.0.0", f"# round {self.round}\n{line * 60}")
                for number in range(self.files)
            )
        )

    def rollout(self) -> None:
        """As `bic rules deploy` does it, in a wave of all hosts at once."""
        release = self.release()
        with Servers(self.platform, self.names) as servers:
            files = {file.name: file.text for file in release.files}
            for words, stdin in (
                (["stage"], {"files": files}),
                (["activate", "--by", "bench", "--seconds", "60", *release.names], None),
                (["confirm"], None),
            ):
                for answer in servers.ask(self.names, *words, stdin=stdin).values():
                    answer.get()

    def play(self) -> None:
        """The same with Ansible."""
        release = self.release()
        sources = self.folder / "files"
        shutil.rmtree(sources, ignore_errors=True)
        sources.mkdir()
        for file in release.files:
            (sources / f"{file.name}.re").write_text(file.text)
        activate = [COMMAND, "activate", "--by", "bench", "--seconds", "60", *release.names]
        self.ansible(
            [
                {
                    "ansible.builtin.copy": {
                        "src": f"{sources}/{{{{ item }}}}.re",
                        "dest": "/etc/irods/",
                        "mode": "0644",
                    },
                    "loop": [file.name for file in release.files],
                },
                {"ansible.builtin.command": {"argv": activate}},
                {"ansible.builtin.command": {"argv": [COMMAND, "confirm"]}},
            ]
        )

    def ansible(self, tasks: Sequence[dict[str, object]]) -> None:
        """Run a play of these tasks on all hosts."""
        playbook = self.folder / "play.yml"
        playbook.write_text(
            yaml.safe_dump([{"hosts": "irods_server", "gather_facts": False, "tasks": list(tasks)}])
        )
        command = [BIN / "ansible-playbook", "-i", self.inventory / "platform.yml", playbook]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg")}
        done = subprocess.run(
            [*command, "--forks", str(len(self.names))],
            cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            sys.exit(done.stdout[-3000:] + done.stderr)

    def close_connections(self) -> None:
        """End what Ansible keeps open, as in the first run of a day."""
        root = Path(os.environ.get("BIC_SANDBOX_ROOT", "/var/lib/bic-sandbox"))
        for socket in (root / "fleets" / "rulebench" / "ssh").glob("*"):
            command = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "-"]
            subprocess.run(command, capture_output=True, check=False)


def seconds(work: Callable[[], None]) -> float:
    """How long it took."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=8, help="rule bases of a release")
    options = parser.parse_args()
    arms: dict[str, list[float]] = {"bic (pyinfra)": [], "ansible, cold": [], "ansible, warm": []}
    with tempfile.TemporaryDirectory(prefix="bic-rulebench-") as folder:
        bench = Bench(Path(folder), options.hosts, options.files)
        fleet = fleet_of(bench.platform)
        fleets.down(fleet, [], print)
        try:
            fleets.up(fleet, [], lambda text: print(text, file=sys.stderr))
            bench.ansible(PREPARE)
            for _ in range(options.rounds):
                arms["bic (pyinfra)"].append(seconds(bench.rollout))
                bench.close_connections()
                arms["ansible, cold"].append(seconds(bench.play))
                arms["ansible, warm"].append(seconds(bench.play))
        finally:
            fleets.down(fleet, [], lambda text: print(text, file=sys.stderr))
    medians = {arm: statistics.median(found) for arm, found in arms.items()}
    rows = table("arm", "median", "all rounds", "ratio to bic", right=("median", "ratio to bic"))
    for arm, median in medians.items():
        ratio = median / medians["bic (pyinfra)"]
        rows.add_row(arm, f"{median:.1f} s", " ".join(f"{one:.1f}" for one in arms[arm]), f"{ratio:.1f}")
    out = console()
    out.print(f"{options.files} rule bases staged, activated and confirmed on {options.hosts} hosts")
    out.print(rows)


if __name__ == "__main__":
    main()
