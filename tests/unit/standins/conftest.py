"""Fixtures for the tests of the stand-ins."""

import sqlite3
from pathlib import Path

import pytest

from sandbox.standins.irods import database, install

FILES = Path(install.__file__).parent / "files"


@pytest.fixture
def layout(tmp_path):
    made = install.Layout(tmp_path)
    made.schema.parent.mkdir(parents=True)
    made.schema.write_text((FILES / "server_config.schema.json").read_text())
    made.templates.mkdir(parents=True)
    (made.templates / "core.re.template").write_text((FILES / "core.re.template").read_text())
    made.shipped_version.write_text('{"irods_version": "5.0.2", "catalog_schema_version": 12}')
    made.etc.mkdir(parents=True)
    made.run.mkdir(parents=True)
    return made


@pytest.fixture
def postgres(tmp_path, monkeypatch):
    """The file that stands for the zone's database."""
    path = tmp_path / "postgres.db"

    def connect(_settings, *, autocommit=True):
        return sqlite3.connect(
            path, isolation_level=None if autocommit else "DEFERRED", check_same_thread=False
        )

    monkeypatch.setattr(database, "connect", connect)
    return path
