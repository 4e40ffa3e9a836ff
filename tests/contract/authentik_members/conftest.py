"""A small nation with a login server, made once, and one that a test may break."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "harness"))
sys.path.insert(0, str(Path(__file__).parents[1] / "authentik_login"))

from identity_site import IdentitySite, identity_site

from controlplane.generate.nation import Nation

NATION = Nation(facilities=2, people=14, teams=4)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[IdentitySite]:
    """Servers that hold nothing of ours yet."""
    with identity_site(tmp_path, NATION) as made:
        yield made


@pytest.fixture
def settled(site: IdentitySite) -> IdentitySite:
    """A nation that was applied."""
    ran = site.bic("apply", "--yes")
    assert ran.code == 0, ran.out + ran.err
    return site
