"""What the inventory's files must agree on, across all of them."""

from datetime import date
from pathlib import Path
from urllib.parse import quote

import pytest
from inventory_editing import Edit
from typer.testing import CliRunner

from controlplane.cli.main import app
from controlplane.model import InventoryError, RemoteZone, RetentionRule, load_platform
from controlplane.model.secrets import Secret

PLATFORM = "platform.yml"
NORD = "facilities/nord.yml"
SUD = "facilities/sud.yml"
QUOTAS = "policies/quotas.yml"
RETENTION = "policies/retention.yml"

# Everything that the files can say, with no mistake in it.
FILES = {
    PLATFORM: """\
name: nation
title: A nation
environment: staging
domain: bic.example
store: {host: icat1, password: {env: STORE}}
identity: {url: "https://login.bic.example", token: {file: "{state_dir}/secrets/token"}}
data_centres:
  dc1: {title: One, city: Nantes}
hosts:
  icat1: {data_centre: dc1, address: 192.0.2.11, services: [postgresql, irods_catalog_provider]}
  node1: {data_centre: dc1, address: 192.0.2.12, services: [irods_catalog_consumer]}
  icat2: {data_centre: dc1, address: 192.0.2.13, services: [irods_catalog_provider]}
  omero: {data_centre: dc1, address: 192.0.2.14, services: [postgresql, authentik, omero_server]}
  hpc: {data_centre: dc1, address: 192.0.2.15}
omero_servers: {omero: {password: {env: IMAGES}}}
buffers: {key_file: "{state_dir}/key"}
zones:
  oneZone:
    catalog_provider: icat1
    catalog_consumers: [node1]
    federation: [twoZone]
    remote_zones:
      partnerZone: {host: icat.partner.example, port: 1300}
    administrator: {password: {env: ONE}}
    storage_resources:
      raw: {type: replication, children: [raw1, raw2]}
      raw1: {host: icat1, vault: /srv/raw, capacity: 100 TiB, context: "free_space=1"}
      raw2: {host: node1, vault: /srv/raw, capacity: 100 TiB}
      tape: {type: compound}
      tape-cache: {host: icat1, vault: /srv/tape/cache, parent: tape, parent_context: cache, capacity: 1 TiB}
      tape-archive:
        {host: icat1, vault: /srv/tape/archive, parent: tape, parent_context: archive, capacity: 9 TiB}
  twoZone:
    catalog_provider: icat2
    federation: [oneZone]
    administrator: {password: {env: TWO}}
    storage_resources:
      other: {host: icat2, vault: /srv/other}
""",
    NORD: """\
id: nord
title: North
institution: University of the North
city: Lille
data_centre: dc1
zone: oneZone
quota: {tier: standard}
buffer: {host: buffer-nord, address: 192.0.2.21}
instruments:
  - {id: spim1, title: SPIM, modality: light-sheet, manufacturer: Optic, landing_zone: /srv/landing/spim1}
  - {id: spim2, title: SPIM, modality: light-sheet, landing_zone: /srv/landing/spim2}
  - {id: old, title: Old one, modality: confocal}
hpc_mounts:
  - {host: hpc, path: /bic/nord, access: read}
omero: {host: omero}
storage_resources:
  nord: {type: random, parent: raw}
  nord-a: {host: icat1, vault: /srv/nord, capacity: 40 TiB, parent: nord}
teams:
  - id: cells
    title: Cells
    pi: {user: anna, name: Anna A, email: anna@nord.example}
    members:
      - {user: ben, name: Ben B, email: ben@nord.example, role: contributor}
    omero: true
  - id: roots
    title: Roots
    pi: {user: ben, name: Ben B, email: ben@nord.example}
    quota: {tier: small}
    members_from: roots of the north
""",
    SUD: """\
id: sud
title: South
institution: University of the South
city: Nice
data_centre: dc1
zone: oneZone
quota: {storage_resources: {sud-a: 20 TiB, raw1: 10 TiB}}
storage_resources:
  sud-a: {host: node1, vault: /srv/sud, capacity: 30 TiB}
teams:
  - id: fish
    title: Fish
    pi: {user: cleo, name: Cleo C, email: cleo@sud.example}
    quota: {storage_resources: {sud-a: 5 TiB}}
  - id: birds
    title: Birds
    pi: {user: cleo, name: Cleo C, email: cleo@sud.example}
    quota: {total: 500 GB}
  - id: stones
    title: Stones
    pi: {user: cleo, name: Cleo C, email: cleo@sud.example}
""",
    QUOTAS: "tiers: {standard: {facility: 200 TiB, team: 20 TiB}, small: {facility: 2 TiB, team: 1 TiB}}\n",
    "policies/limits.yml": "{share_percent: 25, objects: 5}\n",
    RETENTION: """\
offboarded:
  - {facility: nord, team: gone, delete_data_from: 2027-06-30, reason: the team moved}
  - {facility: west, delete_data_from: 2028-01-01, reason: closed}
""",
}


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An inventory that says everything that can be said."""
    monkeypatch.delenv("BIC_STATE_DIR", raising=False)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def problems(folder: Path) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        load_platform(folder)
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


def test_everything_is_read(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = load_platform(inventory)
    assert platform.store is not None
    monkeypatch.setenv("STORE", "a/b@c")
    authority = quote(str(platform.state_dir / "pki" / "ca.crt"), safe="")
    assert platform.store.reveal() == (
        f"postgresql://bic:a%2Fb%40c@192.0.2.11/bic?sslmode=verify-full&sslrootcert={authority}"
    )
    assert platform.identity is not None
    assert platform.identity.token == Secret.from_file(str(platform.state_dir / "secrets" / "token"))
    assert (platform.limits.share, platform.limits.objects) == (0.25, 5)
    assert platform.retention == (
        RetentionRule("nord", "gone", date(2027, 6, 30), "the team moved"),
        RetentionRule("west", None, date(2028, 1, 1), "closed"),
    )
    assert platform.zones["oneZone"].remote_zones == (
        RemoteZone("twoZone", "icat2.bic.example", 1247),
        RemoteZone("partnerZone", "icat.partner.example", 1300),
    )
    resources = {resource.name: resource for resource in platform.storage_resources_of("oneZone")}
    assert list(resources) == [
        *("raw", "raw1", "raw2", "tape", "tape-cache", "tape-archive", "nord", "nord-a", "sud-a")
    ]
    assert {name: resource.parent for name, resource in resources.items() if resource.parent} == {
        "raw1": "raw",
        "raw2": "raw",
        "tape-cache": "tape",
        "tape-archive": "tape",
        "nord": "raw",
        "nord-a": "nord",
    }
    assert resources["raw1"].context == "free_space=1"
    assert resources["raw1"].capacity == 100 * 1024**4
    assert resources["tape-cache"].parent_context == "cache"
    assert (resources["raw"].host, resources["raw"].vault, resources["raw"].facility) == (None, None, "")
    assert resources["nord-a"].facility == "nord"
    nord, sud = platform.facilities["nord"], platform.facilities["sud"]
    assert nord.quota is not None
    assert nord.quota.total == 200 * 1024**4
    assert nord.omero_host == "omero"
    server = platform.omero_servers["omero"]
    assert (server.port, server.database_host, server.password) == (4064, "omero", Secret("env", "IMAGES"))
    assert platform.buffers is not None
    assert platform.buffers.key == platform.state_dir / "key"
    assert [instrument.landing_zone for instrument in nord.instruments] == [
        "/srv/landing/spim1",
        "/srv/landing/spim2",
        None,
    ]
    assert [(mount.host, mount.path, mount.access) for mount in nord.hpc_mounts] == [
        ("hpc", "/bic/nord", "read")
    ]
    cells, roots = nord.teams
    assert cells.quota is not None
    assert cells.quota.total == 20 * 1024**4, "the team of a facility with a tier has the tier's quota"
    assert roots.quota is not None
    assert roots.quota.total == 1024**4
    assert (cells.omero, cells.members_from) == (True, None)
    assert (roots.omero, roots.members_from, roots.members) == (False, "roots of the north", ())
    assert cells.members[0].person is roots.pi, "a person is one object"
    assert sud.quota is not None
    assert dict(sud.quota.storage_resources) == {"sud-a": 20 * 1024**4, "raw1": 10 * 1024**4}
    assert sud.teams[1].quota is not None
    assert sud.teams[1].quota.total == 500 * 1000**3
    assert sud.teams[2].quota is None


@pytest.mark.parametrize(
    "mistake",
    [
        (
            PLATFORM,
            "federation: [twoZone]",
            "federation: [oneZone]",
            "oneZone]",
            "cannot be federated with itself",
        ),
        (PLATFORM, "federation: [twoZone]", "federation: [twoZome]", "twoZome]", "did you mean 'twoZone'?"),
        (PLATFORM, "federation: [twoZone]", "federation: [twoZone, twoZone]", "twoZone]", "is listed twice"),
        (PLATFORM, "federation: [twoZone]", "federation: []", "oneZone]", "is one-sided; name twoZone under"),
        (PLATFORM, "partnerZone:", "oneZone:", "oneZone: {host: icat", "has the name of the zone itself"),
        (
            PLATFORM,
            "partnerZone:",
            "twoZone:",
            "twoZone: {host: icat",
            "is one of this platform; name it under 'federation'",
        ),
        (
            PLATFORM,
            "omero_servers: {omero:",
            "omero_servers: {omeri:",
            "omeri: {password",
            "there is no host 'omeri'; did you mean 'omero'?",
        ),
        (
            PLATFORM,
            "omero_servers: {omero: {password: {env: IMAGES}}}",
            "",
            "[postgresql, auth",
            "nothing says how",
        ),
        (
            PLATFORM,
            "{password: {env: IMAGES}}",
            "{password: {env: IMAGES}, database_host: node1}",
            "node1}}",
            "the host 'node1' does not have the service postgresql; add it at",
        ),
        (
            NORD,
            "omero: {host: omero}",
            "omero: {host: hpc}",
            "hpc}",
            "the host 'hpc' does not have the service omero_server; add it at",
        ),
        (PLATFORM, "  omero:", "  localhost:", "localhost: {data_cen", "a host cannot be named 'localhost'"),
        (
            PLATFORM,
            "[raw1, raw2]",
            "[raw1, raw9]",
            "raw9]}",
            "there is no storage resource 'raw9'; did you mean",
        ),
        (PLATFORM, "[raw1, raw2]", "[raw1, raw1]", "raw1]}", "the child 'raw1' is listed twice"),
        (PLATFORM, "[raw1, raw2]", "[raw1, nord-a]", "nord-a]}", "write 'parent: raw' there instead"),
        (
            PLATFORM,
            "tape: {type: compound",
            "tape: {type: random, children: [raw1]",
            "raw1]}",
            "child of 'raw'",
        ),
        (PLATFORM, "raw, capacity: 100 TiB}", "raw, parent: tape}", "raw2]}", "its parent is 'tape'"),
        (
            PLATFORM,
            "type: replication, c",
            "type: replication, parent: tape, c",
            "raw: {type: replicat",
            "child of 'tape', which is compound; add",
        ),
        (
            PLATFORM,
            "tape: {type: compound}",
            "tape: {type: compound, parent: nord}",
            "nord}",
            "belongs to the faci",
        ),
        (
            PLATFORM,
            "tape: {type: compound}",
            "tape: {type: compound, parent: raw1}",
            "raw1}",
            "has no children",
        ),
        (
            PLATFORM,
            "tape: {type: compound}",
            "tape: {type: compound, parent: other}",
            "other}",
            "in the zone twoZone",
        ),
        (
            PLATFORM,
            "tape: {type: compound}",
            "tape: {type: compound, parent: tape}",
            "tape: {type: compoun",
            "tape → tape",
        ),
        (
            PLATFORM,
            "tape: {type: compound}",
            "tape: {type: replication}",
            "cache, capacity: 1 ",
            "only a child of a compound",
        ),
        (
            PLATFORM,
            "tape: {type: compound}",
            "tape: {type: unixfilesystem}",
            "{type: unixfilesyste",
            "unixfilesystem needs 'host' and 'vault'",
        ),
        (
            PLATFORM,
            ", parent_context: cache",
            "",
            "tape-cache: {host: i",
            "add 'parent_context', cache or archive",
        ),
        (
            PLATFORM,
            "parent_context: cache",
            "parent_context: archive",
            "tape: {type: compoun",
            "and has archive, archive",
        ),
        (
            PLATFORM,
            "{type: compound}",
            "{type: passthru}",
            "tape: {type: passthr",
            "has one child, and has 2",
        ),
        (
            PLATFORM,
            "{type: compound}",
            "{type: compound, host: icat1}",
            "{type: compound, hos",
            "coordinates its children and has",
        ),
        (PLATFORM, "{host: node1, vault: /srv/raw", "{host: node1", "{host: node1, capaci", "needs 'vault'"),
        (
            PLATFORM,
            "{host: node1, vault",
            "{children: [raw1], host: node1, vault",
            "{children: [raw1], h",
            "has no 'children'",
        ),
        (
            PLATFORM,
            "/srv/tape/archive",
            "/srv/tape/cache/archive",
            "/srv/tape/cache/arch",
            "overlaps /srv/tape/cache",
        ),
        (PLATFORM, "/srv/tape/archive", "/srv", "/srv, parent: tape", "overlaps /srv/raw on the same host"),
        (
            PLATFORM,
            "raw2: {host: node1",
            "raw2: {host: icat2",
            "icat2, vault: /srv/r",
            "not a server of the zone oneZone",
        ),
        (
            PLATFORM,
            "capacity: 100 TiB, c",
            "capacity: 100, c",
            "100, context",
            "'capacity' must be text",
        ),
        (
            PLATFORM,
            "capacity: 100 TiB, c",
            "capacity: 100 T, c",
            "100 T, context",
            "write a number and a unit",
        ),
        (PLATFORM, "capacity: 100 TiB, c", "capacity: 9000 PiB, c", '9000 PiB, context: "', "is not a size"),
        (PLATFORM, 'space=1"', 'in_bytes"', '"free_', "is not a context"),
        (
            PLATFORM,
            "identity:",
            "identity: null\n#",
            "roots of the north",
            "add 'identity' there, or write the members here",
        ),
        (
            PLATFORM,
            "https://login",
            "http://login",
            '"http://login.bic.ex',
            "is not the address of a service",
        ),
        (
            NORD,
            "host: hpc",
            "host: hpd",
            "hpd, path: /bic/nord",
            "there is no host 'hpd'; did you mean 'hpc'?",
        ),
        (NORD, "access: read", "access: rw", "rw}", "allowed: read, write"),
        (
            NORD,
            "omero: {host: omero}",
            "omero: {host: omeri}",
            "omeri}",
            "there is no host 'omeri'; did you mean",
        ),
        (NORD, "omero: {host: omero}", "", "true", "but the facility has no OMERO"),
        (
            NORD,
            "id: spim2",
            "id: spim1",
            "spim1, title: SPIM, ",
            "the instrument 'spim1' is already described at",
        ),
        (
            NORD,
            "landing/spim2",
            "landing/spim1",
            "/srv/landing/spim1}",
            "the landing zone /srv/landing/spim1 overlaps",
        ),
        (
            NORD,
            "landing/spim2",
            "landing/spim1/x",
            "/srv/landing/spim1/x",
            "overlaps /srv/landing/spim1 on this facility's buf",
        ),
        (
            NORD,
            "buffer: {host: buffer-nord, address: 192.0.2.21}",
            "",
            "/srv/landing/spim1}",
            "the facility has no buffer server",
        ),
        (
            NORD,
            "parent: raw}",
            "parent: rwa}",
            "rwa}",
            "there is no storage resource 'rwa'; did you mean 'raw'?",
        ),
        (NORD, "parent: raw}", "parent: sud-a}", "sud-a}", "belongs to the facility 'sud'"),
        (
            NORD,
            "tier: standard",
            "tier: standart",
            "standart}",
            "there is no tier 'standart'; did you mean 'standard'",
        ),
        (
            NORD,
            "tier: standard",
            "total: 400 TiB",
            "400 TiB}",
            "is above the 250 TiB that the facility's storage res",
        ),
        (
            SUD,
            "total: 500 GB",
            "total: 31 TiB",
            "31 TiB}",
            "is above the 30 TiB that the facility's storage resources hold: sud-a",
        ),
        (
            NORD,
            "tier: standard",
            "total: 500 GB",
            "{tier: small}",
            "1 TiB, is above all its facility may keep",
        ),
        (
            NORD,
            "quota: {tier: small}",
            "quota: {total: 201 TiB}",
            "{total: 201 TiB}",
            "the quota of the team 'roots', 201 TiB",
        ),
        (
            NORD,
            "quota: {tier: small}",
            "quota: {total: 1 TiB, tier: small}",
            "{total: 1 TiB, tier:",
            "exactly one of 'tier'",
        ),
        (
            NORD,
            "quota: {tier: small}",
            "members: [{user: d, name: D, email: d@x.example, role: contributor}]",
            "id: roots",
            "either 'members' or 'members_from'",
        ),
        (SUD, "raw1: 10 TiB", "raw: 10 TiB", "raw: 10 TiB}}", "'raw' coordinates others (type replication)"),
        (SUD, "raw1: 10 TiB", "nord-a: 10 TiB", "nord-a: 10 TiB}}", "belongs to the facility 'nord'"),
        (SUD, "raw1: 10 TiB", "other: 10 TiB", "other: 10 TiB}}", "there is no storage resource 'other'"),
        (
            SUD,
            "raw1: 10 TiB",
            "raw1: 101 TiB",
            "101 TiB}}",
            "the quota of 101 TiB is above the 100 TiB that 'raw1'",
        ),
        (
            SUD,
            "sud-a: 5 TiB",
            "sud-a: 21 TiB",
            "21 TiB}}",
            "is above what its facility may keep on 'sud-a', 20 TiB",
        ),
        (SUD, "sud-a: 5 TiB", "sud-a: 31 TiB", "31 TiB}}", "is above the 30 TiB that 'sud-a' holds"),
        (
            SUD,
            "city: Nice",
            "city: Nice\nhpc_mounts: [{host: hpc, path: /bic/nord, access: read}]",
            "/bic/nord, access: r",
            "the folder /bic/nord of the host 'hpc' is already mounted at ",
        ),
        (
            QUOTAS,
            "team: 20 TiB",
            "team: 201 TiB",
            "201 TiB}, small: {fa",
            "may keep more (201 TiB) than its whole facility",
        ),
        (QUOTAS, "tiers:", "tier:", "tier: {standard: {fa", "unknown key 'tier'; did you mean 'tiers'?"),
        ("policies/limits.yml", "25", "125", "125, objects: 5}", "'share_percent' is out of range"),
        (
            RETENTION,
            "team: gone",
            "team: cells",
            "cells, delete_data_f",
            "the team 'cells' of 'nord' is in the inventory, at ",
        ),
        (RETENTION, "west", "sud", "sud, delete_data_fro", "the facility 'sud' is in the inventory, at "),
        (
            RETENTION,
            "west",
            "nord, team: gone",
            "nord, team: gone, de",
            "already a rule for the team 'gone' of 'nord' at ",
        ),
        (RETENTION, "2027-06-30", "2027-06-31", "2027-06-31, reason: ", "is not a date, such as 2027-06-30"),
        (RETENTION, "2027-06-30", "30.6.2027", "30.6.2027, reason: t", "is not a date, such as 2027-06-30"),
    ],
)
def test_a_disagreement_is_named_with_its_place(
    inventory: Path, edit: Edit, mistake: tuple[str, str, str, str, str]
) -> None:
    """Of a mistake: the file, old and new text, what stands where the message points to, the message."""
    file, old, new, place, expected = mistake
    edit(file, old, new)
    lines = problems(inventory)
    found = [line.split(":", 3) for line in lines if expected in line]
    assert found, "\n".join(lines)
    name, line, column, _ = found[0]
    text = (inventory / name).read_text("utf-8").splitlines()[int(line) - 1]
    assert text[int(column) - 1 :].startswith(place)


def test_a_known_mistake_does_not_hide_others_and_makes_no_new_ones(inventory: Path, edit: Edit) -> None:
    edit(PLATFORM, "address: 192.0.2.15", "address: 192.0.2.515")  # hpc, which a facility names
    edit(PLATFORM, "type: replication", "type: mirror")  # raw, the parent of others
    edit(NORD, "title: North", "titel: North")
    edit(NORD, "host: omero", "host: omeri")
    edit(NORD, "title: SPIM, modality", "title: SPIM, origin: x, modality")
    edit(NORD, "landing/spim2", "landing/spim1")
    edit(SUD, "data_centre: dc1", "data_centre: dc2")
    edit(QUOTAS, "team: 20 TiB", "team: much")  # the tier that a facility names
    assert problems(inventory) == [
        "facilities/nord.yml:1:1: the key 'title' is missing: the name that people read",
        "facilities/nord.yml:2:1: unknown key 'titel'; did you mean 'title'? known keys: access_from, "
        "buffer, city, data_centre, hpc_mounts, id, institution, instruments, omero, quota, referents, "
        "storage_resources, teams, title, zone",
        "facilities/nord.yml:10:30: unknown key 'origin'; known keys: id, landing_zone, manufacturer, "
        "modality, title",
        "facilities/nord.yml:11:67: the landing zone /srv/landing/spim1 overlaps /srv/landing/spim1 on this "
        "facility's buffer server, given at facilities/nord.yml:10:99",
        "facilities/nord.yml:15:15: there is no host 'omeri'; did you mean 'omero'? known: icat1, icat2, "
        "node1, omero",
        "facilities/sud.yml:5:14: there is no data centre 'dc2'; did you mean 'dc1'? known: dc1",
        "platform.yml:14:36: '192.0.2.515' is not an IPv4 address, such as 10.0.0.11",
        "platform.yml:26:19: 'mirror' is not allowed for 'type'; allowed: compound, deferred, passthru, "
        "random, replication, s3, unixfilesystem",
        "policies/quotas.yml:1:45: 'much' is not a size: write a number and a unit, such as 20 TiB or 500 GB",
    ]


def test_a_list_without_its_wrong_items_keeps_the_places_of_the_others(inventory: Path, edit: Edit) -> None:
    edit(NORD, "- {id: spim1", "- {id: SPIM")
    edit(NORD, "id: old, title", "id: spim2, title")
    assert [line.split(":")[1:3] for line in problems(inventory)] == [["10", "10"], ["12", "10"]]


def test_policies_that_nobody_reads_are_refused(inventory: Path) -> None:
    (inventory / "policies" / "quota.yml").touch()
    (inventory / "policies" / "README.md").touch()
    assert problems(inventory) == [
        f"policies/{name}: this is no file of policies; {hint}"
        "known files: limits.yml, quotas.yml, retention.yml, rules.yml"
        for name, hint in (("README.md", ""), ("quota.yml", "did you mean 'quotas.yml'? "))
    ]


def test_check_says_what_the_inventory_holds(inventory: Path) -> None:
    result = CliRunner().invoke(app, ["--inventory", str(inventory), "check"])
    assert result.exit_code == 0, result.exception
    assert result.stdout.splitlines() == [
        "ok  A nation (nation)",
        "    data centres: 1, hosts: 6, zones: 2, storage resources: 10, facilities: 2, teams: 5, people: 3",
        "    members from groups of Authentik: 1 teams",
        "    quotas: 2 of 2 facilities, 230 TiB in all",
    ]


def test_without_policies_there_are_defaults(inventory: Path, edit: Edit) -> None:
    for name in ("limits.yml", "retention.yml"):
        (inventory / "policies" / name).unlink()
    platform = load_platform(inventory)
    assert (platform.limits.share, platform.limits.objects) == (0.3, 10)
    assert platform.retention == ()
    (inventory / QUOTAS).unlink()
    assert "there is no tier 'standard'; known, from policies/quotas.yml: none" in problems(inventory)[0]
