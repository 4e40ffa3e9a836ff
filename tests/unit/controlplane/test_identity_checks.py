"""The login server and the federation proxy of a platform, and the names under which people reach them."""

from pathlib import Path

import pytest
from inventory_editing import Edit

from controlplane.model import InventoryError, load_platform

IDP = "dc1-idp: {data_centre: dc1, address: 10.77.0.13"
OMERO = "dc1-omero: {data_centre: dc1, address: 10.77.0.14}"
STORE = 'store: {host: dc1-icat, password: {file: "{state_dir}/secrets/bic_database_password"}}\n'
PORTAL = """\
portal:
  host: dc1-monitor
  url: https://portal.bic.example{port}
  client_secret: {{env: SECRET}}
  token: {{env: TOKEN}}
"""
IDENTITY = "identity:\n  url: https://login.bic.example\n  token: {env: TOKEN}\n"


@pytest.fixture(autouse=True)
def login(inventory: Path) -> None:
    """The sandbox's inventory with both on dc1-idp and no Grafana, whatever it has itself."""
    path = inventory / "platform.yml"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("identity:", "  url:", "  token:", "  ca_file:"))]
    path.write_text(
        "".join(
            f"  {IDP}, services: [authentik, federation_proxy]}}\n" if IDP in line else line for line in kept
        )
        .replace(STORE, STORE + IDENTITY)
        .replace(", grafana]", "]"),
        "utf-8",
    )


def problems(inventory: Path) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        load_platform(inventory)
    return str(caught.value).splitlines()


def line_of(inventory: Path, text: str) -> int:
    lines = (inventory / "platform.yml").read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_services_have_names_that_outlive_their_hosts(inventory: Path) -> None:
    platform = load_platform(inventory)
    assert {name: host.name for name, host in platform.service_names.items()} == {
        "login.bic.example": "dc1-idp",
        "federation.bic.example": "dc1-idp",
    }
    assert platform.identity is not None
    assert platform.identity.database_host == "dc1-icat", "that of the store, where none is named"


@pytest.mark.parametrize(("port", "fits"), [(":8443", True), ("", False), (":443", False)])
def test_grafana_has_such_a_name_and_a_portal_beside_it_another_port(
    inventory: Path, edit: Edit, port: str, fits: bool
) -> None:
    edit("platform.yml", "[prometheus, controlplane]", "[prometheus, grafana, controlplane]")
    edit("platform.yml", "zones:\n", PORTAL.format(port=port) + "zones:\n")
    if fits:
        assert load_platform(inventory).service_names["grafana.bic.example"].name == "dc1-monitor"
        return
    (found,) = problems(inventory)
    assert f"platform.yml:{line_of(inventory, '  url: https://portal.bic.example')}:" in found
    assert "the portal and grafana.bic.example would both listen on port 443 of 'dc1-monitor'" in found


def test_a_platform_without_them_has_no_such_names(inventory: Path, edit: Edit) -> None:
    edit("platform.yml", ", services: [authentik, federation_proxy]", "")
    edit("platform.yml", "https://login.bic.example", "https://sso.ministry.example")
    platform = load_platform(inventory)
    assert dict(platform.service_names) == {}
    assert platform.identity is not None
    assert platform.identity.database_host is None


@pytest.mark.parametrize(
    "mistake",
    [
        (
            OMERO,
            OMERO.replace("}", ", services: [authentik]}"),
            "dc1-omero:",
            "login.bic.example is one host, and 'dc1-idp' has the service authentik already",
        ),
        (
            OMERO,
            OMERO.replace("}", ", services: [federation_proxy]}"),
            "dc1-omero:",
            "federation.bic.example is one host, and 'dc1-idp' has the service federation_proxy already",
        ),
        (
            "dc1-omero:",
            "login:",
            "  login: {",
            "the host 'login' would have the name of the service authentik on 'dc1-idp', login.bic.example",
        ),
        (
            "https://login.bic.example",
            "https://sso.bic.example",
            "url:",
            "the login server on 'dc1-idp' is reached at https://login.bic.example; write that",
        ),
        (
            IDENTITY,
            "",
            "dc1-idp:",
            "the host 'dc1-idp' has the service authentik, but nothing says how the control plane enters it",
        ),
        (
            "services: [authentik, federation_proxy]",
            "services: []",
            "url:",
            "login.bic.example is a name of this platform, and no host has the service authentik",
        ),
        (
            "services: [authentik, federation_proxy]",
            "services: [federation_proxy]",
            "dc1-idp:",
            "federation_proxy logs people in at a login server of this platform, and no host has",
        ),
        (STORE, "", "url:", "the login server on 'dc1-idp' needs a database; name a host with the service"),
        (
            "  token: {env: TOKEN}",
            "  token: {env: TOKEN}\n  database_host: dc1-icta",
            "database_host:",
            "there is no host 'dc1-icta'; did you mean 'dc1-icat'?",
        ),
        (
            "  token: {env: TOKEN}",
            "  token: {env: TOKEN}\n  database_host: dc1-omero",
            "database_host:",
            "the host 'dc1-omero' does not have the service postgresql; add it at",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(
    inventory: Path, edit: Edit, mistake: tuple[str, str, str, str]
) -> None:
    old, new, place, message = mistake
    edit("platform.yml", old, new)
    found = [problem for problem in problems(inventory) if message in problem]
    assert len(found) == 1, problems(inventory)
    assert f"platform.yml:{line_of(inventory, place)}:" in found[0]


def test_a_database_of_no_server_is_refused(inventory: Path, edit: Edit) -> None:
    edit("platform.yml", ", services: [authentik, federation_proxy]", "")
    edit("platform.yml", "https://login.bic.example", "https://sso.ministry.example")
    edit("platform.yml", "  token: {env: TOKEN}", "  token: {env: TOKEN}\n  database_host: dc1-icat")
    (problem,) = problems(inventory)
    assert "there is no database to place; remove 'database_host'" in problem


def test_the_public_names_reach_the_hosts(inventory: Path) -> None:
    from controlplane.ansible.bic import platform_variables

    variables = platform_variables(load_platform(inventory))
    assert variables["bic_login"] == {
        "host": "dc1-idp",
        "fqdn": "dc1-idp.bic.example",
        "name": "login.bic.example",
        "url": "https://login.bic.example",
    }
    assert variables["bic_federation"]["url"] == "https://federation.bic.example"
    assert variables["bic_login_database_host"] == "dc1-icat"
    assert variables["bic_hosts"]["dc1-idp"]["names"] == [
        "dc1-idp.bic.example",
        "dc1-idp",
        "login.bic.example",
        "federation.bic.example",
    ]
