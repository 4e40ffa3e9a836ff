"""Rollouts of rule bases: releases, plans and waves as values; and a rollout on pretended servers."""

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import BadInputError, BicError
from controlplane.model import Host, Platform, Zone
from controlplane.model.secrets import Secret
from controlplane.rules.manifest import RuleBase
from controlplane.rules.rollout import run
from controlplane.rules.rollout.deploy import Conditions, Result, Target, ZoneRollout, connections_text
from controlplane.rules.rollout.gate import Check, GateResult, run_gate
from controlplane.rules.rollout.plan import (
    AnswerError,
    Difference,
    Pending,
    ServerState,
    plan_server,
    server_state,
)
from controlplane.rules.rollout.release import FOUNDATION, release, rule_base_of, suffix_of
from controlplane.rules.rollout.servers import ANSWER_TIMEOUT, Answer
from controlplane.rules.rollout.ssh_data import ServerError, host_data, ssh_options
from controlplane.rules.rollout.waves import Wave, waves
from controlplane.store.rollouts import Event


def rule_base(name: str, text: str, engine: str = "irods_rule_language") -> RuleBase:
    folder = Path("rules") / name
    return RuleBase(
        name=name, version="1.0.0", title="", owner="", engine=engine, servers="all",  # type: ignore[arg-type]
        after=(), before=(), policy_enforcement_points=(), parameters=MappingProxyType({}),
        file=folder / f"{name}.re", text=text, folder=folder, jobs=MappingProxyType({}),
    )  # fmt: skip


def state(*active: str, texts: Mapping[str, str] | None = None, **changes: Any) -> ServerState:
    plain = ServerState((*active, *FOUNDATION), texts or {}, (), (), (), None, "nothing")
    return dataclasses.replace(plain, **changes)


names = st.from_regex(r"[a-z]{1,8}(-[a-z0-9]{1,6})?", fullmatch=True)
chains = st.dictionaries(names, st.text(max_size=30), max_size=5)


@given(chains)
def test_a_name_follows_from_the_text_and_leads_back_to_the_rule_base(chain: dict[str, str]) -> None:
    made = release([rule_base(name, text) for name, text in chain.items()])
    assert made.names[-2:] == FOUNDATION
    assert [rule_base_of(name) for name in made.names[:-2]] == list(chain)
    changed = release([rule_base(name, text + "#") for name, text in chain.items()])
    assert not set(made.names[:-2]) & set(changed.names)


def test_what_cannot_be_rolled_out_is_refused_before() -> None:
    with pytest.raises(BadInputError, match="at most 46 letters"):
        release([rule_base("a" * 47, "")])
    assert release([rule_base("a" * 46, "")])


def test_a_rule_base_in_python_has_the_name_of_a_module_and_leads_back_too() -> None:
    one, other = rule_base("raw-data", "# text\n"), rule_base("file-names", "A = 1\n", engine="python")
    made = release([other, one])
    assert re.fullmatch(r"bic_file_names_[0-9a-f]{12}", made.names[0])
    assert [rule_base_of(name) for name in made.names] == ["file-names", "raw-data", *FOUNDATION]
    assert [suffix_of(name) for name in made.names] == [".py", ".re", ".re", ".re"]


def test_a_plan_shows_what_changes_in_python() -> None:
    old = release([rule_base("file-names", "A = 1\n", engine="python")])
    new = release([rule_base("file-names", "A = 2\n", engine="python")])
    (name,) = old.names[:-2]
    changed = plan_server("h", "z", new, state(name, texts={name: "A = 1\n"}))
    assert [(one.rule_base, one.difference) for one in changed.findings] == [
        ("file-names", Difference.CHANGED)
    ]
    assert "--- file-names.py on the server\n+++ file-names.py in the repository" in changed.findings[0].diff
    edited = plan_server("h", "z", old, state(name, texts={name: "A = 3\n"}, edited=(name,)))
    assert [one.difference for one in edited.findings] == [Difference.EDITED]
    assert plan_server("h", "z", old, state(name, texts={name: "A = 1\n"})).in_step


