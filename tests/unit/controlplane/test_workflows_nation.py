"""`bic dispatch` and `bic worker` on a nation whose zone is a stand-in."""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import workflow_worker
from memory import silent
from typer.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[2] / "harness"))

from local_zone import PASSWORD, PASSWORD_VARIABLE, Pki, make_pki, serving, write_nation

from controlplane.cli.main import app
from controlplane.generate.nation import Nation
from controlplane.model import load_platform
from controlplane.model.secrets import Secret
from controlplane.reconcile.run import plan_all
from controlplane.state import Scope
from controlplane.store import history, open_store
from controlplane.systems import planned_systems

WORKERS = ("one", "two", "three")


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    monkeypatch.setenv("BIC_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def nation(folder: Path, pki: Pki, facilities: int) -> Iterator[Path]:
    """An inventory with an empty zone that serves it."""
    with serving(folder / "zone", pki) as server:
        made = Nation(facilities=facilities, people=3 * facilities, teams=facilities)
        write_nation(folder / "inventory", made, pki.ca_file, {"bicZone": server.port})
        yield folder / "inventory"


@pytest.fixture
def small(folder: Path, pki: Pki) -> Iterator[Path]:
    yield from nation(folder, pki, 2)


@pytest.fixture
def whole(folder: Path, pki: Pki) -> Iterator[Path]:
    yield from nation(folder, pki, 30)


def bic(inventory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--inventory", str(inventory), *arguments])


def said(inventory: Path, name: str) -> str:
    file = inventory.with_name(f"{name}.log")
    return file.read_text() if file.exists() else ""


def test_without_a_server_the_work_is_done_right_here(small: Path) -> None:
    first = bic(small, "dispatch", "--json")
    assert (first.exit_code, first.stderr) == (0, "2 of 2 facilities queued\n")
    results = json.loads(first.stdout)
    assert [(item["result"], item["changed"] > 0, item["worker"]) for item in results] == [
        ("done", True, "embedded")
    ] * 2
    one = results[0]["facility"]
    again = bic(small, "dispatch", "--facility", one)
    assert again.exit_code == 0
    (line,) = again.stdout.splitlines()[1:]
    assert line.split()[:3] == [one, "unchanged", "0"]


def test_a_failure_is_named_and_gives_exit_code_1(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    failed = bic(small, "dispatch")
    assert failed.exit_code == 1
    assert failed.stdout.count("! ") == 2
    assert "iRODS zone bicZone: " in failed.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dispatch", "--facility", "nante"), "did you mean nantes?"),
        (("dispatch", "--no-wait"), "bic dispatch does the work itself"),
        (("worker",), "let bic dispatch do the work itself"),
        (("worker", "--name", "a/b"), "--name 'a/b': use 1 to 40 letters"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(
    small: Path, arguments: tuple[str, ...], message: str
) -> None:
    refused = bic(small, *arguments)
    assert message in str(refused.exception)
    assert getattr(refused.exception, "exit_code", None) == 2


def test_workers_bring_a_nation_to_an_empty_plan_though_one_dies(
    whole: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_STORE", postgresql_url)
    workflow_worker.on_server(monkeypatch.setattr)
    queued = bic(whole, "dispatch", "--no-wait")
    assert (queued.exit_code, queued.stderr) == (0, "30 of 30 facilities queued\n")
    variables = ("TEST_STORE", PASSWORD_VARIABLE, "BIC_STATE_DIR")
    environment = {variable: os.environ[variable] for variable in variables}
    processes = [
        workflow_worker.PROCESSES.Process(target=workflow_worker.command, args=(whole, environment, name))
        for name in WORKERS
    ]
    for process in processes:
        process.start()
    try:
        end = time.monotonic() + 30
        while said(whole, "one").count(": done,") < 2:
            assert time.monotonic() < end, said(whole, "one")
            time.sleep(0.05)
        processes[0].kill()
        done = bic(whole, "dispatch", "--json")
    finally:
        for process in processes:
            process.terminate()
            process.join()
    assert done.exit_code == 0, done.output
    assert "were queued or running already" in done.stderr
    assert [process.exitcode for process in processes] == [-9, 0, 0]
    assert {item["result"] for item in json.loads(done.stdout)} <= {"done", "unchanged"}
    assert all(said(whole, name).count(": done,") for name in WORKERS)
    platform = replace(load_platform(whole), store=Secret.from_environment("TEST_STORE"))
    everybody = Scope(facilities=frozenset(platform.facilities))
    outcomes = plan_all(planned_systems(platform), silent, scope=everybody)
    assert [item.plan.changes if item.plan else item.error for item in outcomes] == [()]
    with open_store(platform) as store:
        runs = history.runs(store, platform.name)
    assert {run.scope for run in runs} >= {f"facility {id}" for id in platform.facilities}
