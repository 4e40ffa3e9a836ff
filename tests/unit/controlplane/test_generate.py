"""Synthetic nations: right, as large as asked for, the same for the same seed, all or nothing on disk."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from typer.testing import CliRunner

from controlplane.cli.main import app
from controlplane.errors import BadInputError
from controlplane.generate.nation import Nation, default_teams, files, portions
from controlplane.generate.text import yaml_text
from controlplane.generate.write import write_inventory
from controlplane.model import load_platform


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("facilities", "people", "teams", "zones"),
    [(1, 2, 1, 1), (1, 3, 2, 2), (2, 9, 3, 2), (7, 200, 40, 1), (61, 122, 61, 1), (62, 700, 62, 2)],
)
def test_every_size_loads_without_problems_and_has_what_was_asked_for(
    tmp_path: Path, facilities: int, people: int, teams: int, zones: int
) -> None:
    folder = tmp_path / "nation"
    write_inventory(folder, files(Nation(facilities, people, teams, zones)))
    platform = load_platform(folder)
    assert len(platform.facilities) == facilities
    assert len(platform.people) == people
    assert sum(len(facility.teams) for facility in platform.facilities.values()) == teams
    assert len(platform.zones) == zones
    assert all(facility.referents and facility.teams for facility in platform.facilities.values())


def test_a_whole_nation_is_shaped_like_the_real_one(tmp_path: Path) -> None:
    folder = tmp_path / "nation"
    write_inventory(folder, files(Nation(30, 8000, default_teams(30, 8000))))
    platform = load_platform(folder)
    facilities = platform.facilities.values()
    teams = [team for facility in facilities for team in facility.teams]
    memberships = Counter(person.user for team in teams for person in team.people)
    homes = Counter(person.user for facility in facilities for person in facility.people)
    assert (len(teams), len(platform.people)) == (1600, 8000)
    assert 4 <= sum(len(team.people) for team in teams) / len(teams) <= 6
    assert 0.03 < sum(count == 2 for count in memberships.values()) / 8000 < 0.12
    assert 0 < sum(count == 2 for count in homes.values()) < 200
    assert max(homes.values()) == 2
    sizes = [len(facility.people) for facility in facilities]
    assert max(sizes) > 1.5 * min(sizes)
    names = {person.name for person in platform.people.values()}
    assert any(not name.isascii() for name in names)
    assert len(names) > 3000
    assert {facility.quota is not None for facility in facilities} == {True}


def test_the_seed_decides_every_byte(tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("same", 5), ("other", 6)):
        write_inventory(tmp_path / name, files(Nation(3, 90, 18, seed=seed)))
    assert contents(tmp_path / "one") == contents(tmp_path / "same")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_names_and_addresses_are_unique_at_thousands_of_facilities() -> None:
    documents = [document for name, document in files(Nation(3750, 7500, 3750)) if name.startswith("fac")]
    addresses = {ip_address(document["buffer"]["address"]) for document in documents}
    assert len({document["id"] for document in documents}) == len(addresses) == 3750
    assert all(address in ip_network("10.0.0.0/8") for address in addresses)
    people = [
        person
        for document in documents
        for person in (*document["referents"], *(team["pi"] for team in document["teams"]))
    ]
    assert len({person["user"] for person in people}) == len({person["email"] for person in people}) == 7500


@pytest.mark.parametrize(
    "sizes",
    [(0, 10, 1, 1), (5, 9, 5, 1), (5, 20, 4, 1), (5, 20, 16, 1), (60_001, 200_000, 60_001, 1), (1, 9, 1, 3)],
)
def test_sizes_that_do_not_fit_together_are_refused(sizes: tuple[int, int, int, int]) -> None:
    with pytest.raises(BadInputError, match=r"must be|need at least"):
        Nation(*sizes)


def test_a_folder_that_holds_anything_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "nation"
    folder.mkdir()
    (folder / "mine").write_text("precious", "utf-8")
    result = CliRunner().invoke(app, ["generate", str(folder), "--facilities", "1", "--people", "5"])
    assert isinstance(result.exception, BadInputError)
    assert "is not an empty folder" in str(result.exception)
    assert contents(tmp_path) == {"nation/mine": b"precious"}


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    folder = tmp_path / "nation"
    folder.mkdir()
    result = CliRunner().invoke(app, ["generate", str(folder), "--facilities", "2", "--people", "20"])
    assert result.exit_code == 0, result.output
    assert "2 facilities, 4 teams, 20 people" in result.output
    assert set(contents(folder)) == {
        "platform.yml",
        "policies/quotas.yml",
        "facilities/nantes.yml",
        "facilities/montpellier.yml",
    }


def test_what_fails_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def broken():
        yield from list(files(Nation(1, 5, 1)))[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_inventory(tmp_path / "nation", broken())
    assert list(tmp_path.iterdir()) == []


def test_what_was_killed_in_the_middle_is_cleared_by_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "nation"
    program = "from controlplane.cli.main import main; main()"
    command = [sys.executable, "-c", program, "generate", str(folder), "-f", "3000", "-p", "200000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    unfinished = tmp_path / ".nation.unfinished"
    deadline = time.monotonic() + 30
    while not (unfinished / "facilities").is_dir() and time.monotonic() < deadline:
        time.sleep(0.01)
    # While it runs, nobody else writes there.
    with pytest.raises(BadInputError, match="another process"):
        write_inventory(folder, files(Nation(1, 5, 1)))
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not folder.exists()
    assert contents(unfinished)
    write_inventory(folder, files(Nation(1, 5, 1)))
    assert [path.name for path in tmp_path.iterdir()] == ["nation"]
    assert len(load_platform(folder).facilities) == 1


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=30)
VALUES = st.recursive(
    TEXTS | st.integers(0, 10**6) | st.booleans(),
    lambda inner: (
        st.dictionaries(st.from_regex(r"\Ax[a-z]{0,5}\Z"), inner, max_size=4)
        | st.lists(
            st.dictionaries(st.from_regex(r"\Ax[a-z]{0,5}\Z"), inner, min_size=1, max_size=3), max_size=3
        )
        | st.lists(TEXTS, max_size=3)
    ),
)


@settings(deadline=None)
@given(st.dictionaries(st.from_regex(r"\Ax[a-z]{0,5}\Z"), VALUES, min_size=1))
def test_what_is_written_is_read_back(document: dict) -> None:
    assert YAML(typ="safe", pure=True).load(yaml_text(document)) == document


@settings(deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1), st.integers(0, 1000))
def test_portions_add_up_and_keep_to_their_weights(weights: list[int], amount: int) -> None:
    parts = portions(amount, weights)
    assert sum(parts) == (amount if sum(weights) else 0)
    if amount <= sum(weights):
        assert all(part <= weight for part, weight in zip(parts, weights, strict=True))
