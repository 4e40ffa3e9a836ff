"""The JSON Schemas: they are current, the inventories name them, and they refuse what the loader refuses."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from pydantic import ValidationError
from typer.testing import CliRunner

from controlplane.cli.main import app
from controlplane.errors import BadInputError
from controlplane.model.problems import Problem
from controlplane.model.schema import SCHEMAS, json_schema, schema_file, schema_text
from controlplane.model.source import parse

ROOT = Path(__file__).parents[3]
SCHEMA_FOLDER = ROOT / "schemas"


def inventory_files() -> Iterator[tuple[Path, str]]:
    """Every file of every inventory of the repository, with its kind."""
    for platform in sorted((ROOT / "inventories").glob("*/platform.yml")):
        yield platform, "platform"
        yield from ((file, "facility") for file in sorted((platform.parent / "facilities").glob("*.yml")))
        yield from ((file, file.stem) for file in sorted((platform.parent / "policies").glob("*.yml")))


def data_of(text: str) -> Any:
    problems: list[Problem] = []
    source = parse(text, "file", problems)
    assert source, problems
    assert not problems
    return source.data


def test_the_committed_schemas_are_current() -> None:
    expected = {schema_file(name): schema_text(name) for name in SCHEMAS}
    found = {path.name: path.read_text("utf-8") for path in SCHEMA_FOLDER.iterdir()}
    assert found == expected, "run: bic schema --output-dir schemas"


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_describes_every_key(name: str) -> None:
    schema = json_schema(name)
    Draft7Validator.check_schema(schema)
    for part in [schema, *schema.get("$defs", {}).values()]:
        assert part["additionalProperties"] is False
        for key, value in part["properties"].items():
            assert value.get("description"), f"{key} says nothing"


@pytest.mark.parametrize(
    ("path", "kind"),
    [pytest.param(*found, id=str(found[0].relative_to(ROOT))) for found in inventory_files()],
)
def test_an_inventory_file_names_its_schema_and_follows_it(path: Path, kind: str) -> None:
    text = path.read_text("utf-8")
    match = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert match, "the first line must name the schema"
    assert (path.parent / match[1]).resolve() == SCHEMA_FOLDER / schema_file(kind)
    errors = list(Draft7Validator(json_schema(kind)).iter_errors(data_of(text)))
    assert not errors, errors[0]


FACILITY = data_of("""
id: nantes
title: Nantes
institution: Université de Nantes
city: Nantes
data_centre: dc1
zone: bicZone
quota: {tier: standard}
referents: [{user: amartin, name: A. Martin, email: a@nantes.example}]
buffer: {host: buffer-nantes, address: 10.77.0.21}
instruments: [{id: spim1, title: SPIM, modality: light-sheet, landing_zone: /srv/landing/spim1}]
hpc_mounts: [{host: hpc, path: /bic, access: read}]
omero: {host: omero}
storage_resources:
  nantes-raw: {host: dc1-icat, vault: /srv/nantes, capacity: 20 TiB, parent: raw, context: "a=b;c=d"}
  nantes-tree: {type: compound, children: [a, b]}
teams:
  - id: cells
    title: Cells
    pi: {user: jmoreau, name: J. Moreau, email: j@nantes.example}
    members: [{user: opetit, name: O. Petit, email: o@nantes.example, role: contributor}]
    quota: {storage_resources: {nantes-raw: 1.5 TB}}
    omero: true
""")
PLATFORM = data_of("""
name: test
title: Test
environment: staging
domain: bic.example
store: {host: dc1-icat, password: {env: STORE}, ca_file: ca.crt}
identity: {url: "https://login.bic.example", token: {file: token}, ca_file: ca.crt}
data_centres: {dc1: {title: One, city: Nantes}}
hosts: {dc1-icat: {data_centre: dc1, address: 10.0.0.1, services: [postgresql]}}
zones:
  bicZone:
    catalog_provider: dc1-icat
    port: 1247
    federation: [other]
    remote_zones: {partner: {host: icat.partner.example, port: 1247}}
    administrator: {user: rods, password: {env: PASSWORD}}
