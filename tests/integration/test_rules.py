"""Rule bases on the nation's servers: rolled out in waves, stopped at the canary, found when edited."""

import contextlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from irods.models import Collection
from nation import BIN, REPOSITORY, Nation, Run

from controlplane.systems.irods.client import Client, IrodsError, endpoint

ZONE = "bicZone"
CANARY = "dc2-irods"
OTHERS = ("dc1-icat", "dc1-irods")
NAME = "entrance"

MANIFEST = f"""\
name: {NAME}
version: {{version}}
title: Who may come in
owner: national-ops
engine: irods_rule_language
servers: all
policy_enforcement_points: [acPreConnect]
"""

CASES = """\
cases:
  over-tls:
    title: A client that asks for TLS logs in
    gate: true
    steps:
      - connect: tls
  plaintext:
    title: A client without TLS is turned away
    gate: true
    steps:
      - connect: plain
        expect: refused
"""

POLICY = f"""\
rule_bases: {{{NAME}: {{}}}}
rollout: {{wait_for_transfers: 10s, canary: {{{ZONE}: {CANARY}}}}}
"""

GOOD = '# {}\nacPreConnect(*OUT) {{ *OUT = "CS_NEG_REQUIRE"; }}\n'

#: Rules that no lint would let through, or that only show what they do when somebody comes in.
BAD = {
    "syntax": (
        'acPreConnect(*OUT) { *OUT = "CS_NEG_REQUIRE"; }\nacPreConnect(*OUT) { *OUT = \n',
        "could not read",
    ),
    "refuses every login": ('acPreConnect(*OUT) { *OUT = "CS_NEG_REFUSE"; }\n', "the gate failed"),
    "loops": ('acPreConnect(*OUT) { while (1 == 1) { *OUT = "CS_NEG_REQUIRE"; } }\n', "the gate failed"),
}


@dataclass
class Rules:
    """A folder of rule bases, and the commands that roll them out."""

    nation: Nation
    folder: Path

    def write(self, text: str, version: str = "1.0.0") -> None:
        folder = self.folder / NAME
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.yml").write_text(MANIFEST.format(version=version))
        (folder / "cases.yml").write_text(CASES)
        (folder / f"{NAME}.re").write_text(text)

    def bic(self, *words: str, until: str | None = None) -> Run:
        command = (BIN / "bic", "rules", *words, "--rules", self.folder)
        return self.nation.run(*command, until=until, deadline=300)

    def deploy(self, *words: str, until: str | None = None) -> Run:
        return self.bic("deploy", "--yes", *words, until=until)

    def active(self) -> dict[str, list[str]]:
        """What each server runs of ours, by its file's name."""
        answer = json.loads(self.bic("status", "--json").output)
        return {
            one["server"]: [name for name in one["active"] if name.startswith(f"bic-{NAME}-")]
            for one in answer["servers"]
        }

    def on(self, host: str, command: str) -> Run:
        return self.nation.bic("sandbox", "exec", host, "--", "sh", "-c", command)


@dataclass
class Traffic:
    """Clients that come in at servers again and again."""

    nation: Nation
    hosts: tuple[str, ...]
    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def work(self, host: str) -> None:
        platform = self.nation.platform
        server = endpoint(platform.zones[ZONE], platform.hosts[host])
        while not self._over.is_set():
            try:
                with Client(server, connections=1) as client:
                    assert client.rows(Collection.name, where=(Collection.name == f"/{ZONE}/home",))
                self.done[host] += 1
            except (IrodsError, AssertionError) as error:
                self.failed.append(f"{host}: {error}")
            self._over.wait(0.2)

    @contextlib.contextmanager
    def flowing(self) -> Iterator["Traffic"]:
        threads = [threading.Thread(target=self.work, args=(host,)) for host in self.hosts]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join()


@pytest.fixture(scope="module")
def rules(nation: Nation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rules]:
    """The nation with a rule base of these tests; afterwards its servers run what they did before."""
    policy = nation.inventory / "policies" / "rules.yml"
    before = policy.read_text() if policy.exists() else None
    rules = Rules(nation, tmp_path_factory.mktemp("rules"))
    rules.write(GOOD.format("first"))
    shipped = ("--rules", str(REPOSITORY / "rules"))
    ran = json.loads(nation.bic("rules", "status", "--json", *shipped).output)["servers"]
    policy.write_text(POLICY)
    try:
        first = rules.deploy()
        assert first.code == 0, first.output
        yield rules
    finally:
        ran_nothing = all(one["active"] == ["bic-tls", "core"] for one in ran)
        policy.write_text("rule_bases: {}\n" if ran_nothing or before is None else before)
        last = nation.bic("rules", "deploy", "--yes", "--wait", "5", *shipped)
        if before is None:
            policy.unlink()
        else:
            policy.write_text(before)
        assert last.code == 0, last.output


