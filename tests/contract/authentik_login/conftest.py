"""A fresh stand-in for the session, and a browser for each test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "harness"))

from login_browser import Browser
from login_site import Site

from sandbox.standins.authentik.launcher import running


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running server."""
    with running(tmp_path_factory.mktemp("authentik")) as server:
        yield Site(server)


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Somebody's browser."""
    made = Browser()
    yield made
    made.close()