""")
QUOTAS = data_of("tiers: {standard: {facility: 200 TiB, team: 20 TiB}}")
LIMITS = data_of("{share_percent: 30, objects: 10}")
RETENTION = data_of("""
offboarded: [{facility: nantes, team: cells, delete_data_from: 2027-06-30, reason: they moved}]
""")
RULES = data_of("""
rule_bases:
  require-tls: {}
  raw-data: {zones: [bicZone], parameters: {curators: bic-curators, days: 3, on: true}}
rollout: {wait_for_transfers: 5m, canary: {bicZone: dc2-irods}}
""")
MANIFEST = data_of("""
name: raw-data
version: 1.0.0
title: Raw data
owner: national-ops
engine: irods_rule_language
servers: provider
after: [require-tls]
before: [quotas]
policy_enforcement_points: [acPreConnect]
parameters: {curators: {type: string, default: curators, title: Who}}
""")
CASES = data_of("""
cases:
  kept:
    title: What is there stays
    gate: true
    steps:
      - {put: a/image.tif, size: 1 MiB}
      - {who: other, remove: a/image.tif, expect: CAT_NO_ACCESS_PERMISSION, within: 5s}
""")
VALID = {
    "platform": PLATFORM,
    "facility": FACILITY,
    "quotas": QUOTAS,
    "limits": LIMITS,
    "retention": RETENTION,
    "rules": RULES,
    "manifest": MANIFEST,
    "cases": CASES,
}


def changed(kind: str, route: str, value: object) -> Any:
    """The valid file of a kind with another value at `route`; without the key for `...`."""
    data = copy.deepcopy(VALID[kind])
    *way, last = [int(step) if step.isdigit() else step for step in route.split("/")]
    part = data
    for step in way:
        part = part[step]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return data


def accepted(kind: str, data: Any) -> tuple[bool, bool]:
    """Whether the loader and the schema take a file's data."""
    try:
        SCHEMAS[kind].model_validate(data)
    except ValidationError:
        loads = False
    else:
        loads = True
    return loads, Draft7Validator(json_schema(kind)).is_valid(data)


@pytest.mark.parametrize("kind", VALID)
def test_valid_files_are_taken_by_both(kind: str) -> None:
    assert accepted(kind, VALID[kind]) == (True, True)


