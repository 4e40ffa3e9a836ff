"""What runbooks name exists; the game day types their commands on a nation."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "harness"))

from runbooks import RUNBOOKS, UnknownCommandError, commands

PROJECT = Path(__file__).parents[3]
KNOWN = (PROJECT / "docs" / "metrics.md").read_text() + "".join(
    file.read_text() for file in (PROJECT / "monitoring" / "rules").glob("*.yml")
)


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_a_runbook_names_metrics_that_exist(page: Path) -> None:
    named = re.findall(r"`(bic_\w*[a-z]|\w+:\w+:\w+)`", page.read_text())
    assert [name for name in named if not re.search(rf"\b{name}\b", KNOWN)] == []


def test_code_of_which_nobody_knows_who_runs_it_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "Alert.md"
    page.write_text("Run `systemctl status\nUNIT`, see `bic_x`, then `frobnicate --all`.\n")
    found = commands(page)
    assert next(found) == "systemctl status UNIT"
    with pytest.raises(UnknownCommandError, match=r"Alert\.md: frobnicate --all"):
        list(found)
