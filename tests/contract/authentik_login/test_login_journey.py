"""The journey of a synthetic person from the portal through the login server and back."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from login_site import PASSWORD, Site
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[1] / "irods"))

from oidc_provider import served
from throwaway_pki import create_authority, issue

from controlplane.health.journeys.plan import journeys
from controlplane.health.run import Result, run_probes
from controlplane.model import Platform, load_platform
from controlplane.model.secrets import Secret
from controlplane.portal.app import application
from controlplane.systems.authentik.journeys import stages
from sandbox.standins.authentik.models.connections import OAUTH2
from sandbox.standins.authentik.models.core import USER

PLATFORM = """\
name: test
title: Test platform
environment: sandbox
domain: test.example
identity: {{url: "https://localhost:{login}", token: {{env: NOBODY}}, ca_file: {ca_file}}}
portal:
  host: one
  url: "https://portal.test.example"
  client_secret: {{env: PORTAL_SECRET}}
  token: {{env: PORTAL_TOKEN}}
  synthetic_person: {{username: bic-journey, password: {{env: JOURNEY_PASSWORD}}}}
data_centres:
  dc1: {{title: One, city: Nantes}}
hosts:
  one: {{data_centre: dc1, address: 127.0.0.1, services: [irods_catalog_provider, controlplane]}}
zones:
  testZone:
    catalog_provider: one
    administrator: {{password: {{env: NOBODY}}}}
"""


def proxy(target: str, port: int) -> Starlette:
    """What nginx is before the login server: it ends TLS and says so."""
    client = httpx.AsyncClient(base_url=target, timeout=60)

    async def pass_on(request: Request) -> Response:
        told = {
            "host": f"localhost:{port}",
            "x-forwarded-proto": "https",
            "x-forwarded-host": f"localhost:{port}",
        }
        answer = await client.request(
            request.method,
            str(request.url.include_query_params().replace(scheme="", netloc="")),
            headers={**request.headers, **told},
            content=await request.body(),
        )
        response = Response(answer.content, answer.status_code)
        response.raw_headers = [
            (name.lower(), value)
            for name, value in answer.headers.raw
            if name.lower() not in (b"transfer-encoding", b"content-encoding")
        ]
        return response

    methods = ["GET", "POST"]
    return Starlette(routes=[Route("/{path:path}", pass_on, methods=methods)])


@pytest.fixture
def platform(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """A platform whose portal and login server run, with a synthetic person."""
    state = tmp_path / "state"
    authority = create_authority(state / "pki")
    files = issue(authority, tmp_path)
    monkeypatch.setenv("BIC_STATE_DIR", str(state))
    monkeypatch.setenv("JOURNEY_PASSWORD", PASSWORD)
    with site.server.store.read() as tx:
        known = tx.find(USER, username="bic-journey")
    if known is None:
        site.add_user("bic-journey")
        site.add_client("portal-of-journey", client_id="portal", redirect_uris=[])
    with site.server.store.read() as tx:
        provider = tx.find(OAUTH2, client_id="portal")
    assert provider is not None
    monkeypatch.setenv("PORTAL_SECRET", provider["client_secret"])
    monkeypatch.setenv("PORTAL_TOKEN", "of an account that these tests do not use")
    where = files.certificate_chain_file, files.certificate_key_file
    with served(lambda port: proxy(site.url, port), *where) as login:
        root = tmp_path / "inventory"
        root.mkdir()
        (root / "facilities").mkdir()
        (root / "platform.yml").write_text(PLATFORM.format(login=login, ca_file=authority.ca_file))
        loaded = load_platform(root)
        assert loaded.portal is not None
        portal = loaded.portal
        issuer = f"https://localhost:{login}/application/o/portal-of-journey/"

        def make(port: int) -> FastAPI:
            nonlocal portal
            portal = replace(portal, url=f"https://localhost:{port}", issuer=issuer)
            with site.server.store.write() as tx:
                # As the role's blueprint has them.
                addresses = [
                    {"matching_mode": "strict", "url": url, "redirect_uri_type": kind}
                    for kind, url in (("authorization", portal.redirect_url), ("logout", f"{portal.url}/"))
                ]
                tx.update(OAUTH2, provider["pk"], {"redirect_uris": addresses})
            assert loaded.identity is not None
            return application(loaded, loaded.identity, portal)

        with served(make, *where):
            yield replace(loaded, portal=portal)


def gone(platform: Platform) -> list[Result]:
    return run_probes(list(journeys(stages(platform))), 120)


def test_a_synthetic_person_logs_in_to_the_portal_and_out_again(platform: Platform) -> None:
    results = gone(platform)
    assert [(one.check, one.status.value) for one in results] == [
        ("login page", "ok"),
        ("log in", "ok"),
        ("portal", "ok"),
        ("log out", "ok"),
    ], [one.detail for one in results]


def test_a_password_that_is_refused_is_found(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEY_PASSWORD", "another one")
    results = gone(platform)
    assert [one.status.value for one in results] == ["ok", "failed", "skipped", "ok"]
    assert "refuses the synthetic person" in results[1].detail
    assert results[1].finding
    assert "another one" not in str(results)


def test_a_portal_that_does_not_know_who_comes_back_is_found(
    platform: Platform, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert platform.portal is not None
    # The portal's secret is another than the login server's: the code that it gets is worth nothing.
    with site.server.store.write() as tx:
        provider = tx.find(OAUTH2, client_id="portal")
        assert provider is not None
        tx.update(OAUTH2, provider["pk"], {"client_secret": "x" * 40})
    results = gone(platform)
    assert [one.status.value for one in results] == ["ok", "ok", "failed", "ok"]


def test_without_a_synthetic_person_nobody_logs_in(platform: Platform) -> None:
    assert platform.portal is not None
    assert not list(stages(replace(platform, portal=replace(platform.portal, synthetic_person=None))))


def test_a_login_server_that_is_away_is_named(platform: Platform) -> None:
    assert platform.portal is not None
    away = replace(platform.portal, url="https://localhost:1")
    results = gone(replace(platform, portal=away))
    assert results[0].detail.startswith("https://localhost:1/login: ")
    assert not results[0].finding
    assert Secret.from_environment("JOURNEY_PASSWORD").reveal() not in str(results)
