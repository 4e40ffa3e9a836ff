"""Every query of every dashboard and rule: it parses, and asks only for what exporters really offer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "harness"))

from queries import DASHBOARDS, QUERIES, asked, panels, rules

from controlplane.exporter.reference import families
from controlplane.systems import modules
from monitoring.dashboards.files import FOLDER, texts

PROJECT = Path(__file__).parents[3]
METRICS = PROJECT / "monitoring/metrics"
ROLES = ("authentik", "federation_proxy", "irods_server", "postgresql_backup")


def promtool() -> str:
    if path := shutil.which("promtool", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"):
        return path
    message = "promtool is not installed: `make rule-checkers` puts it beside the other tools"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def listed(file: Path) -> list[str]:
    lines = file.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


OURS = {family.exposed for some in families(modules("metrics")).values() for family in some}
RECORDED = {rule["record"] for rule in rules() if "record" in rule}
KNOWN = OURS | RECORDED | {name for file in METRICS.glob("*.txt") for name in listed(file)}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_asks_for_what_is_offered(name: str) -> None:
    found = asked(QUERIES[name])
    assert found <= KNOWN, f"nobody offers {', '.join(sorted(found - KNOWN))}"


def test_what_a_query_asks_for_is_found() -> None:
    expr = 'sum by (zone) (rate(bic_x_total{a="b c"}[5m])) / on (host) max(up) > 2 * 3600 unless on (y) z:r1h'
    assert asked(expr) == {"bic_x_total", "up", "z:r1h"}


def test_every_query_parses(tmp_path: Path) -> None:
    """As recording rules, since promtool checks nothing else; Grafana's variables are texts in quotes."""
    made = [
        {"record": f"query:{number}", "expr": expr}
        for number, expr in enumerate(dict.fromkeys(QUERIES.values()))
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": made}]}))
    checked = subprocess.run(
        [promtool(), "check", "rules", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_files_are_what_the_code_makes() -> None:
    written = {file.name: file.read_text("utf-8") for file in FOLDER.glob("*.json")}
    assert written == texts(), "run: .venv/bin/python -m monitoring.dashboards"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_whole(name: str) -> None:
    document = DASHBOARDS[name]
    variables = {variable["name"] for variable in document["templating"]["list"]}
    assert {"source", "environment"} <= variables
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(document["panels"])))
    assert used <= variables
    assert variables - used == set(), "a variable that nothing asks for"
    shown = [panel for panel in panels(document) if panel["type"] != "row"]
    assert all(panel["targets"] for panel in shown)
    assert all(panel["datasource"]["uid"] == "${source}" for panel in shown)
    everything = list(panels(document))
    assert len({panel["id"] for panel in everything}) == len(everything)
    cells: set[tuple[int, int]] = set()
    for panel in everything:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        covered = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not covered & cells, f"{panel['title']} covers another panel"
        cells |= covered


def test_variables_ask_for_what_is_offered() -> None:
    queries = [
        variable["query"]
        for document in DASHBOARDS.values()
        for variable in document["templating"]["list"]
        if variable["type"] == "query"
    ]
    metrics = {re.match(r"label_values\((\w+)", query)[1] for query in queries}  # type: ignore[index]
    assert metrics
    assert metrics <= KNOWN


def test_the_six_views_are_there() -> None:
    assert set(DASHBOARDS) == {
        f"bic-{name}.json" for name in ("overview", "facility", "zone", "quotas", "identity", "controlplane")
    }


def test_what_roles_are_said_to_write_they_write() -> None:
    code = "\n".join(
        file.read_text("utf-8", errors="ignore")
        for role in ROLES
        for file in (PROJECT / "roles" / role).rglob("*")
        if file.is_file()
    )
    for name in listed(METRICS / "textfile.txt"):
        # Names are put together from what is backed up and what is told of it.
        composed = re.fullmatch(
            r"(bic_postgresql|bic_authentik|irods)_(backup|restore_drill|quota_accounting)_(last_success_)?(.+)",
            name,
        )
        parts = [f"{composed[1]}_", composed[2], composed[4]] if composed else [name]
        assert all(part in code for part in parts), name