@given(chains, chains)
def test_what_a_plan_finds_is_what_differs(before: dict[str, str], after: dict[str, str]) -> None:
    old = release([rule_base(name, text) for name, text in before.items()])
    new = release([rule_base(name, text) for name, text in after.items()])
    texts = {file.name: file.text for file in old.files}
    plan = plan_server("h", "z", new, state(*old.names[:-2], texts=texts))
    found = {one.rule_base: one.difference for one in plan.findings if one.rule_base}
    assert plan.in_step == (old.names == new.names)
    assert {name for name, kind in found.items() if kind is Difference.NEW} == after.keys() - before.keys()
    assert {name for name, kind in found.items() if kind is Difference.REMOVED} == (
        before.keys() - after.keys()
    )
    assert {name for name, kind in found.items() if kind is Difference.CHANGED} == {
        name for name in before.keys() & after.keys() if before[name] != after[name]
    }


def test_an_edit_by_hand_is_a_diff_from_the_edit_to_the_repository() -> None:
    made = release([rule_base("raw-data", "one\ntwo\n")])
    name = made.names[0]
    plan = plan_server("h", "z", made, state(name, texts={name: "one\nmine\n"}, edited=(name,)))
    (finding,) = plan.findings
    assert finding.difference is Difference.EDITED
    assert "-mine\n+two\n" in finding.diff
    assert "on the server" in finding.diff


def test_what_is_in_place_but_not_in_effect_is_found() -> None:
    made = release([rule_base("a", "1"), rule_base("b", "2")])
    texts = {file.name: file.text for file in made.files}
    turned = state(made.names[1], made.names[0], texts=texts)
    assert [one.difference for one in plan_server("h", "z", made, turned).findings] == [Difference.MOVED]
    waiting = state(*made.names[:2], texts=texts, effect="reload")
    assert [one.difference for one in plan_server("h", "z", made, waiting).findings] == [Difference.RELOAD]
    gone = state(*made.names[:2], texts={made.names[0]: "1"}, missing=(made.names[1],))
    assert [one.difference for one in plan_server("h", "z", made, gone).findings] == [Difference.MISSING]


def test_a_rule_base_that_somebody_put_into_the_list_is_to_be_removed() -> None:
    made = release([])
    (finding,) = plan_server("h", "z", made, state("local-rules")).findings
    assert (finding.rule_base, finding.difference) == ("local-rules", Difference.REMOVED)


def test_an_answer_of_another_version_is_one_clear_error() -> None:
    for answer in ({}, {"active": 3}, {"active": [], "files": [], "missing": [], "edited": [], "record": {}}):
        with pytest.raises(AnswerError, match=r"run site\.yml"):
            server_state(answer)


def zone_of(data_centres: Mapping[str, str]) -> tuple[Zone, dict[str, Host]]:
    hosts = {
        name: Host(name, "x", IPv4Address(number), centre)
        for number, (name, centre) in enumerate(data_centres.items(), 1)
    }
    first, *others = hosts
    zone = Zone("z", first, tuple(others), 1247, "rods", Secret.from_file("none"), Path("none"))
    return zone, hosts


@given(st.data())
def test_every_changed_server_is_in_one_wave_and_the_first_is_alone(data: st.DataObject) -> None:
    centres = data.draw(st.lists(st.sampled_from(["dc1", "dc2", "dc3"]), min_size=1, max_size=8))
    zone, hosts = zone_of({f"h{number}": centre for number, centre in enumerate(centres)})
    changed = data.draw(st.sets(st.sampled_from(sorted(hosts))))
    canary = data.draw(st.none() | st.sampled_from(sorted(hosts)))
    found = waves(zone, hosts, changed, canary)
    order = [server for wave in found for server in wave.servers]
    assert sorted(order) == sorted(changed)
    if changed:
        assert len(found[0].servers) == 1
        here = hosts[found[0].servers[0]].data_centre
        after = [hosts[server].data_centre == here for server in order[1:]]
        assert after == sorted(after, reverse=True), "the canary's data centre comes before all others"
        assert canary not in changed or order[0] == canary
        assert order[0] != zone.catalog_provider or changed == {order[0]} or canary == order[0]


def test_a_gate_proves_something_or_fails() -> None:
    assert run_gate(lambda: [Check("login", passed=True)]).passed
    assert not run_gate(list).passed
    assert "refused: it was allowed" in run_gate(lambda: [Check("refused", False, "it was allowed")]).reason

    def fail() -> Sequence[Check]:
        raise BicError("no password")

    assert run_gate(fail).reason == "no password"
    result = run_gate(lambda: time.sleep(5) or [Check("x", passed=True)], seconds=0.1)
    assert not result.passed
    assert "not done within" in result.reason


