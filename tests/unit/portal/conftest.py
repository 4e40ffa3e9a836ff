"""A portal and the single sign-on that it asks, both over TLS."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI

sys.path.insert(0, str(Path(__file__).parents[2] / "harness"))
sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "irods"))

from oidc_provider import CLIENT_SECRET, provider, served
from portal_site import Site
from throwaway_pki import create_authority, issue

from controlplane.model import Platform, load_platform
from controlplane.portal.app import application

PLATFORM = """\
name: test
title: Test platform
environment: sandbox
domain: test.example
identity: {url: "https://login.elsewhere.example", token: {env: NOBODY}, ca_file: CA_FILE}
portal: {host: one, url: "https://portal.test.example", client_secret: {env: PORTAL_SECRET},
  token: {env: PORTAL_TOKEN}}
data_centres:
  dc1: {title: One, city: Nantes}
hosts:
  one: {data_centre: dc1, address: 127.0.0.9, services: [irods_catalog_provider, controlplane]}
zones:
  testZone:
    catalog_provider: one
    administrator: {password: {env: NOBODY}}
"""

FACILITY = """\
id: nord
title: Nord <imaging> & more
institution: Institut du Nord
city: Lille
data_centre: dc1
referents:
  - {user: rone, name: R One, email: rone@nord.example}
teams:
  - id: cells
    title: Cells
    pi: {user: pone, name: P One, email: pone@nord.example}
  - id: roots
    title: Roots
    pi: {user: ptwo, name: P Two, email: ptwo@nord.example}
"""


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A platform with a portal."""
    root = tmp_path / "inventory"
    (root / "facilities").mkdir(parents=True)
    (root / "platform.yml").write_text(PLATFORM.replace("CA_FILE", str(tmp_path / "ca.crt")))
    (root / "facilities" / "nord.yml").write_text(FACILITY)
    return load_platform(root)


@pytest.fixture
def site(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A running portal and its single sign-on."""
    monkeypatch.setenv("PORTAL_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("PORTAL_TOKEN", "of-nobody")
    files = issue(create_authority(tmp_path), tmp_path)
    where = files.certificate_chain_file, files.certificate_key_file
    portal = platform.portal
    assert portal is not None
    with provider(*where) as asked:

        def make(port: int) -> FastAPI:
            here = replace(portal, url=f"https://localhost:{port}", issuer=asked.issuer)
            return application(platform, platform.identity, here)

        with served(make, *where) as port:
            yield Site(f"https://localhost:{port}", asked, tmp_path / "ca.crt")
