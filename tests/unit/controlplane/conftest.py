"""A small inventory that tests change, and databases of a PostgreSQL server."""

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from inventory_editing import Edit
from postgresql_cluster import binaries, cluster
from store_site import Site

sys.path.insert(0, str(Path(__file__).parents[2] / "harness"))

from sandbox_inventory import leave_zones

from controlplane.model.secrets import Secret

# A busy machine makes no test fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

SANDBOX = Path(__file__).parents[3] / "inventories" / "sandbox"


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sandbox's zone with its facilities and policies."""
    monkeypatch.delenv("BIC_STATE_DIR", raising=False)
    folder = tmp_path / "inventory"
    folder.mkdir()
    shutil.copy(SANDBOX / "platform.yml", folder)
    for part in ("facilities", "policies"):
        shutil.copytree(SANDBOX / part, folder / part)
    leave_zones(folder)
    return folder


@pytest.fixture
def edit(inventory: Path) -> Edit:
    """Changes one text of one file."""

    def replace(file: str, old: str, new: str) -> None:
        path = inventory / file
        text = path.read_text("utf-8")
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new, 1), "utf-8")

    return replace


@pytest.fixture
def omero(edit: Edit) -> str:
    """The host of an OMERO server in the inventory."""
    bare = "dc1-omero: {data_centre: dc1, address: 10.77.0.14"
    edit("platform.yml", bare, f"{bare}, services: [postgresql, omero_server]")
    edit("platform.yml", "zones:", "omero_servers:\n  dc1-omero: {password: {env: OMERO}}\nzones:")
    return "dc1-omero"


@pytest.fixture(scope="session")
def postgresql_socket() -> Iterator[Path]:
    """The folder of the socket of a PostgreSQL server that lives as long as the tests."""
    programs = binaries()
    if programs is None:
        if os.environ.get("CI"):
            pytest.fail("CI must test with PostgreSQL, and its programs are not in /usr/lib/postgresql")
        pytest.skip("PostgreSQL's programs are not in /usr/lib/postgresql")
    with cluster(programs) as folder:
        yield folder


@pytest.fixture
def postgresql_url(postgresql_socket: Path) -> Iterator[str]:
    """The URL of an empty database, as an inventory names it; it is dropped after the test."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(
        host=str(postgresql_socket), user="tester", dbname="postgres", autocommit=True
    ) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield f"postgresql://tester:not-needed@/{name}?host={postgresql_socket}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """What a platform says of its store: one test with each database."""
    if request.param == "sqlite":
        return Site(tmp_path / "state")
    monkeypatch.setenv("TEST_STORE", request.getfixturevalue("postgresql_url"))
    return Site(tmp_path / "state", Secret.from_environment("TEST_STORE"))


@pytest.fixture
def embedded(inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The inventory with the store in SQLite, and a state folder of its own."""
    monkeypatch.setenv("BIC_STATE_DIR", str(tmp_path / "state"))
    path = inventory / "platform.yml"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("store:")), "utf-8")
    return inventory