class Pretended:
    """Servers that answer as irods-rule-bases does, and remember what they were asked to do."""

    def __init__(self, names: Sequence[str], before: Sequence[str]) -> None:
        self.active = {name: list(before) for name in names}
        self.before: dict[str, list[str]] = {}
        self.refuse: dict[tuple[str, str], str] = {}
        self.clients: dict[str, int] = {}
        self.previous: dict[str, list[str]] = {}
        self.log: list[tuple[str, str]] = []

    def ask(
        self,
        names: Sequence[str],
        *words: str,
        stdin: Mapping[str, Any] | None = None,
        timeout: int = ANSWER_TIMEOUT,
    ) -> dict[str, Answer]:
        return {name: self.answer(name, words, stdin) for name in names}

    def answer(  # noqa: PLR0911 - one for each of the command's words
        self, name: str, words: Sequence[str], stdin: Mapping[str, Any] | None
    ) -> Answer:
        if words[0] not in {"status", "connections"}:
            self.log.append((name, words[0]))
        if error := self.refuse.get((name, words[0])):
            return Answer({}, error)
        match words[0]:
            case "stage":
                return Answer({"staged": list((stdin or {})["files"]), "restored": []})
            case "connections":
                self.clients[name] = left = self.clients.get(name, 0) - 1
                one = {"user": "ana#z", "program": "iput", "address": "10.0.0.1", "seconds": 3}
                return Answer({"connections": [one] if left >= 0 else []})
            case "activate":
                self.before.setdefault(name, self.active[name])
                self.active[name] = list(words[5:])
                return Answer({"changed": True, "closed_seconds": 1.5})
            case "confirm":
                self.before.pop(name, None)
                return Answer({"changed": True})
            case "rollback":
                self.active[name] = self.before.pop(name, self.active[name])
                return Answer({"changed": True, "closed_seconds": 2.0})
        pending = None
        if name in self.before:
            complaint = self.refuse.get((name, "journal"), "")
            pending = {"from": self.before[name], "to": self.active[name], "by": "x", "seconds_left": 1}
            pending["complaint"] = complaint
        answer = {"active": self.active[name], "files": {}, "missing": [], "edited": [], "effect": "nothing"}
        return Answer({**answer, "pending": pending, "record": {"previous": self.previous.get(name, [])}})


class Rollout:
    """A rollout on pretended servers."""

    def __init__(self, wait: float = 0.0) -> None:
        self.servers = Pretended(["a", "b", "c"], ["old", *FOUNDATION])
        self.bad: set[tuple[str, str]] = set()
        self.events: list[tuple[str, str]] = []
        self.lines: list[str] = []
        conditions = Conditions(self.servers, self, self.gate, "ops", wait, self.lines.append)
        self.stop = conditions.stop
        target = Target(("new", *FOUNDATION), {"new": "text"})
        self.zone = ZoneRollout(conditions, "z", dict.fromkeys("abc", target))

    def gate(self, server: str, names: Sequence[str]) -> GateResult:
        passed = (server, names[0]) not in self.bad
        return GateResult((Check("login", passed, "" if passed else "refused"),), 0.1)

    def write(self, event: Event, *, server: str = "", **_: Any) -> None:
        self.events.append((server, event.value))

    @property
    def results(self) -> dict[str, Result]:
        return {name: one.result for name, one in self.zone.outcomes.items()}

    @property
    def active(self) -> dict[str, str]:
        return {name: names[0] for name, names in self.servers.active.items()}


WAVES = (Wave("canary", ("a",)), Wave("all", ("b", "c")))


def test_a_rollout_stages_everywhere_and_confirms_wave_by_wave() -> None:
    rollout = Rollout()
    assert rollout.zone.run(WAVES)
    assert rollout.servers.log == [
        ("a", "stage"), ("b", "stage"), ("c", "stage"),
        ("a", "activate"), ("a", "confirm"),
        ("b", "activate"), ("c", "activate"), ("b", "confirm"), ("c", "confirm"),
    ]  # fmt: skip
    assert set(rollout.results.values()) == {Result.CONFIRMED}
    assert rollout.zone.outcomes["a"].closed == 1.5


def test_a_gate_that_fails_at_the_canary_leaves_the_others_alone() -> None:
    rollout = Rollout()
    rollout.bad = {("a", "new")}
    assert not rollout.zone.run(WAVES)
    assert rollout.active == dict.fromkeys("abc", "old")
    assert rollout.results == {
        "a": Result.ROLLED_BACK, "b": Result.NOT_ATTEMPTED, "c": Result.NOT_ATTEMPTED
    }  # fmt: skip
    assert "the gate failed: login: refused" in rollout.zone.outcomes["a"].reason
    assert rollout.zone.outcomes["a"].closed == 3.5
    assert ("a", "gate failed") in rollout.events
    assert ("a", "rolled back") in rollout.events


