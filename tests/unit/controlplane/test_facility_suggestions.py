"""What `bic facility new` offers follows from the inventory."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from inventory_editing import Edit

from controlplane.facility import suggest
from controlplane.model import load_platform

PRODUCTION = Path(__file__).parents[3] / "inventories" / "production"


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        (["Besançon"], "besancon"),
        (["Le Mans", "Sarthe imaging"], "le-mans"),
        (["nantes", "Œuvre d'Æther"], "oeuvre-d-aether"),
        (["3D imaging of the 7 seas"], "imaging-of-the-7-seas"),
        (["A very long name for a facility of light microscopy"], "a-very-long-name-for-a"),
        (["Pneumonoultramicroscopicsilicovolcanoconiosis"], "pneumonoultramicroscopicsilico"),
        (["東京", "!!", "42"], None),
    ],
)
def test_identifiers(titles: list[str], expected: str | None) -> None:
    assert suggest.identifier(*titles, taken={"nantes"}) == expected


def test_places_of_the_reference_nation() -> None:
    nation = load_platform(PRODUCTION)
    assert suggest.data_centre(nation, "NANTES") == "dc1"
    assert suggest.data_centre(nation, "Mulhouse") is None
    assert suggest.zone(nation, "dc2") == "dc2Zone"
    assert suggest.omero(nation, "dc2") == "dc2-omero"
    assert suggest.vault(nation, nation.zones["dc2Zone"], "dc2", "mulhouse") == suggest.Vault(
        "mulhouse-raw", "dc2-irods1", "/srv/irods/mulhouse-raw"
    )
    taken = {host.address for host in nation.hosts.values()}
    for centre in nation.data_centres:
        free = suggest.buffer_address(nation, centre)
        assert free
        assert free not in taken
        assert str(free).startswith("203.0.113.")


def test_addresses_end_before_the_broadcast_address(inventory: Path, edit: Edit) -> None:
    edit("facilities/montpellier.yml", "address: 10.77.0.22", "address: 10.77.0.254")
    edit("facilities/nantes.yml", "address: 10.77.0.21", "address: 10.77.0.253")
    nation = load_platform(inventory)
    assert suggest.buffer_address(nation, "dc1") is None
    edit("facilities/nantes.yml", "address: 10.77.0.253", "address: 10.77.0.252")
    assert suggest.buffer_address(load_platform(inventory), "dc1") == IPv4Address("10.77.0.253")


def test_without_neighbours_little_is_offered(inventory: Path) -> None:
    for facility in (inventory / "facilities").iterdir():
        facility.unlink()
    nation = load_platform(inventory)
    assert suggest.buffer_address(nation, "dc1") is None
    assert suggest.omero(nation, "dc1") is None
    assert suggest.vault(nation, nation.zones["bicZone"], "dc2", "x") == suggest.Vault(
        "x-raw", "dc2-irods", "/var/lib/irods/vaults/x-raw"
    )
