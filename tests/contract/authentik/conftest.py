"""A server for the session."""

from collections.abc import Iterator

import pytest
from authentik_under_test import AuthentikServer, server_under_test


@pytest.fixture(scope="session")
def authentik(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthentikServer]:
    """The server under test, the same one for the whole session."""
    with server_under_test(tmp_path_factory.mktemp("authentik")) as server:
        yield server