def test_a_gate_that_fails_rolls_its_whole_wave_back_and_no_earlier_one() -> None:
    rollout = Rollout()
    rollout.bad = {("c", "new")}
    assert not rollout.zone.run(WAVES)
    assert rollout.active == {"a": "new", "b": "old", "c": "old"}
    assert rollout.results == {"a": Result.CONFIRMED, "b": Result.ROLLED_BACK, "c": Result.ROLLED_BACK}


def test_what_the_journal_complains_of_fails_the_gate() -> None:
    rollout = Rollout()
    rollout.servers.refuse = {("a", "journal"): "error parsing rule"}
    assert not rollout.zone.run(WAVES)
    assert rollout.active["a"] == "old"
    assert "error parsing rule" in rollout.zone.outcomes["a"].reason


def test_a_server_that_answers_to_nothing_after_its_rollback_is_said_to_have_failed() -> None:
    rollout = Rollout()
    rollout.bad = {("a", "new"), ("a", "old")}
    assert not rollout.zone.run(WAVES)
    assert rollout.results["a"] is Result.FAILED
    assert "does not answer as before" in rollout.zone.outcomes["a"].reason


def test_a_server_that_takes_no_files_ends_the_rollout_before_anything_is_changed() -> None:
    rollout = Rollout()
    rollout.servers.refuse = {("c", "stage"): "no space left"}
    assert not rollout.zone.run(WAVES)
    assert rollout.active == dict.fromkeys("abc", "old")
    assert not [what for _, what in rollout.servers.log if what != "stage"]


def test_an_activation_that_is_refused_counts_what_it_cost() -> None:
    rollout = Rollout()
    rollout.servers.refuse = {("a", "activate"): "broken\nclosed for 1.5 s.\n… closed for 0.5 s."}
    assert not rollout.zone.run(WAVES)
    assert rollout.zone.outcomes["a"].closed == 4.0


def test_clients_are_waited_for_and_then_cut_off() -> None:
    rollout = Rollout(wait=60)
    rollout.servers.clients = {"a": 1}
    assert rollout.zone.run(WAVES[:1])
    assert any("waiting up to 60 s for 1 open connection (ana#z with iput" in line for line in rollout.lines)
    impatient = Rollout(wait=0)
    impatient.servers.clients = {"a": 5}
    assert impatient.zone.run(WAVES[:1])
    assert ("a", "waited") in impatient.events


def test_once_stopped_a_wave_that_has_begun_is_taken_back() -> None:
    rollout = Rollout()
    rollout.zone.conditions.tell = lambda line: rollout.stop.set() if "b: gate passed" in line else None
    assert not rollout.zone.run(WAVES)
    assert rollout.active == {"a": "new", "b": "old", "c": "old"}


def pending(after: str) -> Pending:
    return Pending(("old", *FOUNDATION), (after, *FOUNDATION), "a dead run", 9.0, "")


def test_what_an_earlier_run_left_is_finished_when_it_is_wanted_and_good() -> None:
    rollout = Rollout()
    rollout.servers.before["a"] = ["old", *FOUNDATION]
    assert rollout.zone.settle("a", pending("new"))
    assert rollout.active["a"] == "new"
    assert rollout.results["a"] is Result.CONFIRMED


@pytest.mark.parametrize(("after", "goes_on"), [("other", True), ("new", False)])
def test_what_an_earlier_run_left_is_else_taken_back(after: str, goes_on: bool) -> None:
    rollout = Rollout()
    rollout.bad = {("a", "new")}
    rollout.servers.before["a"] = ["old", *FOUNDATION]
    rollout.servers.active["a"] = [after, *FOUNDATION]
    assert rollout.zone.settle("a", pending(after)) is goes_on
    assert rollout.active["a"] == "old"
    assert bool(rollout.zone.outcomes["a"].reason) is not goes_on


def test_connections_are_told_shortly() -> None:
    one = {"user": "", "program": "", "address": "10.0.0.1", "seconds": None}
    assert connections_text([one]) == "1 open connection (somebody from 10.0.0.1)"
    assert connections_text([one] * 9).endswith("from 10.0.0.1, …)")


