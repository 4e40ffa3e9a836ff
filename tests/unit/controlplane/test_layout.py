"""Who may know whom: pure code stays pure, and what serves all systems names none."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "controlplane"

IO_MODULES = {"irods", "httpx", "socket", "subprocess", "threading", "prometheus_client", "ansible"}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide who knows whom"
            yield node.module or ""


def files(*folders: str) -> list[Path]:
    found = [file for folder in folders for file in sorted((PACKAGE / folder).rglob("*.py"))]
    assert found
    return found


@pytest.mark.parametrize(
    "path",
    [*files("state", "model"), *sorted((PACKAGE / "systems").glob("*/desired.py"))],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_pure_code_talks_to_nothing(path: Path) -> None:
    assert not {name.partition(".")[0] for name in imports(path)} & IO_MODULES


@pytest.mark.parametrize(
    "path",
    files("state", "model", "reconcile", "health", "exporter"),
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_what_serves_all_systems_knows_none(path: Path) -> None:
    assert not [
        name for name in imports(path) if name.startswith(("controlplane.systems", "controlplane.cli"))
    ]
    if path.relative_to(PACKAGE).parts[0] != "model":
        assert not {"irods", "omero", "authentik"} & set(path.read_text("utf-8").lower().split())


@pytest.mark.parametrize("path", files("state"), ids=lambda path: path.name)
def test_the_state_knows_nothing_of_the_platform(path: Path) -> None:
    assert not [
        name
        for name in imports(path)
        if name.startswith("controlplane") and not name.startswith("controlplane.state")
    ]