def test_a_new_version_goes_to_the_canary_first_and_then_to_all(rules: Rules) -> None:
    before = rules.active()
    rules.write(GOOD.format("second"), "1.1.0")
    plan = rules.bic("plan")
    assert plan.code == 2, plan.output
    assert "-# first\n" in plan.output
    assert "+# second\n" in plan.output
    done = rules.deploy()
    assert done.code == 0, done.output
    order = re.findall(r"^  (\S+): activated; it was closed for [0-9.]+ s$", done.output, re.MULTILINE)
    assert order == [CANARY, "dc1-irods", "dc1-icat"]
    assert done.output.index("wave 'canary'") < done.output.index(f"{CANARY}: confirmed")
    assert done.output.index(f"{CANARY}: confirmed") < done.output.index("dc1-irods: activated")
    after = rules.active()
    assert len({tuple(names) for names in after.values()}) == 1
    assert after[CANARY] != before[CANARY]
    status = rules.bic("status")
    assert status.code == 0, status.output
    assert status.output.count(f"{NAME} 1.1.0") == 3
    again = rules.deploy()
    assert again.code == 0
    assert "nothing to deploy" in again.output
    history = rules.nation.bic("rules", "status", "--history").output
    assert re.search(rf"canary +{CANARY} +gate passed", history), history
    journal = rules.on(CANARY, "journalctl --quiet --output=cat SYSLOG_IDENTIFIER=irods-rule-bases").output
    assert f"confirms {after[CANARY][0]}" in journal
    noted = "/var/lib/prometheus/node-exporter/irods_rule_bases.prom"
    metrics = rules.on(CANARY, f"systemctl start irods-rule-bases-note.service && cat {noted}").output
    digest = after[CANARY][0].rpartition("-")[2]
    assert f'{{zone="{ZONE}",rule_base="{NAME}",digest="{digest}"}} 1' in metrics


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_version_ends_at_the_canary_and_nobody_else_notices(rules: Rules, kind: str) -> None:
    before = rules.active()
    text, sign = BAD[kind]
    rules.write(text, "2.0.0")
    with Traffic(rules.nation, OTHERS).flowing() as traffic:
        done = rules.deploy("--no-lint", "--wait", "0")
    rules.write(GOOD.format("second"), "1.1.0")
    assert done.code == 1, done.output
    assert sign in done.output
    assert re.search(rf"^  {CANARY}: rolled back.*answers with the rule bases from before", done.output, re.M)
    assert not re.search(r"^  dc1-\w+: activated", done.output, re.MULTILINE)
    assert traffic.failed == []
    assert all(traffic.done[host] > 1 for host in OTHERS), traffic.done
    assert rules.active() == before


def test_what_killed_runs_left_is_settled_by_the_next(rules: Rules) -> None:
    rules.write(GOOD.format("third"), "1.2.0")
    for point in ("wave 'canary'", f"{CANARY}: activated", f"{CANARY}: confirmed"):
        killed = rules.deploy(until=point)
        assert killed.killed_at == point, killed.output
    done = rules.deploy()
    assert done.code == 0, done.output
    assert rules.bic("status").code == 0
    # Killed when a version was active that nobody wants any more: it is taken back first.
    rules.write(GOOD.format("fourth"), "1.3.0")
    assert rules.deploy("--server", CANARY, until=f"{CANARY}: activated").killed_at
    rules.write(GOOD.format("third"), "1.2.0")
    back = rules.deploy()
    assert back.code == 0, back.output
    assert f"{CANARY}: taking back the activation that" in back.output
    assert rules.bic("status").code == 0


def test_a_server_takes_back_by_itself_what_nobody_confirms(rules: Rules) -> None:
    command = "/usr/local/sbin/irods-rule-bases"
    pending = "test -e /etc/irods/bic-rule-bases.pending.json"
    activate = f"{command} activate --by test --seconds 10 bic-tls core"
    done = rules.on("dc1-irods", f"{activate} && {pending}")
    assert done.code == 0, done.output
    gone = rules.on("dc1-irods", f"for i in $(seq 120); do {pending} || exit 0; sleep 1; done; exit 1")
    assert gone.code == 0, "nothing was taken back within two minutes"
    assert rules.bic("status").code == 0


def test_an_edit_by_hand_is_shown_as_a_diff_and_taken_back(rules: Rules) -> None:
    name = rules.active()["dc1-irods"][0]
    rules.on("dc1-irods", f"echo '# by hand' >>/etc/irods/{name}.re")
    status = rules.bic("status")
    assert status.code == 2, status.output
    assert "-# by hand\n" in status.output
    assert f"{NAME} edited by hand on dc1-irods" in rules.bic("plan").output
    done = rules.deploy()
    assert done.code == 0, done.output
    assert rules.bic("status").code == 0


def test_a_rollback_goes_back_to_the_version_before_and_a_play_keeps_it(rules: Rules) -> None:
    before = rules.active()
    rules.write(GOOD.format("fifth"), "1.4.0")
    assert rules.deploy("--server", "dc1-irods").code == 0
    assert rules.active()["dc1-irods"] != before["dc1-irods"]
    done = rules.bic("rollback", "--yes", "--server", "dc1-irods")
    assert done.code == 0, done.output
    rules.write(GOOD.format("third"), "1.2.0")
    assert rules.active() == before
    play = rules.nation.ansible("--limit", "dc1-irods", "--tags", "irods_server")
    assert play.code == 0, play.output[-3000:]
    assert rules.bic("status").code == 0
