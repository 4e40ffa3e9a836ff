"""Zones over two data centres: their layouts, federation, access from elsewhere, buckets and free space."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from irods_rows import rows_of

from controlplane.generate.nation import Nation, files
from controlplane.generate.write import write_inventory
from controlplane.model import InventoryError, Platform, load_platform
from controlplane.model.facility import ZoneAccess
from controlplane.state import Action, Key, State, make_plan
from controlplane.systems.irods.contents import compile_state, join
from controlplane.systems.irods.desired import desired_state
from controlplane.systems.irods.resources import GROUP, REMOTE_ZONE, STORAGE_RESOURCE, USER

PLATFORM = """\
name: nation
title: A nation
environment: staging
domain: bic.example
data_centres:
  dc1: {title: West, city: Nantes}
  dc2: {title: South, city: Nice}
  dc3: {title: Nowhere, city: Nancy}
hosts:
  dc1-icat: {data_centre: dc1, address: 192.0.2.11, services: [postgresql, irods_catalog_provider]}
  dc1-copies: {data_centre: dc1, address: 192.0.2.12, services: [irods_catalog_consumer]}
  dc2-icat: {data_centre: dc2, address: 192.0.2.21, services: [postgresql, irods_catalog_provider]}
  dc2-copies: {data_centre: dc2, address: 192.0.2.22, services: [irods_catalog_consumer]}
  dc2-hpc: {data_centre: dc2, address: 192.0.2.23}
layout: federated
zones:
  westZone:
    catalog_provider: dc1-icat
    catalog_consumers: [dc2-copies]
    administrator: {password: {env: ADMIN}}
    federation: [southZone]
    remote_zones:
      euroZone: {host: icat.euro.example, servers: [store.euro.example], ca_file: euro.pem}
    storage_resources:
      west: {type: replication, children: [west-near, west-far]}
      west-near: {host: dc1-icat, vault: /srv/west, capacity: 9 TiB, minimum_free_space: 10 GiB}
      west-far: {type: compound, children: [west-cache, west-bucket]}
      west-cache: {host: dc2-copies, vault: /srv/west, capacity: 1 TiB, parent_context: cache, status: down}
      west-bucket:
        type: s3
        host: dc2-copies
        vault: /bic/west
        capacity: 8 TiB
        parent_context: archive
        s3: {endpoint: "s3.dc2.example:9000", region: eu-south-1, credentials: west}
        context: S3_MPU_THREADS=4
  southZone:
    catalog_provider: dc2-icat
    catalog_consumers: [dc1-copies]
    administrator: {password: {env: ADMIN}}
    federation: [westZone]
    storage_resources:
      south: {host: dc2-icat, vault: /srv/south}
"""

NANTES = """\
id: nantes
title: North
institution: University
city: Nantes
data_centre: dc1
referents:
  - {user: ref, name: Ref R, email: ref@nantes.example}
hpc_mounts:
  - {host: dc2-hpc, path: /bic/nantes, access: read}
access_from:
  - {data_centre: dc2, access: write}
storage_resources:
  nantes: {type: replication, children: [nantes-1, nantes-2]}
  nantes-1: {host: dc1-icat, vault: /srv/nantes}
  nantes-2: {host: dc2-copies, vault: /srv/nantes}
teams:
  - id: cells
    title: Cells
    pi: {user: anna, name: Anna A, email: anna@nantes.example}
    members:
      - {user: ben, name: Ben B, email: ben@nantes.example, role: contributor}
      - {user: cleo, name: Cleo C, email: cleo@nantes.example, role: collaborator}
"""

NICE = """\
id: nice
title: South
institution: University
city: Nice
data_centre: dc2
storage_resources:
  nice: {type: replication, children: [nice-1, nice-2]}
  nice-1: {host: dc2-icat, vault: /srv/nice}
  nice-2: {host: dc1-copies, vault: /srv/nice}
teams:
  - id: fish
    title: Fish
    pi: {user: anna, name: Anna A, email: anna@nantes.example}
