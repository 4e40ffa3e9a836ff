"""A server with the role's blueprints."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "harness"))

from role_modules import load
from role_rendering import FILES, GIVEN, render

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


@pytest.fixture(scope="session")
def api(server: launcher.Running) -> Any:
    """The server's API, as the role's modules ask it."""
    return load("module_utils", "authentik_api").Api(server.url, server.token)


@pytest.fixture(scope="session")
def applied(api: Any, rendered: Path) -> None:
    """The server has applied all blueprints."""
    module = load("library", "authentik_blueprints")
    for file in FILES:
        name = next(
            line.removeprefix("  name: ")
            for line in (rendered / file).read_text().splitlines()
            if line.startswith("  name: ")
        )
        digest = hashlib.sha512((rendered / file).read_bytes()).hexdigest()
        module.apply(api, {"file": file, "name": name}, digest, 60)
