"""A Grafana that the role configured: the stand-in, or the server that `BIC_CONTRACT_GRAFANA` names."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "unit/roles"))

from grafana_site import Site, by_the_role, named


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running server."""
    if url := os.environ.get("BIC_CONTRACT_GRAFANA"):
        yield named(url)
        return
    with by_the_role(tmp_path_factory.mktemp("grafana")) as made:
        yield made