"""


def write(folder: Path, platform: str = PLATFORM, nantes: str = NANTES) -> Path:
    (folder / "facilities").mkdir(parents=True, exist_ok=True)
    (folder / "platform.yml").write_text(platform)
    (folder / "facilities" / "nantes.yml").write_text(nantes)
    (folder / "facilities" / "nice.yml").write_text(NICE)
    return folder


@pytest.fixture
def federated(tmp_path: Path) -> Platform:
    return load_platform(write(tmp_path))


@pytest.fixture
def one_zone(tmp_path: Path) -> Platform:
    return load_platform(write(tmp_path, PLATFORM.replace("layout: federated", "layout: one_zone")))


def test_facilities_follow_the_zone_of_their_data_centre(federated: Platform) -> None:
    assert {name: facility.zone for name, facility in federated.facilities.items()} == {
        "nantes": "westZone",
        "nice": "southZone",
    }
    south, euro = federated.zones["westZone"].remote_zones
    assert (south.name, south.host, south.servers) == (
        "southZone",
        "dc2-icat.bic.example",
        ("dc1-copies.bic.example",),
    )
    assert (euro.host, euro.servers, euro.ca_file) == (
        "icat.euro.example",
        ("store.euro.example",),
        federated.root / "euro.pem",
    )


def test_one_setting_makes_the_zones_one(federated: Platform, one_zone: Platform) -> None:
    assert list(one_zone.zones) == ["westZone"]
    zone = one_zone.zones["westZone"]
    assert zone.parts == ("westZone", "southZone")
    assert zone.servers == ("dc1-icat", "dc2-copies", "dc2-icat", "dc1-copies")
    assert [remote.name for remote in zone.remote_zones] == ["euroZone"]
    assert {found.name for found in one_zone.storage_resources_of("westZone")} == {
        found.name for name in federated.zones for found in federated.storage_resources_of(name)
    }
    assert one_zone.hosts["dc2-icat"].services == ("postgresql", "irods_catalog_consumer")
    assert one_zone.hosts["dc1-icat"].services == ("postgresql", "irods_catalog_provider")


def test_a_facility_may_go_on_naming_a_zone_that_became_part_of_another(tmp_path: Path) -> None:
    platform = PLATFORM.replace("layout: federated", "layout: one_zone")
    write(tmp_path, platform, NANTES.replace("data_centre: dc1\n", "data_centre: dc1\nzone: southZone\n", 1))
    assert load_platform(tmp_path).facilities["nantes"].zone == "westZone"


def test_access_from_elsewhere_needs_nothing_in_one_zone(federated: Platform, one_zone: Platform) -> None:
    assert federated.facilities["nantes"].access_from == (ZoneAccess("southZone", "write"),)
    assert one_zone.facilities["nantes"].access_from == ()
    users = {key.name for key in desired_state(one_zone, one_zone.zones["westZone"]) if key.kind == USER}
    assert users == {"anna", "ben", "cleo", "ref"}


def test_people_reach_their_data_as_remote_users(federated: Platform) -> None:
    home = desired_state(federated, federated.zones["westZone"])
    away = desired_state(federated, federated.zones["southZone"])
    assert {key.name for key in away if key.kind == USER} == {"anna", "ben", "cleo", "ref"}
    assert {key.name for key in away if key.kind == GROUP} == {"nice", "nice-fish"}
    remote = Key(USER, "ben#southZone")
    assert home[remote].depends_on == {Key(REMOTE_ZONE, "southZone")}
    team = home[Key(GROUP, "nantes-cells")]
    assert remote in team.depends_on
    assert set(team.fields["members"]) == {
        f"{name}{zone}" for name in ("anna", "ben", "cleo") for zone in ("", "#southZone")
    }
    # Those who may write here may write from there; nobody owns anything from there.
    assert set(team.fields["acl"]) == {
        "nantes-cells:read",
        "anna:own",
        "anna#southZone:write",
        "ben:write",
        "ben#southZone:write",
    }
    assert "ref#southZone:write" in home[Key(GROUP, "nantes")].fields["acl"]


def test_reading_from_elsewhere_comes_with_the_group_alone(tmp_path: Path) -> None:
    platform = load_platform(write(tmp_path, nantes=NANTES.replace(", access: write}", "}")))
    home = desired_state(platform, platform.zones["westZone"])
    team = home[Key(GROUP, "nantes-cells")].fields
    assert "ben#southZone" in team["members"]
    assert not any("#" in entry for entry in team["acl"])


def test_a_zone_that_holds_its_remote_users_needs_nothing(federated: Platform) -> None:
    zone = federated.zones["westZone"]
    desired = desired_state(federated, zone)
    rows = rows_of(desired, zone.name)
    observed = compile_state(join(rows, zone.name, federated.name), federated.name, "rods")
    assert observed.keys() == desired.keys()
    plan = make_plan("irods/westZone", desired, observed)
    assert (plan.changes, plan.conflicts) == ((), ())


def test_access_that_ends_is_taken_away(tmp_path: Path) -> None:
    before = load_platform(write(tmp_path))
    zone = before.zones["westZone"]
    rows = rows_of(desired_state(before, zone), zone.name)
    observed = compile_state(join(rows, zone.name, before.name), before.name, "rods")
    end = re.sub(r"access_from:\n.*\n", "", NANTES)
    after = load_platform(write(tmp_path, nantes=end))
    plan = make_plan("irods/westZone", desired_state(after, after.zones["westZone"]), observed)
    changed = {change.key.name: change for change in plan.changes}
    assert set(changed) == {"nantes", "nantes-cells"}
    for change in changed.values():
        assert change.action is Action.UPDATE
        assert not any("#" in member for member in change.field("members").after)
        assert not any("#" in entry for entry in change.field("acl").after)
    assert {kept.key.name for kept in plan.kept} == {f"{n}#southZone" for n in ("anna", "ben", "cleo", "ref")}


def test_contexts_follow_from_what_the_inventory_says(federated: Platform) -> None:
    wanted = desired_state(federated, federated.zones["westZone"])

    def field(name: str, of: str) -> object:
        return wanted[Key(STORAGE_RESOURCE, name)].fields[of]

    assert field("west-near", "context") == "minimum_free_space_for_create_in_bytes=10737418240"
    assert field("west-bucket", "context") == (
        "S3_DEFAULT_HOSTNAME=s3.dc2.example:9000;S3_AUTH_FILE=/etc/irods/s3/west.keypair;"
        "S3_REGIONNAME=eu-south-1;S3_PROTO=HTTPS;ARCHIVE_NAMING_POLICY=consistent;"
        "HOST_MODE=archive_attached;S3_MPU_THREADS=4"
    )
    assert (field("west-cache", "status"), field("west-near", "status")) == ("down", "up")


def test_a_bucket_without_a_cache_stays_at_its_host(tmp_path: Path) -> None:
    text = PLATFORM.replace("        parent_context: archive\n", "").replace(
        "children: [west-cache, west-bucket]", "children: [west-cache]"
    )
    text = text.replace("type: compound", "type: passthru").replace("parent_context: cache, ", "")
    platform = load_platform(write(tmp_path, text))
    bucket = next(found for found in platform.zones["westZone"].storage_resources if found.kind == "s3")
    assert bucket.context.split(";")[5] == "HOST_MODE=cacheless_attached"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "    federation: [westZone]\n",
            "",
            "southZone]¦the federation of westZone with southZone is one-sided; name westZone under "
            "'federation' of southZone too, at platform.yml:37:3",
        ),
        (
            "federation: [westZone]",
            "federation: []",
            "southZone:¦the layout is federated, but the zone 'southZone' is federated with none of "
            "this platform; add 'federation', or make it 'layout: one_zone' at platform.yml:15:9",
        ),
        (
            "layout: federated",
            "layout: separate",
            "separate¦'separate' is not allowed for 'layout'; did you mean 'federated'? allowed: federated, "
            "one_zone",
        ),
        (
            "      south: {host: dc2-icat, vault: /srv/south}",
            "      west-near: {host: dc2-icat, vault: /srv/south}\n@one_zone",
            "west-near: {host: dc2¦the storage resource 'west-near' of zone westZone is already described at "
            "platform.yml:26:7",
        ),
        (
            "    catalog_consumers: [dc1-copies]\n",
            "    catalog_consumers: [dc1-copies]\n    port: 1300\n@one_zone",
            "1300¦the layout makes westZone and southZone one zone, whose servers have one port, "
            "and westZone has 1247",
        ),
        (
            "    federation: [westZone]\n",
            "    federation: [westZone]\n    remote_zones: {euroZone: {host: other.euro.example}}\n@one_zone",
            "euroZone: {host: other¦the layout makes westZone and southZone one zone, and the remote zone "
            "'euroZone' is described otherwise at platform.yml:23:7",
        ),
        (
            's3: {endpoint: "s3.dc2.example:9000", region: eu-south-1, credentials: west}',
            "s3: {endpoint: s3.dc2.example, region: eu-south-1}",
            "{endpoint¦the key 'credentials' is missing in 's3': the name of the access key and its "
            "secret among the secrets of the inventory (site_s3_credentials)",
        ),
        (
            '        s3: {endpoint: "s3.dc2.example:9000", region: eu-south-1, credentials: west}\n',
            "",
            "type: s3¦a storage resource of type s3 needs 's3'",
        ),
        (
            "context: S3_MPU_THREADS=4",
            "context: S3_SECRET_ACCESS_KEY=abc",
            "type: s3¦the context of a storage resource does not hold S3_SECRET_ACCESS_KEY; write it "
            "as 's3.credentials'",
        ),
        (
            "        parent_context: archive",
            "        parent_context: cache",
            "cache\n¦the storage resource 'west-bucket' is a bucket, which cannot be the cache of "
            "'west-far': a cache is of type unixfilesystem, or a tree of such",
        ),
        (
            "        capacity: 8 TiB\n",
            "        minimum_free_space: 8 TiB\n",
            "type: s3¦a storage resource of type s3 has no 'minimum_free_space'",
        ),
    ],
)
def test_a_contradiction_is_named_with_its_place(tmp_path: Path, old: str, new: str, problem: str) -> None:
    new, _, layout = new.partition("@")
    assert PLATFORM.count(old) == 1
    text = PLATFORM.replace(old, new)
    if layout:
        text = text.replace("layout: federated", f"layout: {layout}")
    assert_told(write(tmp_path, text), problem)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "data_centre: dc1\n",
            "data_centre: dc3\n",
            "dc3¦the data centre 'dc3' does not tell the zone: the catalog provider of "
            "none or of several stands there; add 'zone', one of southZone, westZone",
        ),
        (
            "{data_centre: dc2, access: write}",
            "{data_centre: dc1}",
            "dc1}¦the data of 'nantes' are in the data centre 'dc1' already; name another one",
        ),
        (
            "{data_centre: dc2, access: write}",
            "{data_centre: dc3}",
            "dc3}¦the data centre 'dc3' has no zone from which people could reach the "
            "data: no catalog provider, or several, stand there",
        ),
        (
            "{data_centre: dc2, access: write}",
            "{data_centre: dc4}",
            "dc4}¦there is no data centre 'dc4'; did you mean 'dc3'? known: dc1, dc2, dc3",
        ),
    ],
)
def test_a_facility_s_contradiction_is_named_with_its_place(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert NANTES.count(old) == 1
    assert_told(write(tmp_path, nantes=NANTES.replace(old, new)), problem)


def test_access_needs_a_federation(tmp_path: Path) -> None:
    text = PLATFORM.replace("layout: federated\n", "")
    text = text.replace("    federation: [southZone]\n", "").replace("    federation: [westZone]\n", "")
    problem = (
        "dc2, access¦the zone southZone of the data centre 'dc2' is not federated with "
        "westZone, which holds the data of 'nantes'; name it under 'federation' of both"
    )
    assert_told(write(tmp_path, text), problem)


def test_a_federation_needs_two(tmp_path: Path) -> None:
    write_inventory(tmp_path, files(Nation(2, 20, 4)))
    text = (tmp_path / "platform.yml").read_text()
    (tmp_path / "platform.yml").write_text(f"{text}layout: federated\n")
    line = len(text.splitlines()) + 1
    assert problems(tmp_path) == [
        f"platform.yml:{line}:9: the layout is federated, but there is one zone; describe the other zones "
        "under 'zones', or remove 'layout'"
    ]


def assert_told(folder: Path, expected: str) -> None:
    """A message, after what stands where it points to, is told of an inventory."""
    place, _, message = expected.partition("¦")
    told = [line.replace(f"{folder}/", "") for line in problems(folder)]
    found = [line for line in told if line.endswith(f": {message}")]
    assert found, "\n".join(told)
    name, line, column, _ = found[0].split(":", 3)
    rest = "\n".join((folder / name).read_text().splitlines()[int(line) - 1 :])
    assert rest[int(column) - 1 :].startswith(place)


def problems(folder: Path) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        load_platform(folder)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facilities=st.integers(2, 12), seed=st.integers(0, 10**6))
def test_both_layouts_hold_the_same_facilities_teams_and_people(
    tmp_path: Path, facilities: int, seed: int
) -> None:
    folder = tmp_path / f"{facilities}-{seed}"
    write_inventory(folder, files(Nation(facilities, facilities * 12, facilities * 2, zones=2, seed=seed)))
    text = (folder / "platform.yml").read_text()
    # Names must be different in the two data centres to be one zone's.
    text = re.sub(r"(dc2Zone:.*)", lambda found: found[1].replace("archive", "far-archive"), text, flags=re.S)
    platforms = []
    for layout in ("federated", "one_zone"):
        (folder / "platform.yml").write_text(f"{text}layout: {layout}\n")
        platforms.append(load_platform(folder))
    apart, together = platforms
    assert (len(apart.zones), len(together.zones)) == (2, 1)
    assert apart.people == together.people
    assert apart.facilities.keys() == together.facilities.keys()
    for name, facility in apart.facilities.items():
        other = together.facilities[name]
        assert (facility.teams, facility.referents) == (other.teams, other.referents)
        assert facility.quota == other.quota
        assert other.zone == "dc1Zone"
    for platform in platforms:
        for zone in platform.zones.values():
            hosts = {found.host for found in platform.storage_resources_of(zone.name)} - {None}
            assert hosts <= set(zone.servers)
            assert all(platform.zone_of(server) is zone for server in zone.servers)
    plans = [
        {change.key.name for zone in platform.zones.values() for change in _creations(platform, zone.name)}
        for platform in platforms
    ]
    assert plans[0] - plans[1] == {"dc1Zone", "dc2Zone"}, "but for the remote zones, the same is made"
    assert plans[1] <= plans[0]


def _creations(platform: Platform, zone: str) -> tuple:
    return make_plan(zone, desired_state(platform, platform.zones[zone]), State()).changes


GATEWAY = (
    "  dc2-gate: {data_centre: dc2, address: 192.0.2.24, services: [irods_gateway]}\nlayout: federated\n"
)


def test_a_gateway_enters_the_zone_of_its_data_centre(tmp_path: Path) -> None:
    inventory = write(tmp_path, platform=PLATFORM.replace("layout: federated\n", GATEWAY))
    for layout, zone, server in (
        ("federated", "southZone", "dc2-icat"),
        ("one_zone", "westZone", "dc2-copies"),
    ):
        text = (inventory / "platform.yml").read_text()
        (inventory / "platform.yml").write_text(re.sub("^layout: .*$", f"layout: {layout}", text, flags=re.M))
        entrance = load_platform(inventory).gateway_to("dc2-gate")
        assert entrance is not None
        assert (entrance[0].name, entrance[1].name) == (zone, server)


def test_a_gateway_without_an_irods_server_near_is_refused(tmp_path: Path) -> None:
    lost = GATEWAY.replace("data_centre: dc2", "data_centre: dc3")
    inventory = write(tmp_path, platform=PLATFORM.replace("layout: federated\n", lost))
    with pytest.raises(InventoryError, match="'dc3' has no iRODS server at which the gateway could enter"):
        load_platform(inventory)
