"""Fixtures for the tests of the stand-ins."""

from pathlib import Path

import pytest

from sandbox.standins.irods import install

FILES = Path(install.__file__).parent / "files"


@pytest.fixture
def layout(tmp_path):
    made = install.Layout(tmp_path)
    made.schema.parent.mkdir(parents=True)
    made.schema.write_text((FILES / "server_config.schema.json").read_text())
    made.templates.mkdir(parents=True)
    (made.templates / "core.re.template").write_text((FILES / "core.re.template").read_text())
    made.etc.mkdir(parents=True)
    made.run.mkdir(parents=True)
    return made
