"""The benchmarks themselves, at a size at which their figures mean nothing: that they still run."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).with_name("bench.py")


def test_every_arm_is_measured_at_every_size_and_says_when_it_was_extrapolated() -> None:
    sizes = ["--facilities", "1", "2", "--people", "12", "--pure-people", "200"]
    done = subprocess.run(
        [sys.executable, str(BENCH), "all", *sizes, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    arms = {
        ("apply from empty", "bic apply"),
        ("apply from empty", "bare calls"),
        ("apply from empty", "client loop"),
        ("apply from empty", "iadmin loop"),
        ("plan of no change", "bic plan"),
        ("plan of no change", "plan, GenQuery1"),
        ("plan of no change", "plan, GenQuery2"),
        ("plan of no change", "bare reads, GenQuery1"),
        ("plan of no change", "bare reads, GenQuery2"),
        ("plan of no change", "client loop"),
        ("plan of no change", "iadmin loop"),
    }
    for facilities in (1, 2):
        rows = [row for row in results["rows"] if row["facilities"] == facilities]
        assert {(row["work"], row["arm"]) for row in rows} == arms
        assert all(row["requests"] > row["logins"] > 0 and row["seconds"] > 0 for row in rows)
        extrapolated = {row["arm"] for row in rows if "EXTRAPOLATED" in row["note"]}
        assert extrapolated == (set() if facilities == 1 else {"client loop", "iadmin loop"})
    assert [phase["phase"] for phase in results["phases"]][:3] == ["generate", "load", "compile"]
    assert results["failures"] == []
    assert {target["met"] for target in results["targets"]} <= {True, False}


def test_a_sync_is_measured_beside_a_client_that_asks_per_person() -> None:
    sizes = ["--facilities", "1", "--people", "12", "--teams", "4", "--changes", "4", "--sample", "5"]
    bench = BENCH.with_name("identity_bench.py")
    done = subprocess.run(
        [sys.executable, str(bench), *sizes, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    measured = {(row["work"], row["arm"]): row for row in results["rows"]}
    assert measured.keys() == {
        ("first apply", "bic apply"),
        ("first members", "bic apply"),
        *((work, arm) for work in ("nothing to do", "4 changes") for arm in ("bic sync", "per person")),
    }
    assert all(row["requests"] > 0 and row["seconds"] > 0 for row in measured.values())
    # A bounded number of requests: rights, groups, roles, people that changed, and the newest event of each.
    assert measured["nothing to do", "bic sync"]["requests"] <= 8
    assert len(results["targets"]) == 4


def test_scrapes_are_measured_beside_an_exporter_that_asks_for_each_and_collections_by_size() -> None:
    sizes = ["--facilities", "2", "--people", "12", "--teams", "4", "--objects", "100", "2000"]
    load = ["--scrapers", "2", "--scrapes", "5", "--naive-scrapes", "2", "--pause", "0"]
    bench = BENCH.with_name("exporter_bench.py")
    done = subprocess.run(
        [sys.executable, str(bench), *sizes, *load, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    scrapes = {one["arm"]: one for one in results["scrapes"]}
    assert {arm: one["scrapes"] for arm, one in scrapes.items()} == {"bic exporter": 10, "naive exporter": 4}
    assert all(0 < one["p50"] <= one["p99"] and one["peak_mib"] > 0 for one in scrapes.values())
    rows = {row["arm"]: row for row in results["rows"]}
    assert rows.keys() == {"100 data objects", "2,000 data objects"}
    # One query for the zone and three for each facility, whatever they hold.
    assert {row["requests"] - row["logins"] for row in rows.values()} == {7}
    assert len(results["targets"]) == 6


def test_an_omero_server_is_measured_beside_a_client_that_asks_per_person() -> None:
    sizes = ["--facilities", "1", "--people", "12", "--teams", "4", "--changes", "2", "--sample", "5"]
    bench = BENCH.with_name("omero_bench.py")
    done = subprocess.run(
        [sys.executable, str(bench), *sizes, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    measured = {(row["work"], row["arm"]): row for row in results["rows"]}
    assert measured.keys() == {
        ("first apply", "the control plane"),
        *(
            (work, arm)
            for work in ("nothing to do", "2 changes")
            for arm in ("the control plane", "per person")
        ),
    }
    # Not one for each of the people; a busy server is asked more than once for the list of sessions.
    nothing, changes = (
        measured[work, "the control plane"]["requests"] for work in ("nothing to do", "2 changes")
    )
    assert nothing < 12 < changes
    assert len(results["targets"]) == 4
