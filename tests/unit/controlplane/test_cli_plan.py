"""`bic plan`, `bic apply` and `bic history` as a person meets them, with systems that live in memory."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from inventory_editing import Edit
from memory import DOWN, UNREADABLE, Memory

from controlplane.cli import main
from controlplane.reconcile.port import ChangeError
from controlplane.state import Key, Resource, Scope, State
from controlplane.store import database
from controlplane.store.file_locks import FileLocks
from controlplane.store.locks import account, hold, locks_for

Bic = Callable[..., "Ran"]

USERS = tuple(f"person{number:02}" for number in range(30))


def nation() -> list[Resource]:
    """A facility with many people and a team, one with few."""
    users = [Resource(Key("user", name), {"type": "rodsuser"}, facility="nantes") for name in USERS]
    needed = frozenset(user.key for user in users)
    return [
        *users,
        Resource(Key("group", "nantes"), {"members": USERS}, needed, facility="nantes"),
        Resource(Key("user", "mimi"), {"type": "rodsuser"}, facility="montpellier"),
        Resource(
            Key("group", "montpellier-plant-roots"),
            {"members": ("mimi",), "open": False},
            frozenset({Key("user", "mimi")}),
            facility="montpellier",
            team="plant-roots",
        ),
    ]


@pytest.fixture
def systems(monkeypatch: pytest.MonkeyPatch) -> list[Memory]:
    made = [Memory(nation(), id="memory/a"), Memory(id="memory/b")]
    monkeypatch.setattr("controlplane.systems.contributions", lambda *_: iter(made))
    return made


@dataclass(frozen=True)
class Ran:
    """What a command wrote and how it ended."""

    exit_code: int
    stdout: str
    stderr: str


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def bic(embedded: Path, systems: list[Memory], monkeypatch: pytest.MonkeyPatch) -> Bic:
    """Run `bic` in this process; with `answers` there is a terminal to ask at."""

    def run(*arguments: object, answers: str | None = None) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["bic", "--inventory", str(embedded), *map(str, arguments)])
            patch.setattr(sys, "stdin", io.StringIO() if answers is None else Terminal(answers))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as end:
                main.main()
        return Ran(int(end.value.code or 0), out.getvalue(), err.getvalue())

    return run


def lines(result: Ran) -> list[str]:
    return [line.strip() for line in result.stdout.splitlines() if line.strip()]


def test_a_plan_is_read_at_a_glance(bic: Bic, systems: list[Memory]) -> None:
    result = bic("plan")
    assert result.exit_code == 2
    assert result.stdout == (
        "the memory/a\n"
        "\n"
        "  montpellier\n"
        "    + user mimi\n"
        "    team plant-roots\n"
        "      + group montpellier-plant-roots  members: mimi\n"
        "\n"
        "  nantes\n"
        "    + 30 users, 1 group\n"
        "\n"
        "the memory/b: nothing to do\n"
        "\n"
        "Plan: 33 to create.\n"
    )
    assert "\x1b" not in result.stdout
    assert "+ user person17" in lines(bic("plan", "--verbose"))
    assert systems[0].applied == []


def test_updates_are_shown_field_by_field_and_counted_when_there_are_many(
    bic: Bic, systems: list[Memory]
) -> None:
    assert bic("apply", "--yes").exit_code == 0
    world = systems[0].world
    team = Key("group", "montpellier-plant-roots")
    world[team] = replace(world[team], fields={"members": ("mimi", "other"), "open": True})
    for name in USERS:
        world[Key("user", name)] = replace(world[Key("user", name)], fields={"type": "groupadmin"})
    shown = lines(bic("plan"))
    start = shown.index("~ group montpellier-plant-roots")
    assert shown[start + 1 : start + 3] == ["members: -other", "open: yes → no"]
    assert "~ 30 users (type: 30)" in shown
    assert shown[-1] == "Plan: 31 to update."
    assert "refused: the plan would update 31 and delete 0 of 33 managed objects (94 %)" in " ".join(shown)


def test_the_document_for_machines_holds_all_of_it(bic: Bic, systems: list[Memory]) -> None:
    systems[1].unreadable = UNREADABLE
    systems[0].world[Key("user", "mimi")] = Resource(Key("user", "mimi"), {"type": "x"}, owned=False)
    result = bic("plan", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["counts"] == {"memory/a": {"create": 32, "update": 0, "adopt": 0, "delete": 0}}
    assert len(document["changes"]) == 32
    assert document["changes"][-1] == {
        "action": "create",
        "key": "memory/a/group/nantes",
        "facility": "nantes",
        "team": "",
        "fields": [{"name": "members", "before": None, "after": list(USERS)}],
        "depends_on": [f"memory/a/user/{name}" for name in USERS],
        "destroys": "",
        "retires": False,
    }
    assert [note["key"] for note in document["conflicts"]] == ["memory/a/user/mimi"]
    assert document["errors"] == [{"system": "memory/b", "error": "no answer"}]
    assert document["refused"] == []


@pytest.mark.parametrize(
    ("arguments", "created"),
    [
        (["--facility", "nantes"], 31),
        (["--team", "montpellier/plant-roots"], 2),
        (["--team", "montpellier/plant-roots", "--facility", "nantes"], 33),
        (["--system", "memory/b"], 0),
        (["--system", "memory/a", "--system", "memory/b"], 33),
    ],
)
def test_a_plan_is_narrowed_to_what_was_asked_for(bic: Bic, arguments: list[str], created: int) -> None:
    counts = json.loads(bic("plan", "--json", *arguments).stdout)["counts"]
    assert sum(of_system["create"] for of_system in counts.values()) == created


@pytest.mark.parametrize("command", ["plan", "apply", "drift"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--facility", "nante"],
            "--facility nante: the inventory has no such facility; did you mean nantes?",
        ),
        (
            ["--system", "memory/c"],
            "--system memory/c: the inventory has no such system; did you mean memory/",
        ),
        (["--team", "x"], "--team x: the inventory has no such team; known are: montpellier/plant-roots, "),
    ],
)
def test_unknown_names_are_refused(bic: Bic, command: str, arguments: list[str], message: str) -> None:
    result = bic(command, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr


def test_an_apply_asks_and_does_nothing_without_a_yes(bic: Bic, systems: list[Memory]) -> None:
    nobody = bic("apply")
    assert (nobody.exit_code, nobody.stderr) == (
        2,
        "there is nobody to ask; add --yes to make these changes\n",
    )
    no = bic("apply", answers="n\n")
    assert no.exit_code == 1
    assert "Make these 33 changes? [y/N]: Nothing was changed." in no.stdout
    assert systems[0].applied == []
    yes = bic("apply", answers="y\n")
    assert yes.exit_code == 0
    assert "done  the memory/a: 33 changes made, 0 failed" in yes.stdout
    assert bic("apply").exit_code == 0


def test_what_failed_is_named_and_alike_things_are_counted(bic: Bic, systems: list[Memory]) -> None:
    systems[0].failing = {Key("user", name): ChangeError("refused by the server") for name in USERS[:10]}
    systems[0].failing[Key("user", "mimi")] = ChangeError("it is [busy]")
    result = bic("apply", "--yes")
    assert result.exit_code == 1
    shown = lines(result)
    assert "! create 10 users: refused by the server" in shown
    assert "! create user mimi: it is [busy]" in shown
    assert "! group nantes: not attempted: user person00 was not done" in shown
    assert shown[-1].startswith("Run bic apply again when the cause is gone")
    systems[0].failing.clear()
    assert bic("apply", "--yes").exit_code == 0


def test_a_system_that_goes_down_says_how_much_was_not_attempted(bic: Bic, systems: list[Memory]) -> None:
    systems[0].failing = {key: DOWN for key in systems[0].wanted}
    result = bic("apply", "--yes")
    assert result.exit_code == 1
    assert "not attempted: the system takes no more changes: it is gone" in result.stdout


def test_limits_hold_until_a_person_says_otherwise(bic: Bic, systems: list[Memory]) -> None:
    bic("apply", "--yes")
    systems[0].wanted = State(nation()[:10])
    result = bic("apply", "--yes")
    assert result.exit_code == 1
    assert "left out  the memory/a: the plan would update 0 and delete 23 of 33" in result.stdout
    assert len(systems[0].world) == 33
    assert bic("apply", "--yes", "--exceed-limits").exit_code == 0
    assert len(systems[0].world) == 10


def test_what_many_deletions_end_is_summed_up(bic: Bic, systems: list[Memory]) -> None:
    systems[0].world = {
        (key := Key("group", f"nantes-{number:02}")): Resource(
            key, {"members": USERS[:number]}, facility="nantes"
        )
        for number in range(30)
    }
    shown = lines(bic("plan"))
    assert "- 30 groups (ends members: 435)" in shown
    assert "No data are destroyed." in shown[-1]
    assert "- group nantes-02  ends members: 2" in lines(bic("plan", "-v"))


# What destroys data.


def offboard(system: Memory, *, emptied: bool) -> None:
    """The team is gone from the inventory, and a retention rule lets its data go."""
    system.wanted = State(nation()[:-1])
    key = Key("group", "montpellier-plant-roots")
    fields = {"members": () if emptied else ("mimi",), "open": False}
    system.world[key] = replace(
        system.world[key], fields=fields, retired={"members": ()}, destroys="12 data objects, 3.0 GiB"
    )


def test_offboarding_says_what_access_ends_and_what_data_stay(bic: Bic, systems: list[Memory]) -> None:
    bic("apply", "--yes")
    offboard(systems[0], emptied=False)
    result = bic("apply", "--yes")
    assert result.exit_code == 0
    shown = lines(result)
    start = shown.index("team plant-roots")
    assert shown[start + 1 : start + 3] == [
        "~ group montpellier-plant-roots  access ends, data stay: its access ends first; "
        "the next plan deletes it",
        "members: -mimi",
    ]
    assert "Plan: 1 to update. Access to 1 object ends; the data stay." in shown


@pytest.mark.parametrize(
    ("arguments", "answers", "deleted"),
    [
        (["--yes"], None, False),
        (["--yes", "--destroy-data", "montpellier-plant-roots"], None, True),
        ([], "\n", False),
        ([], "yes\n", False),
        ([], "montpellier-plant-roots\n", True),
    ],
)
def test_data_are_destroyed_only_by_name(
    bic: Bic, systems: list[Memory], arguments: list[str], answers: str | None, deleted: bool
) -> None:
    bic("apply", "--yes")
    offboard(systems[0], emptied=True)
    result = bic("apply", *arguments, answers=answers)
    assert result.exit_code == 0, result.stdout
    assert "- group montpellier-plant-roots  destroys 12 data objects, 3.0 GiB" in result.stdout
    assert "1 deletion would destroy data: confirm each by its name." in result.stdout
    assert (Key("group", "montpellier-plant-roots") not in systems[0].world) == deleted
    kept = "group montpellier-plant-roots: kept, not confirmed: its deletion would destroy 12 data objects"
    assert (kept in result.stdout) != deleted


def test_a_name_to_destroy_that_is_not_planned_is_refused(bic: Bic, systems: list[Memory]) -> None:
    bic("apply", "--yes")
    offboard(systems[0], emptied=True)
    result = bic("apply", "--yes", "--destroy-data", "montpellier")
    assert result.exit_code == 2
    assert "destroys no data of that name; it would of: montpellier-plant-roots" in result.stderr


# Saved plans.


def test_a_saved_plan_is_applied_exactly(bic: Bic, systems: list[Memory], tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert bic("plan", "--facility", "nantes", "-o", file).exit_code == 2
    assert file.stat().st_mode & 0o777 == 0o600
    # The inventory may change: what was reviewed is what is done.
    systems[0].wanted = State([Resource(Key("user", "new"), {"type": "x"}), *nation()])
    result = bic("apply", file, "--yes")
    assert result.exit_code == 0
    assert systems[0].world.keys() == {*(Key("user", name) for name in USERS), Key("group", "nantes")}
    again = bic("apply", file, "--yes")
    assert again.exit_code == 0
    assert f"The plan of {account()}, made 2" in again.stdout
    assert "for facility nantes." in again.stdout
    assert "the memory/a: nothing to do (31 changes already there)" in again.stdout


def test_a_saved_plan_is_refused_when_the_world_has_moved(
    bic: Bic, systems: list[Memory], tmp_path: Path
) -> None:
    bic("apply", "--yes")
    world, file = systems[0].world, tmp_path / "plan.json"
    group, team = Key("group", "nantes"), Key("group", "montpellier-plant-roots")
    world[team] = replace(world[team], fields={"members": ("other",), "open": False})
    systems[0].wanted = State([*nation(), Resource(Key("user", "new"), {"type": "x"})])
    assert bic("plan", "-o", file).exit_code == 2
    world[team] = replace(world[team], fields={"members": ("other", "third"), "open": False})
    world[group] = replace(world[group], fields={"members": ()})
    world[Key("user", "new")] = Resource(Key("user", "new"), {"type": "y"})
    world[Key("user", "extra")] = Resource(Key("user", "extra"), {})
    world[Key("user", "stranger")] = Resource(Key("user", "stranger"), {}, owned=False)
    gone = world.pop(Key("user", USERS[0]))
    before = dict(world)
    result = bic("apply", file, "--yes")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "nothing was changed, because these objects are not as they were when the plan was saved:",
        "  memory/a: group montpellier-plant-roots: members: +third",
        "  memory/a: group nantes: it is not as it was",
        "  memory/a: user extra: it is new",
        "  memory/a: user new: it exists now",
        f"  memory/a: {gone.key}: it is gone",
        "Make a new plan with bic plan -o, and review it.",
    ]
    assert world == before


def test_a_saved_plan_that_was_killed_is_finished_by_itself(
    bic: Bic, systems: list[Memory], tmp_path: Path
) -> None:
    file, system = tmp_path / "plan.json", systems[0]
    bic("plan", "-o", file)

    def killed(change: Any) -> None:
        # As after a kill: the group is there, with half of its members, and nothing more is written.
        if change.key == Key("group", "nantes"):
            system.world[change.key] = Resource(change.key, {"members": USERS[:7]}, facility="nantes")
            raise ChangeError("cut off")

    system.before = killed
    assert bic("apply", file, "--yes").exit_code == 1
    system.before = lambda change: None
    result = bic("apply", file, "--yes")
    assert result.exit_code == 0, result.stdout
    assert "members: +23" in result.stdout
    assert system.world[Key("group", "nantes")].fields["members"] == USERS
    assert system.applied.count(Key("user", USERS[0])) == 1


def test_a_deletion_that_would_now_do_more_than_was_reviewed_is_refused(
    bic: Bic, systems: list[Memory], tmp_path: Path
) -> None:
    bic("apply", "--yes")
    file, key = tmp_path / "plan.json", Key("group", "montpellier-plant-roots")
    systems[0].wanted = State(nation()[:-1])
    bic("plan", "-o", file)
    empty = systems[0].world[key]
    systems[0].world[key] = replace(empty, keep="its home collection holds data")
    assert "it is not deleted any more: its home collection holds data" in bic("apply", file, "-y").stderr
    systems[0].world[key] = replace(empty, destroys="3 data objects")
    assert "its deletion would now destroy 3 data objects" in bic("apply", file, "-y").stderr
    assert key in systems[0].world


def test_what_a_saved_plan_left_out_is_said_again(bic: Bic, systems: list[Memory], tmp_path: Path) -> None:
    systems[1].unreadable = UNREADABLE
    file = tmp_path / "plan.json"
    assert bic("plan", "-o", file).exit_code == 1
    result = bic("apply", file, "--yes")
    assert result.exit_code == 1
    assert "memory/b is not in the saved plan: no answer" in result.stderr
    assert len(systems[0].applied) == 33


def test_files_that_are_no_plans_are_refused_in_one_line(
    bic: Bic, systems: list[Memory], tmp_path: Path, edit: Edit
) -> None:
    file = tmp_path / "plan.json"
    bic("plan", "-o", file)
    good = file.read_text("utf-8")
    document = json.loads(good)
    for text, message in (
        ("", "is not a plan that bic plan -o wrote, or only a part of one"),
        (good[: len(good) // 2], "or only a part of one"),
        ("[]", "is not a plan that bic plan -o wrote"),
        (json.dumps({**document, "version": 2}), "was written by a newer version of bic"),
        (good.replace("person07", "person99"), "was changed after it was written"),
        (json.dumps({**document, "plan": None}), "was changed after it was written"),
    ):
        file.write_text(text, "utf-8")
        result = bic("apply", file, "--yes")
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert message in result.stderr
    file.write_text(good, "utf-8")
    assert "leave out what narrows it" in bic("apply", file, "--adopt").stderr
    assert "cannot be read: No such file" in bic("apply", tmp_path / "none").stderr
    assert "cannot be written: No such file" in bic("plan", "-o", tmp_path / "none" / "plan").stderr
    edit("platform.yml", "name: sandbox", "name: other")
    assert "is a plan for the platform sandbox, and this is other" in bic("apply", file).stderr
    edit("platform.yml", "name: other", "name: sandbox")
    systems.pop(0)
    assert "is a plan for memory/a, which is no longer in the inventory" in bic("apply", file).stderr
    assert sorted(path.name for path in tmp_path.glob("*plan*")) == ["plan.json"]


# Locks and history.


def test_a_second_apply_says_who_is_at_work_or_waits(bic: Bic, systems: list[Memory], tmp_path: Path) -> None:
    locks = FileLocks(tmp_path / "state" / "locks")
    wanted = locks_for(Scope(facilities=frozenset({"nantes"})))
    with hold(locks, wanted, "bic apply on facility nantes", 0, print):
        result = bic("apply", "--yes", "--wait-for-lock", "0")
        assert result.exit_code == 1
        for part in ("the platform is locked by", account(), "bic apply on facility nantes, since"):
            assert part in result.stderr
        assert "--wait-for-lock SECONDS" in result.stderr
        assert bic("plan").exit_code == 2
        assert "waiting up to 1 s" in bic("apply", "--yes", "--wait-for-lock", "1").stderr
    assert systems[0].applied == []
    assert bic("apply", "--yes", "--wait-for-lock", "1").exit_code == 0


def test_the_history_tells_who_applied_what(bic: Bic, systems: list[Memory]) -> None:
    assert bic("history").stdout == "Nothing was applied yet.\n"
    systems[0].failing = {Key("user", "mimi"): ChangeError("it is busy")}
    bic("apply", "--yes")
    systems[0].failing.clear()
    bic("apply", "--yes", "--facility", "montpellier")
    header, newest, oldest = bic("history").stdout.splitlines()
    assert header.split()[:3] == ["run", "started", "(UTC)"]
    assert newest.split()[0] == "2"
    assert "bic apply on facility montpellier" in newest
    assert " failed " in oldest
    assert len(bic("history", "--limit", "1").stdout.splitlines()) == 2
    runs = json.loads(bic("history", "--json", "--facility", "nantes").stdout)
    assert [run["run"] for run in runs] == [1]
    assert (runs[0]["done"], runs[0]["failed"], runs[0]["skipped"]) == (31, 1, 1)
    detail = bic("history", "1").stdout
    assert "create user mimi: it is busy" in detail
    assert "create group montpellier-plant-roots: user mimi was not done" in detail
    document = json.loads(bic("history", "1", "--json").stdout)
    assert len(document["changes"]) == 33
    assert {change["result"] for change in document["changes"]} == {"done", "failed", "skipped"}
    missing = bic("history", "9")
    assert (missing.exit_code, "there is no run 9" in missing.stderr) == (2, True)


def test_a_store_of_a_newer_version_stops_an_apply(
    bic: Bic, systems: list[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    bic("history")
    monkeypatch.setattr(database, "HEAD", "0000")
    monkeypatch.setattr("alembic.script.ScriptDirectory.walk_revisions", lambda self: iter([]))
    result = bic("apply", "--yes")
    assert result.exit_code == 1
    assert "was used by a newer version of bic" in result.stderr
    assert systems[0].applied == []
