"""Which failure follows from which."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.generate.nation import Nation, files
from controlplane.generate.write import write_inventory
from controlplane.health.dependencies import DependencyError, concerning, inhibited
from controlplane.health.journeys import plan
from controlplane.health.port import Check, Probe, Severity
from controlplane.health.run import Result, Status, is_cause
from controlplane.model import Platform, load_platform
from controlplane.systems import contributions

ROOT = Path(__file__).parents[3]
RUNBOOKS = ROOT / "docs" / "runbooks"


def probe(target: str, needs: tuple[str, ...] = (), **fields: Any) -> Probe:
    ask = Check("ask", lambda: "", "Nobody can work.", "HostDown#look")
    return Probe("s", target, (ask,), provides=target, needs=needs, **fields)


def answer(
    target: str,
    status: Status = Status.FAILED,
    *,
    severity: Severity = Severity.CRITICAL,
    finding: bool = False,
    check: str = "ask",
) -> Result:
    return Result("s", target, check, status, severity, "", 0.0, "", "", finding)


def causes(probes: list[Probe], results: list[Result]) -> dict[str, str]:
    return {result.target: result.cause for result in inhibited(probes, results) if not is_cause(result)}


CHAIN = [probe("host"), probe("database", ("host",)), probe("zone", ("host", "database"))]


def test_what_follows_from_a_failure_names_it() -> None:
    down = [answer("host", Status.OK), answer("database"), answer("zone")]
    assert causes(CHAIN, down) == {"host": "", "zone": "s database"}
    everything = [answer("host"), answer("database"), answer("zone")]
    assert causes(CHAIN, everything) == {"database": "s host", "zone": "s host"}
    database_alone = [answer("database"), answer("zone")]
    assert causes(CHAIN[1:], database_alone) == {"zone": "s database"}


def test_a_dependency_that_is_well_explains_nothing() -> None:
    healthy_between = [answer("host"), answer("database", Status.OK), answer("zone")]
    assert causes([CHAIN[0], CHAIN[1], probe("zone", ("database",))], healthy_between) == {"database": ""}
    warned = [answer("host", severity=Severity.WARNING), answer("database")]
    assert causes(CHAIN[:2], warned) == {}


def test_what_was_found_wrong_with_a_target_itself_is_a_cause_of_its_own() -> None:
    results = [
        answer("host"),
        answer("database"),
        answer("database", finding=True, check="b"),
        answer("zone"),
    ]
    judged = inhibited([CHAIN[0], CHAIN[1], probe("zone", ("database",))], results)
    assert [(result.status, result.cause) for result in judged] == [
        (Status.FAILED, ""),
        (Status.INHIBITED, "s host"),
        (Status.FAILED, ""),
        (Status.INHIBITED, "s database"),
    ]


def test_a_target_that_could_not_be_seen_explains_nothing() -> None:
    monitor, seen = probe("monitor"), probe("database", through=("monitor",))
    zone = probe("zone", ("database",))
    unseen = [answer("monitor"), answer("database"), answer("zone")]
    assert causes([monitor, seen, zone], unseen) == {"database": "s monitor"}
    found = [answer("monitor", Status.OK), answer("database", finding=True), answer("zone")]
    assert causes([monitor, seen, zone], found) == {"monitor": "", "zone": "s database"}


def test_targets_that_need_each_other_are_refused() -> None:
    with pytest.raises(DependencyError, match=r"s a needs s b needs s a|s b needs s a needs s b"):
        inhibited([probe("a", ("b",)), probe("b", ("a",))], [])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Probe], list[Result]]:
    size = draw(st.integers(1, 8))
    probes, results = [], []
    for index in range(size):
        earlier = st.lists(st.sampled_from([str(other) for other in range(index)]), max_size=3)
        needs = draw(earlier) if index else []
        through = draw(earlier) if index else []
        probes.append(probe(str(index), tuple(needs), through=tuple(through)))
        results.append(
            answer(
                str(index),
                draw(st.sampled_from([Status.OK, Status.FAILED, Status.SKIPPED])),
                severity=draw(st.sampled_from(Severity)),
                finding=draw(st.booleans()),
            )
        )
    shuffled = draw(st.permutations(list(zip(probes, results, strict=True))))
    return [one for one, _ in shuffled], [other for _, other in shuffled]


@given(graphs())
def test_every_cause_is_a_failure_that_follows_from_nothing(graph: tuple[list[Probe], list[Result]]) -> None:
    probes, results = graph
    judged = inhibited(probes, results)
    by_title = {f"{result.system} {result.target}": result for result in judged}
    assert [result.target for result in judged] == [result.target for result in results]
    for before, after in zip(results, judged, strict=True):
        if after.status is Status.INHIBITED:
            assert before.status is Status.FAILED
            assert not before.finding
            cause = by_title[after.cause]
            assert is_cause(cause)
            assert cause.severity is Severity.CRITICAL
            assert after.cause != f"{after.system} {after.target}"
        else:
            assert after == before
    # A failure somewhere is never explained away everywhere.
    if any(is_cause(result) for result in results):
        assert any(is_cause(result) for result in judged)


@given(graphs(), st.sets(st.sampled_from("ab")))
def test_a_facility_is_asked_about_with_all_that_it_needs(
    graph: tuple[list[Probe], list[Result]], facilities: set[str]
) -> None:
    probes = [
        Probe(one.system, one.target, one.checks, one.provides, one.needs, one.through, frozenset({"a"}))
        if index % 2
        else Probe(one.system, one.target, one.checks, one.provides, one.needs, one.through, frozenset())
        for index, one in enumerate(graph[0])
    ]
    chosen = {one.target for one in concerning(probes, facilities)}
    if "a" not in facilities:
        assert not chosen
    for one in probes:
        if one.target in chosen:
            assert {*one.needs, *one.through} <= chosen
        else:
            assert "a" not in (one.serves or ()) or "a" not in facilities


@pytest.fixture(params=["sandbox", "staging", "production", "one zone", "two zones"])
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Platform:
    """The shipped inventories, and synthetic nations."""
    if " " not in request.param:
        return load_platform(ROOT / "inventories" / request.param)
    nation = Nation(3, people=12, teams=4, zones=1 if request.param == "one zone" else 2)
    write_inventory(tmp_path, files(nation))
    return load_platform(tmp_path)


def test_the_probes_of_an_inventory_fit_together(platform: Platform) -> None:
    probes: list[Probe] = list(contributions(platform, "probes", "probes"))
    probes += plan.journeys(contributions(platform, "journeys", "stages"))
    assert inhibited(probes, []) == []
    assert len({(one.system, one.target) for one in probes}) == len(probes)
    provided = [one.provides for one in probes if one.provides]
    assert len(set(provided)) == len(provided)
    # Without a Prometheus, nobody tells of the databases that are closed to the control host.
    unasked = set() if any(platform.hosts_with("prometheus")) else {"postgresql"}
    for one in probes:
        missing = {*one.needs, *one.through} - set(provided)
        assert {name.partition(" ")[0] for name in missing} <= unasked, one.title
        assert one.checks
        assert len({check.name for check in one.checks}) == len(one.checks)
    some = next(iter(platform.facilities))
    assert 0 < len(concerning(probes, {some})) < len(probes)


def test_every_check_says_what_it_means_and_what_to_do(platform: Platform) -> None:
    journeys = plan.journeys(contributions(platform, "journeys", "stages"))
    for one in (*contributions(platform, "probes", "probes"), *journeys):
        for check in one.checks:
            assert re.fullmatch(r"[A-Z].*\.", check.meaning), f"{one.title}, {check.name}"
            assert 0 < check.timeout <= (90 if one.system == "journey" else 30)
            page, _, section = check.runbook.partition("#")
            assert section in sections(page), f"{one.title}, {check.name}: {check.runbook}"


def sections(page: str) -> set[str]:
    """The anchors of a runbook's headings, as GitHub makes them."""
    headings = re.findall(r"^##+ (.*)$", (RUNBOOKS / f"{page}.md").read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