@pytest.mark.parametrize(
    ("kind", "route", "value"),
    [
        ("facility", "title", 7),
        ("facility", "title", ...),
        ("facility", "title", ""),
        ("facility", "title", " "),
        ("facility", "title", "two\nlines"),
        ("facility", "title", "x" * 201),
        ("facility", "unknown", "x"),
        ("facility", "id", "Nantes"),
        ("facility", "id", "x" * 31),
        ("facility", "zone", "bic-zone"),
        ("facility", "quota", {"tier": "standard", "total": "1 TiB"}),
        ("facility", "quota", {}),
        ("facility", "quota/tier", 3),
        ("facility", "buffer/address", "10.77.0.300"),
        ("facility", "buffer/host", "Buffer"),
        ("facility", "buffer/port", 22),
        ("facility", "referents/0/user", "é"),
        ("facility", "referents/0/email", "nobody"),
        ("facility", "referents/0/phone", "1"),
        ("facility", "instruments/0/landing_zone", "relative"),
        ("facility", "instruments/0/landing_zone", "/ends/"),
        ("facility", "hpc_mounts/0/access", "execute"),
        ("facility", "storage_resources/bad--name", {"host": "h", "vault": "/v"}),
        ("facility", "storage_resources/nantes-raw/capacity", 20),
        ("facility", "storage_resources/nantes-raw/capacity", "20 tons"),
        ("facility", "storage_resources/nantes-raw/context", "a"),
        ("facility", "storage_resources/nantes-tree/type", "mirror"),
        ("facility", "storage_resources/nantes-tree/children", "a"),
        ("facility", "teams/0/pi", ...),
        ("facility", "teams/0/members/0/role", "boss"),
        ("facility", "teams/0/members/0", []),
        ("facility", "teams/0/omero", "yes"),
        ("facility", "teams/0/quota/storage_resources", {}),
        ("facility", "teams/0/quota/storage_resources/bad--name", "1 TiB"),
        ("platform", "environment", "test"),
        ("platform", "domain", "Bic.example"),
        ("platform", "data_centres", {}),
        ("platform", "data_centres/Bad", {"title": "x", "city": "y"}),
        ("platform", "hosts/dc1-icat/services/0", "mysql"),
        ("platform", "zones/bicZone/port", 70000),
        ("platform", "zones/bicZone/port", "1247"),
        ("platform", "zones/bicZone/port", True),
        ("platform", "zones/bicZone/remote_zones/partner/host", "under_score"),
        ("platform", "zones/bicZone/administrator/password", {}),
        ("platform", "zones/bicZone/administrator/password/file", "x"),
        ("platform", "identity/url", "http://plain.example"),
        ("platform", "store", "sqlite:///x"),
        ("quotas", "tiers", {}),
        ("quotas", "tiers/standard/team", ...),
        ("quotas", "tiers/standard/team", "20"),
        ("limits", "share_percent", 101),
        ("limits", "objects", -1),
        ("limits", "objects", 1.5),
        ("retention", "offboarded/0/delete_data_from", "tomorrow"),
        ("retention", "offboarded/0/reason", ...),
        ("rules", "rule_bases", ...),
        ("rules", "rule_bases/Bad", {}),
        ("rules", "rule_bases/raw-data/zones", []),
        ("rules", "rule_bases/raw-data/parameters/Bad", 1),
        ("rules", "rule_bases/raw-data/parameters/days", 1.5),
        ("rules", "rule_bases/raw-data/parameters/curators", "it's"),
        ("rules", "rollout/wait_for_transfers", "5 minutes"),
        ("rules", "rollout/canary/bicZone", "Host"),
        ("manifest", "engine", "lua"),
        ("manifest", "jobs", {"sweep": "5m"}),
        ("manifest", "jobs", {"bicSweep": "often"}),
        ("cases", "cases/kept/steps", []),
        ("cases", "cases/kept/steps/0/put", "/absolute"),
        ("cases", "cases/kept/steps/0/who", "nobody"),
        ("cases", "cases/kept/steps/1/expect", "forbidden"),
        ("cases", "cases/kept/steps/0/jump", "x"),
        ("manifest", "version", "1.0"),
        ("manifest", "policy_enforcement_points", []),
        ("manifest", "policy_enforcement_points/0", "myRule"),
        ("manifest", "parameters/curators/type", "list"),
        ("manifest", "parameters/curators/default", ...),
    ],
)
def test_simple_mistakes_are_refused_by_both(kind: str, route: str, value: object) -> None:
    assert accepted(kind, changed(kind, route, value)) == (False, False)


def test_the_command_prints_one_schema_or_writes_all(tmp_path: Path) -> None:
    run = CliRunner()
    printed = run.invoke(app, ["schema", "limits"])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == json_schema("limits")
    written = run.invoke(app, ["schema", "--output-dir", str(tmp_path / "new")])
    assert written.exit_code == 0
    assert written.stdout.splitlines() == [str(tmp_path / "new" / schema_file(name)) for name in SCHEMAS]
    assert {path.name for path in (tmp_path / "new").iterdir()} == {schema_file(name) for name in SCHEMAS}
    misspelt = run.invoke(app, ["schema", "limit"])
    assert isinstance(misspelt.exception, BadInputError)
    assert "did you mean 'limits'?" in str(misspelt.exception)