def test_variables_of_ansible_become_data_of_pyinfra() -> None:
    data = host_data(
        "h",
        {
            "host": "10.0.0.1", "user": "ops", "port": 2222, "key_file": "/k", "become": True,
            "common_arguments": "-oStrictHostKeyChecking=yes -o UserKnownHostsFile=/known -oControlPath=x",
            "extra_arguments": "-J jump.example",
        },
    )  # fmt: skip
    assert data["ssh_hostname"] == "10.0.0.1"
    assert data["ssh_port"] == 2222
    assert data["ssh_key"] == "/k"
    assert data["ssh_known_hosts_file"] == "/known"
    assert data["ssh_strict_host_key_checking"] == "yes"
    assert data["become"] == {"_sudo": True}
    assert "proxyjump jump.example" in data["ssh_config"]
    assert host_data("h", {"user": "root", "become": True})["become"] == {}


def test_keys_of_hosts_are_checked_unless_ansible_is_told_not_to() -> None:
    assert host_data("h", {})["ssh_strict_host_key_checking"] == "yes"
    assert host_data("h", {"host_key_checking": False})["ssh_strict_host_key_checking"] == "no"
    asked = host_data("h", {"common_arguments": "-o StrictHostKeyChecking=ask"})
    assert asked["ssh_strict_host_key_checking"] == "yes"


def test_an_argument_for_ssh_that_would_be_lost_is_refused() -> None:
    assert ssh_options("h", "-oProxyCommand='nc %h %p' -C") == {"proxycommand": "nc %h %p"}
    with pytest.raises(ServerError, match="-W"):
        ssh_options("h", "-W x")
    with pytest.raises(ServerError, match="become_method"):
        host_data("h", {"become": True, "become_method": "doas"})


class Nation(Rollout):
    """A rollout of a whole platform with one zone, whose provider is `a`, on pretended servers."""

    def __init__(self) -> None:
        super().__init__()
        zone, hosts = zone_of({"a": "dc1", "b": "dc1", "c": "dc2"})
        self.platform = cast(
            Platform,
            SimpleNamespace(zones={"z": zone}, hosts=hosts, rules=SimpleNamespace(canary={"z": "c"})),
        )
        self.release = release([rule_base("raw-data", "new")])
        self.wanted = {name: run.Wanted("z", self.release) for name in "abc"}

    def deploy(self, *, yes: bool = True) -> run.Report:
        return run.deploy(self.platform, self.zone.conditions, self.wanted, lambda _: yes)


def test_a_deployment_goes_on_without_a_server_that_cannot_be_read_and_says_so() -> None:
    nation = Nation()
    nation.servers.refuse = {("b", "status"): "no connection over SSH"}
    report = nation.deploy()
    assert not report.ok
    assert {one.server: one.result for one in report.outcomes} == dict.fromkeys("ac", Result.CONFIRMED)
    assert {plan.server: plan.error for plan in report.plans}["b"] == "no connection over SSH"
    assert [name for name, what in nation.servers.log if what == "activate"] == ["c", "a"]


def test_nothing_is_changed_where_nobody_approves_or_nothing_differs() -> None:
    nation = Nation()
    assert not nation.deploy(yes=False).ok
    assert nation.servers.log == []
    for name in "abc":
        nation.servers.active[name] = list(nation.release.names)
    assert nation.deploy().ok
    assert nation.servers.log == []


def test_what_an_earlier_run_left_and_is_bad_ends_the_deployment() -> None:
    nation = Nation()
    wanted = nation.release.names
    nation.servers.before["b"] = nation.servers.active["b"]
    nation.servers.active["b"] = list(wanted)
    nation.bad = {("b", wanted[0])}
    report = nation.deploy()
    assert not report.ok
    assert [(one.server, one.result) for one in report.outcomes] == [("b", Result.ROLLED_BACK)]
    assert "c" not in {name for name, what in nation.servers.log if what == "activate"}


def test_a_rollback_takes_the_list_before_and_leaves_servers_without_one() -> None:
    nation = Nation()
    for name in "abc":
        nation.servers.active[name] = list(nation.release.names)
    nation.servers.previous = {"b": ["old", *FOUNDATION], "c": ["old", *FOUNDATION]}
    report = run.rollback(nation.platform, nation.zone.conditions, nation.wanted, lambda _: True)
    assert report.ok
    assert nation.active == {"a": nation.release.names[0], "b": "old", "c": "old"}
    assert [name for name, what in nation.servers.log if what == "activate"] == ["c", "b"]
