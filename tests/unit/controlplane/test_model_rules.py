"""`policies/rules.yml`: what it becomes, and what is wrong with it."""

import re
import shutil
from pathlib import Path

import pytest

from controlplane.ansible.bic import host_variables
from controlplane.model import InventoryError, load_platform
from controlplane.model.durations import format_duration, parse_duration
from controlplane.model.rule_values import catalogue_text, type_of

MANIFEST = """\
name: raw-data
version: 1.0.0
title: Raw data
owner: national-ops
engine: irods_rule_language
policy_enforcement_points: [acPreConnect]
parameters:
  curators: {type: string, default: curators, title: Who}
  after: {type: duration, default: 1d, title: When}
"""


def rules(inventory: Path, text: str) -> None:
    (inventory / "policies" / "rules.yml").write_text(text, "utf-8")


@pytest.fixture
def inventory(inventory: Path, tmp_path: Path) -> Path:
    """The copy of the sandbox, in a clone of its own."""
    folder = tmp_path / "clone" / "inventories" / "sandbox"
    folder.parent.mkdir(parents=True)
    return Path(shutil.move(inventory, folder))


@pytest.fixture
def manifests(inventory: Path) -> None:
    """The folder of rule bases that belongs to the inventory, with one rule base."""
    folder = inventory.parent.parent / "rules" / "raw-data"
    folder.mkdir(parents=True)
    (folder / "manifest.yml").write_text(MANIFEST, "utf-8")


def problems(inventory: Path) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        load_platform(inventory)
    return [str(problem).removeprefix(f"{inventory}/") for problem in caught.value.problems]


def test_what_is_in_force_where_and_with_which_values(inventory: Path) -> None:
    rules(
        inventory,
        "rule_bases:\n  require-tls: {}\n  raw-data: {zones: [bicZone], parameters: {after: 2h, on: true}}\n"
        "rollout: {wait_for_transfers: 90s, canary: {bicZone: dc2-irods}}\n",
    )
    found = load_platform(inventory).rules
    assert found.rule_bases["require-tls"].zones == ("bicZone",)
    assert found.rule_bases["raw-data"].parameters == {"after": "7200", "on": "true"}
    assert (found.wait_for_transfers, found.canary) == (90, {"bicZone": "dc2-irods"})


def test_without_the_file_no_rule_base_is_in_force(inventory: Path) -> None:
    (inventory / "policies" / "rules.yml").unlink(missing_ok=True)
    found = load_platform(inventory).rules
    assert not found.rule_bases
    assert found.wait_for_transfers == 300


def test_unknown_zones_and_canaries_are_named(inventory: Path) -> None:
    rules(
        inventory,
        "rule_bases:\n  raw-data: {zones: [bicZon]}\n"
        "rollout: {canary: {bicZone: dc1-idp, noZone: dc2-irods}}\n",
    )
    found = problems(inventory)
    assert (
        found[0]
        == "policies/rules.yml:2:22: there is no zone 'bicZon'; did you mean 'bicZone'? known: bicZone"
    )
    assert found[1].startswith(
        "policies/rules.yml:3:29: the host 'dc1-idp' runs no server of the zone 'bicZone'"
    )
    assert found[2].startswith("policies/rules.yml:3:38: there is no zone 'noZone'")
    assert len(found) == 3


@pytest.mark.usefixtures("manifests")
def test_values_are_held_to_the_manifests(inventory: Path) -> None:
    rules(
        inventory,
        "rule_bases:\n  raw-data: {parameters: {curator: x, after: soon}}\n  raw-date: {}\n",
    )
    assert problems(inventory) == [
        "policies/rules.yml:2:27: the rule base 'raw-data' has no parameter 'curator'; did you mean "
        "'curators'? it has: after, curators",
        "policies/rules.yml:2:46: 'soon' is no value for the parameter 'after' of the rule base 'raw-data', "
        "which is a length of time, such as 30s, 5m, 12h or 90d",
        "policies/rules.yml:3:3: there is no rule base 'raw-date'; did you mean 'raw-data'? known, from the "
        "folder rules: raw-data",
    ]


@pytest.mark.usefixtures("manifests")
def test_servers_of_a_zone_get_the_engine_that_its_rule_bases_name(inventory: Path) -> None:
    rules(inventory, "rule_bases: {raw-data: {}}\n")
    assert needs_python(inventory) == {False}
    file = inventory.parent.parent / "rules" / "raw-data" / "manifest.yml"
    file.write_text(MANIFEST.replace("irods_rule_language", "python"), "utf-8")
    assert needs_python(inventory) == {True}


def needs_python(inventory: Path) -> set[bool]:
    """What Ansible is told of each server of the zone."""
    platform = load_platform(inventory)
    (zone,) = platform.zones.values()
    return {host_variables(platform, platform.hosts[name])["bic_python_rules"] for name in zone.servers}


@pytest.mark.usefixtures("manifests")
def test_a_manifest_that_is_wrong_is_told_with_the_inventory(inventory: Path) -> None:
    file = inventory.parent.parent / "rules" / "raw-data" / "manifest.yml"
    file.write_text(MANIFEST.replace("1.0.0", "one"), "utf-8")
    rules(inventory, "rule_bases: {raw-data: {parameters: {unknown: 1}}}\n")
    (problem,) = problems(inventory)
    assert "raw-data/manifest.yml:2:10: 'one' is not a version" in problem


@pytest.mark.parametrize("value", ["it's", "50 %", " text", "1.5", "[1]", "-1", "~"])
def test_a_value_that_rules_could_not_use_is_refused(inventory: Path, value: str) -> None:
    shown = f'"{value}"' if re.search("['% ]", value) else value
    rules(inventory, f"rule_bases: {{raw-data: {{parameters: {{curators: {shown}}}}}}}\n")
    (problem,) = problems(inventory)
    assert "a parameter's value is a whole number" in problem


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("curators", "string", "curators"),
        ("20 GB", "size", "20000000000"),
        ("1 KiB", "size", "1024"),
        ("30d", "duration", "2592000"),
        (7, "integer", "7"),
        (True, "boolean", "true"),
        (False, "boolean", "false"),
        ("7", "string", "7"),
    ],
)
def test_a_value_has_a_type_and_a_text_by_itself(value: str | int, kind: str, text: str) -> None:
    assert (type_of(value), catalogue_text(value)) == (kind, text)


@pytest.mark.parametrize("text", ["1s", "90s", "5m", "36h", "30d"])
def test_lengths_of_time_are_read_and_written(text: str) -> None:
    assert format_duration(parse_duration(text)) == text


@pytest.mark.parametrize("text", ["0s", "5", "5 m", "1w", "m", "1.5h", "-1s"])
def test_other_lengths_of_time_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a length of time"):
        parse_duration(text)
