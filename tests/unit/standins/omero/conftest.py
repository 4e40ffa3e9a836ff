"""Fixtures for the tests of the OMERO stand-in."""

import pytest
from omero_clients import site


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of its own for each module."""
    with site(tmp_path_factory.mktemp("omero")) as made:
        yield made


@pytest.fixture(scope="module")
def root(server):
    """Its administrator's client."""
    with server.client() as client:
        yield client
