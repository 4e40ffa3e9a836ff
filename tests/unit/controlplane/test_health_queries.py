"""The queries of health, answered by Prometheus's own engine."""

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from controlplane.health.port import UnseenError
from controlplane.model import load_platform
from controlplane.systems.federation import probes as federation_probes
from controlplane.systems.host import probes as host_probes
from controlplane.systems.postgresql import probes as postgresql_probes
from controlplane.systems.prometheus.query import Sample, Watcher

SANDBOX = Path(__file__).parents[3] / "inventories" / "sandbox"

HOST = 'host="dc1-icat", instance="a:1"'
OTHER = 'host="dc2-irods", instance="b:1"'
BACKUP = "bic_postgresql_backup_last_success_timestamp_seconds"
FEED = "bic_federation_feed_state"


@dataclass(frozen=True)
class Asked(Watcher):
    """A Prometheus that keeps what it is asked."""

    queries: list[str] = field(default_factory=list)

    def samples(self, query: str) -> list[Sample]:
        self.queries.append(query)
        return []


@pytest.fixture
def promtool() -> str:
    """The path of promtool; without it these tests are skipped, but never in CI."""
    if path := shutil.which("promtool"):
        return path
    message = "promtool is not installed: `make rule-checkers` puts it beside the other tools"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.mark.parametrize(
    ("check", "series", "found"),
    [
        (
            host_probes._disks,
            {
                f'node_filesystem_avail_bytes{{{HOST}, mountpoint="/", fstype="ext4"}}': 2,
                f'node_filesystem_size_bytes{{{HOST}, mountpoint="/", fstype="ext4"}}': 10,
                f'node_filesystem_readonly{{{HOST}, mountpoint="/", fstype="ext4"}}': 0,
                f'node_filesystem_avail_bytes{{{HOST}, mountpoint="/mnt", fstype="ext4"}}': 0,
                f'node_filesystem_size_bytes{{{HOST}, mountpoint="/mnt", fstype="ext4"}}': 10,
                f'node_filesystem_readonly{{{HOST}, mountpoint="/mnt", fstype="ext4"}}': 1,
                f'node_filesystem_avail_bytes{{{HOST}, mountpoint="/run", fstype="tmpfs"}}': 0,
                f'node_filesystem_size_bytes{{{HOST}, mountpoint="/run", fstype="tmpfs"}}': 10,
                f'node_filesystem_readonly{{{HOST}, mountpoint="/run", fstype="tmpfs"}}': 0,
            },
            {f'{{{HOST}, mountpoint="/", fstype="ext4"}}': 0.2},
        ),
        (
            host_probes._clock,
            {f"node_time_seconds{{{HOST}}}": 42, f"node_time_seconds{{{OTHER}}}": 1},
            {f"{{{HOST}}}": 42},
        ),
        (
            host_probes._units,
            {
                f'node_systemd_unit_state{{{HOST}, name="a.service", state="failed"}}': 1,
                f'node_systemd_unit_state{{{HOST}, name="a.service", state="active"}}': 0,
                f'node_systemd_unit_state{{{OTHER}, name="b.service", state="failed"}}': 1,
            },
            {f'node_systemd_unit_state{{{HOST}, name="a.service", state="failed"}}': 1},
        ),
        (
            host_probes._exporters,
            {f'up{{{HOST}, job="node"}}': 1, f'up{{{OTHER}, job="node"}}': 0},
            {f'up{{{HOST}, job="node"}}': 1},
        ),
        (
            postgresql_probes._up,
            {f"pg_up{{{HOST}}}": 0, f"pg_up{{{OTHER}}}": 1},
            {f"pg_up{{{HOST}}}": 0},
        ),
        (
            federation_probes._accepted,
            {
                f'{FEED}{{{HOST}, feed="a", state="refused"}}': 1,
                f'{FEED}{{{HOST}, feed="a", state="accepted"}}': 0,
            },
            {f'{FEED}{{{HOST}, feed="a", state="refused"}}': 1},
        ),
        (
            postgresql_probes._backed_up,
            {f'{BACKUP}{{{HOST}, database="ICAT"}}': 5},
            {f'{BACKUP}{{{HOST}, database="ICAT"}}': 5},
        ),
    ],
)
def test_the_engine_answers_what_is_meant(
    tmp_path: Path,
    promtool: str,
    check: Callable[[Watcher, str], str],
    series: dict[str, float],
    found: dict[str, float],
) -> None:
    platform = load_platform(SANDBOX)
    asked = Asked(platform, platform.hosts["dc1-monitor"])
    with suppress(UnseenError):
        check(asked, "dc1-icat")
    (query,) = asked.queries
    test = {
        "interval": "30s",
        "input_series": [{"series": name, "values": str(value)} for name, value in series.items()],
        "promql_expr_test": [
            {
                "expr": query,
                "eval_time": "0s",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in found.items()],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"tests": [test]}))
    done = subprocess.run(
        [promtool, "test", "rules", tmp_path / "test.yml"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
