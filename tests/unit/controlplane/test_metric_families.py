"""All declared metrics: names and units by Prometheus's rules, labels that stay few, a true reference."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from controlplane.exporter.families import LABELS, Family
from controlplane.exporter.page import Format, page, pieces
from controlplane.exporter.reference import families, reference
from controlplane.systems import modules

ROOT = Path(__file__).parents[3]
FAMILIES = families(modules("metrics"))
ALL = [family for some in FAMILIES.values() for family in some]


def example(format: Format) -> bytes:
    """A page with one sample of each family."""
    found = pieces(family.of([([f"a {label}" for label in family.labels], 1.5)]) for family in ALL)
    return page([found[format]], format)


def test_every_system_that_is_measured_has_families() -> None:
    assert {"exporter", "authentik", "controlplane", "irods"} <= set(FAMILIES)
    assert all(FAMILIES.values())


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_name_and_type_follow_the_rules(family: Family) -> None:
    assert re.fullmatch(r"bic(_[a-z][a-z0-9]*)+", family.name)
    assert not family.name.endswith("_total"), "the library adds it"
    assert not re.search(r"_(ms|millis|minutes|hours|days|kb|mb|gb|percent)(_|$)", family.name), "base units"
    assert family.documentation.endswith(".")
    assert len(set(family.labels)) == len(family.labels)


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_labels_are_things_that_the_inventory_or_the_code_enumerates(family: Family) -> None:
    assert set(family.labels) <= set(LABELS)
    assert not {"user", "person", "name", "email", "path", "collection", "error"} & set(family.labels)


def test_no_label_is_explained_that_nothing_has() -> None:
    assert set(LABELS) == {label for family in ALL for label in family.labels}


def test_no_metric_is_declared_twice() -> None:
    assert len({family.name for family in ALL}) == len(ALL)


def test_promtool_finds_nothing_to_say() -> None:
    path = shutil.which("promtool")
    if path is None:
        message = "promtool is not installed: `make rule-checkers` puts it beside the other tools"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    checked = subprocess.run(
        [path, "check", "metrics"], input=example("plain"), capture_output=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_pages_are_what_parsers_of_both_formats_read() -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict
    from prometheus_client.parser import text_string_to_metric_families as plain

    exposed = {family.exposed for family in ALL}
    for parse, format in ((plain, "plain"), (strict, "openmetrics")):
        found = list(parse(example(format).decode()))  # type: ignore[arg-type]
        assert {sample.name for metric in found for sample in metric.samples} == exposed


def test_a_family_refuses_a_sample_with_other_labels() -> None:
    with pytest.raises(ValueError, match="has 1 labels, not 2"):
        Family("bic_x", "X.", ("zone",)).of([(["a", "b"], 1)])


def test_the_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/metrics.md").read_text("utf-8") == reference(FAMILIES), (
        "run: .venv/bin/bic metrics -o docs/metrics.md"
    )
