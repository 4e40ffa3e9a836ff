"""Comparing without a plan: what is found, what is kept of it, and what the exporter offers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from memory import UNREADABLE, Memory
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector
from state_strategies import states
from store_site import Site
from typer.testing import CliRunner

from controlplane.cli.main import app
from controlplane.reconcile.comparison import compare_all
from controlplane.state import Difference, Key, Resource, Scope, State, compare, make_plan
from controlplane.store import StoreError, open_store
from controlplane.store.journal import RunEnd, RunResult, begin_run
from controlplane.store.locks import Holder, Wanted, hold
from controlplane.systems.controlplane.metrics import StoreCollector, queue_metrics
from controlplane.workflows.port import Backlog


@given(states(found=False), states(found=True))
def test_what_deviates_is_what_a_plan_would_change_or_cannot_reach(desired: State, observed: State) -> None:
    plan = make_plan("model", desired, observed)
    drift = compare(desired, observed)
    planned = {item.key for item in (*plan.changes, *plan.conflicts)}
    assert {item.key for item in drift.deviations} == planned
    assert sum(drift.counts().values()) == len(drift.deviations)
    assert [item.key for item in drift.deviations] == sorted(planned)


@given(states(found=False), states(found=True))
def test_a_scope_compares_a_part(desired: State, observed: State) -> None:
    scope = Scope(facilities=frozenset({"nantes"}))
    whole = compare(desired, observed)
    assert compare(desired, observed, scope).deviations == tuple(
        item for item in whole.deviations if item.facility == "nantes"
    )


def test_the_four_differences() -> None:
    a, b, c, d, e, f = (Key("group", name) for name in "abcdef")
    desired = State(Resource(key, {"x": 1}) for key in (a, b, c, f))
    observed = State(
        [
            Resource(b, {"x": 2}),
            Resource(c, {"x": 1}, owned=False),
            Resource(d, {"x": 1}),
            Resource(e, {"x": 1}, keep="it holds data", retired={"x": 1}),
            Resource(f, {"x": 1}),
            Resource(Key("user", "other"), owned=False),
        ]
    )
    drift = compare(desired, observed)
    assert {item.key.name: item.difference for item in drift.deviations} == {
        "a": Difference.MISSING,
        "b": Difference.DIFFERING,
        "c": Difference.UNMARKED,
        "d": Difference.SURPLUS,
    }
    assert drift.as_json()[1]["fields"] == [{"name": "x", "observed": 2, "desired": 1}]
    assert drift.counts()["user", Difference.MISSING] == 0


def test_one_system_that_cannot_be_compared_is_named_and_the_others_are() -> None:
    bad, broken, good = (Memory([Resource(Key("a", "b"))], id=f"memory/{name}") for name in "abc")
    bad.unreadable = UNREADABLE
    broken.unreadable = ValueError("a defect")
    found = compare_all([bad, broken, good], lambda label: lambda done, total: None, Scope())
    assert [item.error for item in found] == [
        "no answer",
        "failed unexpectedly: ValueError: a defect",
        "",
    ]
    assert found[2].drift is not None
    assert len(found[2].drift.deviations) == 1
    assert all(system.calls[-1] == "close" for system in (bad, broken, good))


# The command.


@pytest.fixture
def systems(monkeypatch: pytest.MonkeyPatch) -> list[Memory]:
    thing = Resource(Key("thing", "one"), {"x": 1}, facility="nantes")
    made = [Memory([thing], [thing], id="memory/a"), Memory([thing], [thing], id="memory/b")]
    monkeypatch.setattr("controlplane.systems.contributions", lambda *_: iter(made))
    return made


def drift(inventory: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["--inventory", str(inventory), "drift", *arguments])


def test_the_exit_code_says_what_was_found(embedded: Path, systems: list[Memory]) -> None:
    result = drift(embedded)
    assert (result.exit_code, result.stdout) == (
        0,
        "the memory/a: as desired\nthe memory/b: as desired\nno drift\n",
    )
    systems[0].world.clear()
    result = drift(embedded)
    assert result.exit_code == 2
    assert "missing: 1 thing  one" in result.stdout
    assert "1 object not as desired" in result.stdout
    systems[1].unreadable = UNREADABLE
    result = drift(embedded, "--json")
    assert result.exit_code == 1
    one, two = json.loads(result.stdout)["systems"]
    assert one["deviations"] == [
        {
            "difference": "missing",
            "kind": "thing",
            "name": "one",
            "facility": "nantes",
            "team": "",
            "fields": [],
        }
    ]
    assert (two["error"], two["deviations"]) == ("no answer", None)
    assert drift(embedded, "--system", "memory/a").exit_code == 2


# The metrics.


class Fixed(Collector):
    """What a collector offered once, for a registry."""

    def __init__(self, collector: StoreCollector) -> None:
        self.families = list(collector.collect())

    def collect(self) -> Iterator[Any]:
        yield from self.families


def offered(site: Site) -> str:
    registry = CollectorRegistry()
    registry.register(Fixed(StoreCollector(site)))  # type: ignore[arg-type]
    return generate_latest(registry).decode()


def test_nothing_is_offered_and_nothing_made_where_there_is_no_store(tmp_path: Path) -> None:
    assert offered(Site(tmp_path / "state")) == ""
    assert not (tmp_path / "state").exists()


def test_the_exporter_offers_the_latest_comparison(embedded: Path, systems: list[Memory]) -> None:
    from controlplane.model import load_platform

    platform = load_platform(embedded)
    drift(embedded)
    systems[0].world.clear()
    systems[1].unreadable = UNREADABLE
    drift(embedded)
    # A part of the platform would look like all of it.
    drift(embedded, "--facility", "rennes")
    text = offered(platform)  # type: ignore[arg-type]
    for line in (
        'bic_drift_objects{difference="missing",kind="thing",system="memory/a"} 1.0',
        'bic_drift_objects{difference="surplus",kind="thing",system="memory/a"} 0.0',
        'bic_drift_objects{difference="missing",kind="thing",system="memory/b"} 0.0',
        'bic_drift_up{system="memory/a"} 1.0',
        'bic_drift_up{system="memory/b"} 0.0',
        'bic_drift_last_success_timestamp_seconds{system="memory/b"} ',
        'bic_drift_duration_seconds{system="memory/a"} ',
    ):
        assert line in text
    assert "bic_apply" not in text


def test_the_exporter_offers_the_latest_apply_that_ended(site: Site) -> None:
    with open_store(site) as store:
        for result in (RunResult.DONE, RunResult.FAILED, None):
            with hold(store.locks, [Wanted("platform")], "bic apply", 0, print) as held:
                run = begin_run(store, held, Holder.myself("bic apply"), platform="test", actor="", scope="")
                if result is None:
                    text = offered(site)
                else:
                    run.end(RunEnd(result, 5, 2, 1))
    for line in (
        "bic_apply_success 0.0",
        "bic_apply_duration_seconds ",
        'bic_apply_changes{result="done"} 5.0',
        'bic_apply_changes{result="failed"} 2.0',
        'bic_apply_changes{result="skipped"} 1.0',
        'bic_runs_total{result="done"} 1.0',
        'bic_runs_total{result="failed"} 1.0',
        'bic_runs_total{result="refused"} 0.0',
    ):
        assert line in text
    # Afterwards it counts as interrupted: nobody is at work on it any more.
    assert "bic_apply_success 0.0" in offered(site)
    assert "bic_apply_duration_seconds" not in offered(site)


def test_the_exporter_tells_how_long_work_has_waited() -> None:
    backlog = Backlog(2, 1, datetime(2026, 11, 26, 12, tzinfo=UTC))
    now = datetime(2026, 11, 26, 12, 5, tzinfo=UTC).timestamp()
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in queue_metrics(backlog, 3, now)
        for sample in metric.samples
    }
    assert found == {
        ("bic_queue_jobs", "queued"): 2,
        ("bic_queue_jobs", "running"): 1,
        ("bic_queue_oldest_wait_seconds",): 300,
        ("bic_queue_workers",): 3,
    }
    (_, wait, _) = queue_metrics(Backlog(0, 0, None), 0, now)
    assert wait.samples[0].value == 0


def test_a_store_that_cannot_be_read_is_a_failed_reading(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_text("something else " * 100)
    with pytest.raises(StoreError):
        list(StoreCollector(Site(tmp_path)).collect())  # type: ignore[arg-type]
