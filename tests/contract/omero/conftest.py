"""A real OMERO server when `BIC_CONTRACT_OMERO` names one, a fresh stand-in otherwise.

The variable's value is `omero://root:PASSWORD@HOST:PORT?ca=/path/to/ca.crt`; the password is percent-encoded.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "irods"))
sys.path.insert(0, str(Path(__file__).parents[2] / "unit/standins/omero"))

from omero_site import Site, omero_site
from omero_under_test import VARIABLE, OmeroServer, named_server, standin_server


@pytest.fixture(scope="session")
def omero_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OmeroServer]:
    """The server under test, the same one for the whole session."""
    if value := os.environ.get(VARIABLE):
        yield named_server(value)
        return
    with standin_server(tmp_path_factory.mktemp("omero")) as server:
        yield server


@pytest.fixture
def site(omero_server: OmeroServer, tmp_path: Path) -> Iterator[Site]:
    """A facility that exists only in its files."""
    with omero_site(omero_server, tmp_path) as made:
        yield made
