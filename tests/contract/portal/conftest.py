"""A nation with a login server and a portal, made once."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "harness"))

from portal_teams_site import PortalSite, portal_site


@pytest.fixture(scope="module")
def nation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalSite]:
    """Servers that the tests of a module share."""
    with portal_site(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture
def site(nation: PortalSite) -> PortalSite:
    """The servers as a test finds them: whoever it put into a team before is out again."""
    nation.tidy()
    return nation
