"""`bic facility` without a terminal: what is written, when nothing is, and that no edit is lost."""

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from inventory_editing import Edit

from controlplane.cli.main import main
from controlplane.model import load_platform

ROOT = Path(__file__).parents[3]
LYON = ["--title", "Two rivers", "--institution", "Institut du Confluent", "--city", "Lyon"]

Bic = Callable[..., "Ran"]


def command(inventory: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    keep = {name: value for name, value in os.environ.items() if not name.startswith("BIC_")}
    program = [sys.executable, "-m", "controlplane", "-i", str(inventory), "facility", *arguments]
    return program, {**keep, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def bic(inventory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bic:
    """Run `bic facility` in this process, without a terminal."""

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr("sys.argv", ["bic", "-i", str(inventory), "facility", *arguments])
        monkeypatch.setattr("sys.stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Ran(int(ended.value.code or 0), captured.out, captured.err)

    return run


def contents(inventory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in inventory.rglob("*") if path.is_file()}


def test_all_that_is_missing_is_said_at_once(inventory: Path, bic: Bic) -> None:
    before = contents(inventory)
    result = bic("new", "--no-input")
    assert result.returncode == 2
    assert result.stderr == (
        "to write the file without asking, these are missing: --title, --institution, --city, --data-centre\n"
    )
    assert contents(inventory) == before


def test_a_facility_from_options(inventory: Path, bic: Bic, omero: str) -> None:
    result = bic(
        "new",
        *LYON,
        *("--data-centre", "dc2", "--buffer-host", "buffer-lyon", "--storage-resource", "lyon-raw,,,"),
        *("--quota", "50 TiB", "--referent", "amartin", "--omero", omero),
        *("--instrument", "sted1,STED: the first,STED,/srv/landing/sted1,Abbe Works"),
        *("--hpc-mount", "dc2-hpc,/bic/lyon,read"),
        *("--team", "optics,Optics,zdupre,Zoé Dupré,zoe.dupre@lyon.example"),
        *("--member", "optics,tnguyen", "--member", "optics,opetit,collaborator"),
    )
    assert (result.returncode, result.stderr) == (
        0,
        "Next: bic facility show lyon, then bic plan --facility lyon\n",
    )
    path = inventory / "facilities" / "lyon.yml"
    assert path.read_text("utf-8").splitlines()[:2] == [
        "# yaml-language-server: $schema=../../../schemas/facility.schema.json",
        "id: lyon",
    ]
    lyon = load_platform(inventory).facilities["lyon"]
    assert (lyon.zone, lyon.data_centre, lyon.buffer) == ("bicZone", "dc2", "buffer-lyon")
    assert [(found.name, found.host, found.vault) for found in lyon.storage_resources] == [
        ("lyon-raw", "dc2-irods", "/var/lib/irods/vaults/lyon-raw")
    ]
    assert lyon.quota
    assert lyon.quota.total == 50 * 2**40
    assert lyon.instruments[0].title == "STED: the first"
    (team,) = lyon.teams
    assert [(member.person.user, member.role) for member in team.members] == [
        ("tnguyen", "contributor"),
        ("opetit", "collaborator"),
    ]


WRONG = {
    "unknown data centre": (
        ["--data-centre", "dc9"],
        "--data-centre: there is no 'dc9'; did you mean 'dc2'?",
    ),
    "bad identifier": (["--data-centre", "dc1", "--id", "Lyon 2"], "--id: 'Lyon 2' is not an identifier"),
    "taken identifier": (["--data-centre", "dc1", "--id", "nantes"], "there is already a facility 'nantes'"),
    "taken address": (
        ["--data-centre", "dc1", "--buffer-host", "b", "--buffer-address", "10.77.0.21"],
        "the address 10.77.0.21 is already used",
    ),
    "bad address": (
        ["--data-centre", "dc1", "--buffer-host", "b", "--buffer-address", "here"],
        "--buffer-address: 'here' is not an IPv4 address",
    ),
    "unknown tier": (["--data-centre", "dc1", "--quota", "huge"], "there is no tier 'huge'"),
    "two parts of three": (
        ["--data-centre", "dc1", "--hpc-mount", "dc2-hpc,/x"],
        "--hpc-mount: 'dc2-hpc,/x' has no access",
    ),
    "member of nothing": (
        ["--data-centre", "dc1", "--member", "x,tnguyen"],
        "--member: there is no team 'x'",
    ),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_nothing_is_written_from_wrong_options(
    inventory: Path, bic: Bic, options: list[str], message: str
) -> None:
    before = contents(inventory)
    result = bic("new", *LYON, *options)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert contents(inventory) == before


def test_an_edit_is_shown_checked_and_made(inventory: Path, bic: Bic) -> None:
    path = inventory / "facilities" / "nantes.yml"
    before = path.read_text("utf-8")
    path.chmod(0o640)
    dry = bic("add-member", "nantes", "neuro-imaging", "opetit", "--role", "collaborator", "--dry-run")
    assert dry.returncode == 0
    assert path.read_text("utf-8") == before
    result = bic("add-member", "nantes", "neuro-imaging", "opetit", "--role", "collaborator")
    line = (
        "      - {user: opetit, name: Olivier Petit, email: olivier.petit@nantes.example, role: collaborator}"
    )
    assert f"+{line}\n" in result.stdout
    assert f"+{line}\n" in dry.stdout
    assert path.read_text("utf-8") == f"{before}{line}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [name.name for name in path.parent.iterdir() if name.name.startswith(".")] == []
    again = bic("set", "nantes", "city=Nantes")
    assert "says this already; nothing was changed" in again.stdout


def test_an_edit_that_the_inventory_refuses_is_not_made(inventory: Path, bic: Bic) -> None:
    before = contents(inventory)
    for arguments, message in (
        (("set", "nantes", "buffer.address=10.77.0.22"), "the address 10.77.0.22 is already used"),
        (("set", "nantes", "data_centre="), "the key 'data_centre' is missing"),
        (("set", "nantes", "quota.tier=none"), "there is no tier 'none'"),
        (("set", "nantes", "city"), "'city' is not an assignment; write KEY=VALUE"),
        (("set", "nante", "city=x"), "there is no facility 'nante'; did you mean 'nantes'?"),
        (("set", "../platform", "title=x"), "'../platform' is not a facility's identifier"),
        (("set", "..", "title=x"), "there is no facility '..'"),
        (("show", "nante"), "there is no facility 'nante'; did you mean 'nantes'?"),
        (
            ("add-team", "nantes", "Bad Id", "--title", "x", "--pi", "amartin"),
            "'Bad Id' is not an identifier",
        ),
        (("add-member", "nantes", "neuro-imaging", "sbernard", "--role", "boss"), "'boss' is not a role"),
    ):
        result = bic(*arguments)
        assert result.returncode == 2, arguments
        assert message in result.stderr
        assert contents(inventory) == before


def test_problems_are_told_where_they_would_be(inventory: Path, bic: Bic) -> None:
    result = bic("set", "montpellier", "city=", "teams.plant-roots.title= ")
    assert result.returncode == 2
    where = f"{inventory}/facilities/montpellier.yml:"
    assert result.stderr
    assert all(line.startswith(where) for line in result.stderr.splitlines()), result.stderr


def test_an_edit_can_mend_a_broken_file(inventory: Path, bic: Bic, edit: Edit) -> None:
    edit("facilities/nantes.yml", "data_centre: dc1", "data_centre: dc9")
    assert [bic(name).returncode for name in ("list", "new")] == [2, 2]
    assert bic("set", "nantes", "data_centre=dc1").returncode == 0
    load_platform(inventory)


def test_a_link_stays_a_link(inventory: Path, bic: Bic, tmp_path: Path) -> None:
    path = inventory / "facilities" / "nantes.yml"
    target = tmp_path / "elsewhere.yml"
    path.rename(target)
    path.symlink_to(target)
    assert bic("set", "nantes", "title=Nantes").returncode == 0
    assert path.is_symlink()
    assert "title: Nantes\n" in target.read_text("utf-8")


@pytest.mark.parametrize("moment", ["os.fsync", "pathlib.Path.replace"])
def test_a_killed_edit_leaves_the_old_file(inventory: Path, bic: Bic, moment: str) -> None:
    path = inventory / "facilities" / "nantes.yml"
    before = path.read_bytes()
    program, environment = command(inventory, "set", "nantes", "title=Killed")
    die = f"import os, pathlib; {moment} = lambda *a: os.kill(os.getpid(), 9)"
    start = f"{die}; import sys; sys.argv = {program[2:]!r}; from controlplane.cli.main import main; main()"
    killed = subprocess.run([sys.executable, "-c", start], env=environment, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    load_platform(inventory)
    assert bic("set", "nantes", "title=Alive").returncode == 0
    assert "title: Alive\n" in path.read_text("utf-8")
    assert sorted(found.name for found in path.parent.iterdir()) == ["montpellier.yml", "nantes.yml"]


def test_two_edits_at_once_are_both_made(inventory: Path) -> None:
    people = [f"p{number},Person {number},p{number}@nantes.example" for number in range(4)]
    running = []
    for person in people:
        program, environment = command(inventory, "add-member", "nantes", "neuro-imaging", person)
        running.append(
            subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        )
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    team = load_platform(inventory).facilities["nantes"].teams[1]
    assert {f"p{number}" for number in range(4)} < {member.person.user for member in team.members}


def test_a_facility_needs_a_zone(inventory: Path, bic: Bic) -> None:
    platform = inventory / "platform.yml"
    platform.write_text(platform.read_text("utf-8").partition("\nzones:")[0], "utf-8")
    platform.write_text(
        re.sub(r", irods_catalog_\w+|irods_catalog_\w+(, )?", "", platform.read_text("utf-8")), "utf-8"
    )
    for facility in (inventory / "facilities").iterdir():
        facility.unlink()
    result = bic("new", *LYON, "--data-centre", "dc1", "--zone", "bicZone")
    assert (result.returncode, result.stderr) == (
        2,
        "platform.yml describes no zone yet, and a facility's data need one; add it first\n",
    )


def test_list_and_show(bic: Bic) -> None:
    listed = bic("list").stdout.splitlines()
    assert listed[0].split() == [
        "facility",
        "name",
        "city",
        "data",
        "centre",
        "zone",
        "teams",
        "people",
        "quota",
        "own",
        "storage",
    ]
    assert listed[2].split()[:5] == ["nantes", "Nantes", "light", "microscopy", "facility"]
    assert [facility["id"] for facility in json.loads(bic("list", "--json").stdout)] == [
        "montpellier",
        "nantes",
    ]
    shown = bic("show", "nantes").stdout
    for part in ("/bicZone/home/nantes-cell-dynamics", "Olivier Petit", "buffer-nantes", "10.77.0.21"):
        assert part in shown
    facts = json.loads(bic("show", "nantes", "--json").stdout)
    assert facts["teams"][0]["members"][1] == {
        "user": "opetit",
        "name": "Olivier Petit",
        "email": "olivier.petit@nantes.example",
        "role": "collaborator",
    }
