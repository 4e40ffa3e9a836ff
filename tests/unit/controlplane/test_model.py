"""The inventory: what is read, and how everything wrong with it is said."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from inventory_editing import Edit

from controlplane.model import InventoryError, load_platform
from controlplane.model.secrets import Secret, SecretError

NANTES = "facilities/nantes.yml"
MONTPELLIER = "facilities/montpellier.yml"
PLATFORM = "platform.yml"


def problems(folder: Path) -> list[str]:
    """The problems of an inventory, with paths relative to it."""
    with pytest.raises(InventoryError) as caught:
        load_platform(folder)
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


def test_the_sandbox_is_read(inventory: Path) -> None:
    platform = load_platform(inventory)
    assert platform.hosts["dc1-icat"].fqdn == "dc1-icat.bic.example"
    assert platform.hosts["buffer-nantes"].address == IPv4Address("10.77.0.21")
    assert platform.hosts["buffer-nantes"].is_buffer
    assert [host.name for host in platform.hosts_with("prometheus")] == ["dc1-monitor"]
    assert platform.zones["bicZone"].servers == ("dc1-icat", "dc1-irods", "dc2-irods")
    assert platform.zone_of("dc2-irods") is platform.zones["bicZone"]
    assert platform.zone_of("dc1-idp") is None
    assert platform.sandbox is not None
    assert platform.sandbox.fleet == "demo"
    groups = {group.name: group.users for group in platform.facilities["nantes"].groups}
    assert groups["nantes"] == ("amartin", "jmoreau", "kdiallo", "opetit", "tnguyen")
    assert groups["nantes-cell-dynamics"] == ("jmoreau", "opetit", "tnguyen")


def test_the_state_folder_is_beside_inventories_or_in_a_lone_inventory_or_where_the_variable_says(
    inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_platform(inventory).state_dir == inventory / ".state" / "sandbox"
    clone = tmp_path / "clone" / "inventories"
    clone.mkdir(parents=True)
    inventory.rename(clone / "sandbox")
    platform = load_platform(clone / "sandbox")
    assert platform.state_dir == tmp_path / "clone" / ".state" / "sandbox"
    assert platform.zones["bicZone"].ca_file == platform.state_dir / "pki" / "ca.crt"
    monkeypatch.setenv("BIC_STATE_DIR", "/etc/bic/state")
    password = load_platform(clone / "sandbox").zones["bicZone"].password
    assert password == Secret.from_file("/etc/bic/state/secrets/irods_admin_password")


@pytest.mark.parametrize(
    "mistake",
    [
        (
            PLATFORM,
            "title: Data centre 2",
            "titel: Data centre 2",
            "unknown key 'titel'; did you mean 'title'?",
        ),
        (PLATFORM, "domain: bic.example", "", "the key 'domain' is missing: the DNS domain of all hosts"),
        (PLATFORM, "bic.example", "Bic_Example", "'Bic_Example' is not a domain name"),
        (PLATFORM, "10.77.0.13", "10.77.0.300", "'10.77.0.300' is not an IPv4 address"),
        (
            PLATFORM,
            "10.77.0.13",
            "10.77.0.12",
            "the address 10.77.0.12 is already used at platform.yml:",
        ),
        (PLATFORM, "10.77.0.13", "10.78.0.13", "outside the sandbox network 10.77.0.0/24"),
        (PLATFORM, "10.77.0.13", "10.77.0.1", "the address 10.77.0.1 is not free"),
        (PLATFORM, "10.77.0.0/24", "10.77.0.0/16", "must be an IPv4 /24"),
        (PLATFORM, "10.77.0.0/24", "10.77.0.5/24", "whose host bits are zero"),
        (PLATFORM, "fleet: demo", "fleet: Demo", "'Demo' is not a fleet name"),
        (PLATFORM, "[prometheus, c", "[promtheus, c", "did you mean 'prometheus'? allowed: authentik"),
        (PLATFORM, "{data_centre: dc2, address: 10.77.0.16}", "[]", "'dc2-hpc' must be a mapping"),
        (
            PLATFORM,
            "data_centre: dc2, address: 10.77.0.16",
            "data_centre: dc3, address: 10.77.0.16",
            "there is no data centre 'dc3'; did you mean 'dc2'? known: dc1, dc2",
        ),
        (PLATFORM, "  dc2-hpc:", "  dc2_hpc:", "'dc2_hpc' is not a host name"),
        (
            PLATFORM,
            "  dc2-hpc:",
            "  buffer-nantes:",
            "the host name 'buffer-nantes' is already used at platform.yml",
        ),
        (
            PLATFORM,
            "catalog_provider: dc1-icat",
            "catalog_provider: dc1-ictt",
            "no host 'dc1-ictt'; did you mean",
        ),
        (
            PLATFORM,
            "catalog_provider: dc1-icat",
            "catalog_provider: dc1-idp",
            "the host 'dc1-idp' does not have the service irods_catalog_provider",
        ),
        (
            PLATFORM,
            "catalog_consumers: [dc1-irods, dc2-irods]",
            "catalog_consumers: []",
            "the host 'dc2-irods' is an iRODS server, but no zone names it",
        ),
        (PLATFORM, "password: {file:", "password: {env: X, file:", "a secret has either 'file' or 'env'"),
        (PLATFORM, "user: rods", "user: tnguyen", "'tnguyen' is taken by the administrator of zone bicZone"),
        (PLATFORM, "name: sandbox", "name: &a sandbox\nother: *a", "aliases (*name) are not supported"),
        (PLATFORM, "name: sandbox", "name: !secret x", "the tag !secret is not supported"),
        (PLATFORM, "name: sandbox", "1: sandbox", "a key must be text"),
        (
            PLATFORM,
            "name: sandbox",
            "name: 7",
            "'name' must be text (put it in quotes if it is a number), not 7",
        ),
        (PLATFORM, "user: rods", "user: rods\n      port: '1247'", "unknown key 'port'"),
        (
            PLATFORM,
            "catalog_provider: dc1",
            "port: 70000\n    catalog_provider: dc1",
            "'port' is out of range",
        ),
        (NANTES, "data_centre: dc1", "data_centre: dc9", "6:14: there is no data centre 'dc9'"),
        (
            NANTES,
            "data_centre: dc1",
            "data_centre: dc1\nzone: bicZome",
            "no zone 'bicZome'; did you mean 'bicZone'?",
        ),
        (NANTES, "id: nantes", "id: rennes", "must be in a file named rennes.yml"),
        (
            NANTES,
            "    pi: {user: jmoreau",
            "    po: {user: jmoreau",
            "14:5: a team needs a principal investigator",
        ),
        (NANTES, "user: tnguyen", "user: tnguyên", "'tnguyên' is not an iRODS user name"),
        (NANTES, "user: tnguyen", "user: t nguyen", "'t nguyen' is not an iRODS user name"),
        (NANTES, "name: Thi Nguyen", "name: Tha Nguyen", "one user name is one person"),
        (NANTES, "thi.nguyen@nantes", "thi@nantes", "one user name is one person"),
        (NANTES, "user: opetit", "user: tnguyen", "one user name is one person"),
        (
            NANTES,
            "user: opetit",
            "user: nantes-neuro-imaging",
            "is taken by the team 'neuro-imaging' of 'nantes'",
        ),
        (NANTES, "user: opetit", "user: public", "is taken by iRODS itself"),
        (NANTES, "role: collaborator", "role: colaborator", "did you mean 'collaborator'?"),
        (
            NANTES,
            "- id: neuro-imaging",
            "- id: cell-dynamics",
            "the team 'cell-dynamics' is already described at",
        ),
        (
            NANTES,
            "buffer-nantes",
            "buffer-montpellier",
            "'buffer-montpellier' is already used at facilities/mont",
        ),
        (NANTES, "10.77.0.21", "10.77.0.22", "10.77.0.22 is already used at facilities/montpellier.yml:"),
        (NANTES, "host: dc1-icat", "host: dc1-idp", "the host 'dc1-idp' is not a server of the zone bicZone"),
        (NANTES, "host: dc1-icat", "host: dc1-icta", "there is no host 'dc1-icta'; did you mean 'dc1-icat'?"),
        (
            NANTES,
            "nantes-raw:",
            "montpellier-raw:",
            "storage resource 'montpellier-raw' of zone bicZone is already",
        ),
        (NANTES, "nantes-raw:", "bundleResc:", "'bundleResc' is taken by iRODS itself"),
        (NANTES, "nantes-raw:", "nantes--raw:", "'nantes--raw' is not a storage resource name"),
        (NANTES, "vault: /var", "vault: var", "is not an absolute path"),
        (NANTES, "vaults/nantes-raw", "vaults/../nantes-raw", "is not an absolute path"),
        (
            NANTES,
            "host: dc1-icat, vault: /var/lib/irods/vaults/nantes-raw",
            "host: dc2-irods, vault: /var/lib/irods/vaults",
            "overlaps",
        ),
        (NANTES, "teams:", "teams: 3\nother:", "'teams' must be a list, not 3"),
        (NANTES, "city: Nantes", "city: [", "this is not valid YAML"),
        (
            NANTES,
            "city: Nantes",
            "city: Nantes\ncity: Nantes",
            "the key 'city' is already given at facilities/nan",
        ),
        (NANTES, "city: Nantes", "city: ''", "write one line"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    inventory: Path, edit: Edit, mistake: tuple[str, str, str, str]
) -> None:
    file, old, new, expected = mistake
    edit(file, old, new)
    lines = problems(inventory)
    matching = [line for line in lines if expected in line]
    assert matching, "\n".join(lines)
    path, line, column, _ = matching[0].split(":", 3)
    assert path.endswith(".yml")
    assert int(line) > 0
    assert int(column) > 0


def test_all_mistakes_of_all_files_come_at_once(inventory: Path, edit: Edit) -> None:
    edit(PLATFORM, "10.77.0.13", "10.77.0.12")
    edit(NANTES, "data_centre: dc1", "data_centre: dc1\nzone: nowhere")
    edit(MONTPELLIER, "role: contributor", "role: boss")
    (inventory / "facilities" / "empty.yml").touch()
    (inventory / "facilities" / "latin.yml").write_bytes("id: é".encode("latin-1"))
    (inventory / "facilities" / "notes.txt").touch()
    (inventory / "policies" / "quota.yml").touch()
    assert [line.split(":")[0] for line in problems(inventory)] == [
        "facilities/empty.yml",
        "facilities/latin.yml",
        MONTPELLIER,
        NANTES,
        "facilities/notes.txt",
        PLATFORM,
        "policies/quota.yml",
    ]


def test_one_facility_in_two_files_is_said_once_for_the_facility(inventory: Path) -> None:
    (inventory / "facilities" / "rennes.yml").write_bytes((inventory / NANTES).read_bytes())
    lines = problems(inventory)
    assert sum("is already described at" in line and "the facility" in line for line in lines) == 1
    assert not any("group name" in line for line in lines)


def test_a_team_that_reads_like_one_of_another_facility_is_refused(inventory: Path, edit: Edit) -> None:
    text = (inventory / MONTPELLIER).read_text("utf-8").replace("montpellier", "nantes-cell")
    (inventory / MONTPELLIER).unlink()
    (inventory / "facilities" / "nantes-cell.yml").write_text(text, "utf-8")
    assert any(
        "'nantes-cell-dynamics' reads like one of the facility 'nantes-cell'" in x
        for x in problems(inventory)
    )


def test_what_is_no_inventory_is_said(inventory: Path, tmp_path: Path) -> None:
    assert problems(tmp_path / "nowhere") == [f"{tmp_path}/nowhere: the inventory folder does not exist"]
    assert "name the folder it is in" in problems(inventory / PLATFORM)[0]
    name = "x" * 300
    assert problems(tmp_path / name) == [f"{tmp_path}/{name}: cannot be read: File name too long"]
    link = inventory / "facilities" / "gone.yml"
    link.symlink_to("nowhere")
    assert problems(inventory) == ["facilities/gone.yml: cannot be read: No such file or directory"]
    link.unlink()
    (inventory / PLATFORM).unlink()
    assert problems(inventory) == [
        "platform.yml: the file is missing; an inventory is a folder with a platform.yml"
    ]


def test_secrets_are_read_when_used_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    secret = Secret.from_file(str(file))
    with pytest.raises(SecretError, match=r"password cannot be read: No such file"):
        secret.reveal()
    file.write_text("hidden value\n")
    assert secret.reveal() == "hidden value"
    assert "hidden" not in repr(secret)
    file.write_text("\n")
    with pytest.raises(SecretError, match="is empty"):
        secret.reveal()
    variable = Secret.from_environment("BIC_TEST_SECRET")
    with pytest.raises(SecretError, match="BIC_TEST_SECRET"):
        variable.reveal()
    monkeypatch.setenv("BIC_TEST_SECRET", "value")
    assert variable.reveal() == "value"
