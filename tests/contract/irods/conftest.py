"""A real iRODS server when `BIC_CONTRACT_IRODS` names one, a fresh stand-in with TLS required otherwise.

The variable's value is `irods://USER:PASSWORD@HOST:PORT/ZONE?ca=/path/to/ca.crt`; without `ca` the
connection is not encrypted. The password is percent-encoded.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from facility_site import Site, facility_site
from irods.session import iRODSSession
from zone_under_test import VARIABLE, IrodsServer, named_server, open_session, standin_server


@pytest.fixture(scope="session")
def irods_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IrodsServer]:
    """The server under test, the same one for the whole session."""
    if value := os.environ.get(VARIABLE):
        yield named_server(value)
        return
    with standin_server(tmp_path_factory.mktemp("irods")) as server:
        yield server


@pytest.fixture
def irods_session(irods_server: IrodsServer) -> Callable[..., AbstractContextManager[iRODSSession]]:
    """Opens sessions with the server under test: `with irods_session() as session`, or with `user=...`."""
    return lambda **overrides: open_session(irods_server, **overrides)


@pytest.fixture
def site(irods_server: IrodsServer, tmp_path: Path) -> Iterator[Site]:
    """A facility that exists only in its files; what a test makes of it is removed afterwards."""
    if irods_server.ca_file is None:
        pytest.skip("the control plane enters a zone only over TLS, which the server under test does not use")
    with facility_site(irods_server, tmp_path) as made:
        yield made
