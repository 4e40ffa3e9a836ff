"""Rule bases as folders: what is wrong with them, how they are chained, and which server runs which."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controlplane.model import InventoryError, Platform, RuleBaseUse, Rules, Zone
from controlplane.rules.manifest import RuleBase, effective, load_rule_bases, order

Write = Callable[..., Path]

MANIFEST = """\
name: {name}
version: 1.0.0
title: A rule base
owner: national-ops
engine: irods_rule_language
{more}policy_enforcement_points: [acPreConnect]
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Makes a folder of a rule base; `more` are further lines of its manifest."""

    def make(name: str, more: str = "", manifest: str | None = None) -> Path:
        folder = tmp_path / "rules" / name
        folder.mkdir(parents=True)
        text = manifest if manifest is not None else MANIFEST.format(name=name, more=more)
        (folder / "manifest.yml").write_text(text, "utf-8")
        (folder / f"{name}.re").write_text('acPreConnect(*OUT) { *OUT = "CS_NEG_REQUIRE"; }\n', "utf-8")
        (folder / "cases.yml").write_text("cases: {}\n", "utf-8")
        return folder

    return make


def problems(folder: Path) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        load_rule_bases(folder)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def names(rule_bases: object) -> list[str]:
    return [found.name for found in cast("tuple[RuleBase, ...]", rule_bases)]


def test_a_rule_base_is_read_with_its_text_and_parameters(write: Write) -> None:
    folder = write(
        "one",
        "parameters:\n"
        "  keep: {type: duration, default: 30d, title: How long}\n"
        "  limit: {type: size, default: 2 KiB, title: How much}\n"
        "  strict: {type: boolean, default: true, title: Whether}\n",
    )
    found = load_rule_bases(folder.parent)["one"]
    assert (found.version, found.servers, found.file) == ("1.0.0", "all", folder / "one.re")
    assert found.text.startswith("acPreConnect")
    defaults = {name: parameter.default for name, parameter in found.parameters.items()}
    assert defaults == {"keep": "2592000", "limit": "2048", "strict": "true"}


def test_everything_wrong_is_told_at_once_with_its_place(write: Write) -> None:
    write("one", manifest=MANIFEST.format(name="other", more="after: [two, one, tow]\n"))
    write("two", "engine2: x\n")
    write("three", "parameters:\n  keep: {type: duration, default: 30, title: How long}\n")
    (write("four") / "four.re").unlink()
    folder = write("five")
    (folder / "manifest.yml").unlink()
    assert problems(folder.parent) == [
        "five: there is no manifest.yml; write one or remove the folder",
        "four/manifest.yml:5:9: the rules are missing: there is no file four.re beside it",
        "one/manifest.yml:1:7: the name 'other' is not the folder's; write 'one' or rename the folder",
        "one/manifest.yml:6:14: a rule base has no order relative to itself",
        "one/manifest.yml:6:19: there is no rule base 'tow'; did you mean 'two'? known: four, three, two",
        "three/manifest.yml:7:35: 30 is no default of type duration, which is a length of time, such as 30s, "
        "5m, 12h or 90d",
        "two/manifest.yml:6:1: unknown key 'engine2'; did you mean 'engine'? known keys: after, before, "
        "engine, jobs, name, owner, parameters, policy_enforcement_points, servers, title, version",
    ]


def test_a_rule_base_without_tests_is_refused(write: Write) -> None:
    folder = write("one")
    (folder / "cases.yml").unlink()
    (problem,) = problems(folder.parent)
    assert "no tests: there is no file cases.yml" in problem


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="there is no such folder of rule bases"):
        load_rule_bases(tmp_path / "rules")


def test_the_order_follows_the_manifests_and_else_the_names(write: Write) -> None:
    write("a", "after: [d]\n")
    write("b")
    write("c", "before: [b]\n")
    folder = write("d")
    assert names(order(load_rule_bases(folder.parent))) == ["c", "b", "d", "a"]


def test_an_order_matters_only_among_what_is_there(write: Write) -> None:
    write("a", "after: [b]\n")
    folder = write("b")
    found = load_rule_bases(folder.parent)
    assert names(order({"a": found["a"]})) == ["a"]


def python(write: Write, name: str, more: str = "") -> Path:
    text = MANIFEST.format(name=name, more=more).replace("irods_rule_language", "python")
    folder = write(name, manifest=text)
    (folder / f"{name}.re").rename(folder / f"{name}.py")
    return folder


def test_rule_bases_in_python_come_first(write: Write) -> None:
    write("a", "after: [z]\n")
    write("b", "before: [a]\n")
    python(write, "y", "before: [a]\n")
    folder = python(write, "z", "before: [y]\n")
    assert names(order(load_rule_bases(folder.parent))) == ["z", "y", "b", "a"]


def test_what_contradicts_that_is_told(write: Write) -> None:
    write("a", "before: [z]\n")
    python(write, "y", "jobs: {bicJob: 1h}\n")
    folder = python(write, "z", "after: [a]\n")
    found = problems(folder.parent)
    assert [line.partition(" ")[0] for line in found] == [
        f"{name}/manifest.yml:6:{column}:" for name, column in (("a", 10), ("y", 7), ("z", 9))
    ]
    assert "the delay queue carries out rules of the rule language" in found[1]
    told = "rule bases in Python come before all others, and 'a' is none"
    assert [told in line for line in found] == [True, False, True]


def test_a_circle_is_named(write: Write) -> None:
    write("a", "after: [b]\n")
    folder = write("b", "after: [a]\n")
    (problem,) = problems(folder.parent)
    assert "go round in a circle" in problem
    assert "a before b" in problem or "b before a" in problem


def platform(**uses: dict[str, Any]) -> tuple[Platform, Zone]:
    zone = SimpleNamespace(name="oneZone", catalog_provider="icat", servers=("icat", "irods1"))
    rules = Rules({name: RuleBaseUse(name, **use) for name, use in uses.items()}, 300, {})
    return cast("Platform", SimpleNamespace(rules=rules, root=Path("/inventory"))), cast("Zone", zone)


HERE: dict[str, Any] = {"zones": ("oneZone",), "parameters": {}}
ELSEWHERE: dict[str, Any] = {"zones": ("otherZone",), "parameters": {}}


def test_each_server_runs_what_belongs_on_it(write: Write) -> None:
    write("everywhere")
    write("inside", "servers: consumers\nafter: [everywhere]\n")
    write("elsewhere")
    folder = write("central", "servers: provider\n")
    found = load_rule_bases(folder.parent)
    site = platform(central=HERE, elsewhere=ELSEWHERE, everywhere=HERE, inside=HERE)
    chains = effective(site[0], found, site[1])
    assert {host: names(chain) for host, chain in chains.items()} == {
        "icat": ["central", "everywhere"],
        "irods1": ["everywhere", "inside"],
    }


def test_a_rule_base_that_is_gone_is_named(write: Write) -> None:
    found = load_rule_bases(write("one").parent)
    site = platform(two=HERE)
    with pytest.raises(InventoryError, match="there is no rule base 'two'; known: one"):
        effective(site[0], found, site[1])
