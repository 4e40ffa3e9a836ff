"""A server with the role's blueprints."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "harness"))

from role_rendering import GIVEN, render

from sandbox.standins.authentik import launcher


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the blueprints; `secrets` is beside its parent."""
    return render(tmp_path_factory.mktemp("role"), GIVEN)


@pytest.fixture(scope="session")
def server(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[launcher.Running]:
    """A server that reads the blueprints."""
    with launcher.running(tmp_path_factory.mktemp("authentik"), blueprints=rendered.parent) as running:
        yield running
