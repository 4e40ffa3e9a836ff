"""The login to Grafana: what the role grafana configures is what the role authentik's application takes."""

import configparser
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from login_browser import Browser
from role_rendering import GIVEN, ROOT

sys.path.insert(0, str(Path(__file__).parents[2] / "unit/roles"))
sys.path.insert(0, str(Path(__file__).parents[1] / "authentik_login"))

from login_site import HTTP, PASSWORD, STATE, VERIFIER, Client, Site
from rendering import run_tasks

from sandbox.standins.authentik.launcher import Running
from sandbox.standins.authentik.models.core import GROUP

ROLE = ROOT / "roles/grafana"
ADMINISTRATORS = f"{GIVEN['authentik_platform']}.administrators"


@pytest.fixture(scope="module")
def configured(server: Running, tmp_path_factory: pytest.TempPathFactory) -> configparser.ConfigParser:
    """Grafana's configuration, with this server as the one where people log in."""
    folder = tmp_path_factory.mktemp("grafana")
    given: dict[str, Any] = {
        "grafana_name": "grafana.bic.example",
        "grafana_address": "192.0.2.17",
        "grafana_dashboards_dir": str(ROOT / "monitoring/dashboards"),
        "grafana_login_url": server.url,
        "grafana_administrator_groups": [ADMINISTRATORS],
    }
    template = {
        "src": str(ROLE / "templates/grafana.ini.j2"),
        "dest": str(folder / "grafana.ini"),
        "mode": "0600",
    }
    run_tasks(
        folder, ROLE, [{"name": "Write it", "ansible.builtin.template": template}], yaml.safe_dump(given)
    )
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(folder / "grafana.ini")
    return parser


@pytest.fixture(scope="module")
def application(configured: configparser.ConfigParser) -> Client:
    """The application as Grafana knows it."""
    secret = GIVEN["authentik_applications"]["grafana"]["client_secret"]
    login = configured["auth.generic_oauth"]
    address = f"{configured['server']['root_url']}login/generic_oauth"
    return Client("grafana", login["client_id"], secret, address)


@pytest.fixture(scope="module", autouse=True)
def people(server: Running, applied: None) -> None:
    """Somebody in two groups, of which the platform has only one."""
    Site(server).add_user(
        "ana",
        groups=("sandbox-team", "not-ours"),
        email="ana@example.org",
        attributes={"bic_account": "aduval"},
    )
    with server.store.write() as tx:
        ours = tx.find(GROUP, name="sandbox-team")
        assert ours
        tx.update(GROUP, ours["pk"], {"attributes": {"bic_managed": GIVEN["authentik_platform"]}})


@pytest.fixture
def browser() -> Iterator[Browser]:
    made = Browser(outside="https://grafana.bic.example/")
    yield made
    made.close()


def granted(configured: configparser.ConfigParser, application: Client, browser: Browser) -> dict[str, str]:
    """What Grafana sends to the login server for somebody who comes back from there, but for the verifier."""
    login = configured["auth.generic_oauth"]
    asked = urlsplit(application.url("", scope=login["scopes"])).query
    browser.open(f"{login['auth_url']}?{asked}")
    if not browser.location:
        browser.submit(uid_field="ana", password=PASSWORD)
    assert browser.location.startswith(f"{application.redirect_uri}?"), browser.page.words
    answer = parse_qs(urlsplit(browser.location).query)
    assert answer["state"] == [STATE]
    return {
        "grant_type": "authorization_code",
        "code": answer["code"][0],
        "redirect_uri": application.redirect_uri,
        "client_id": application.client_id,
        "client_secret": application.client_secret,
    }


def test_the_settings_lead_to_the_claims_that_they_read(
    configured: configparser.ConfigParser, application: Client, browser: Browser
) -> None:
    login = configured["auth.generic_oauth"]
    data = {**granted(configured, application, browser), "code_verifier": VERIFIER}
    token = HTTP.post(login["token_url"], data=data).raise_for_status().json()
    said = HTTP.get(login["api_url"], headers={"Authorization": f"Bearer {token['access_token']}"}).json()
    assert said[login["login_attribute_path"]] == "aduval"
    assert said[login["name_attribute_path"]] == "ana name"
    assert said[login["email_attribute_path"]] == "ana@example.org"
    # The role is read from the platform's groups alone: nobody administers Grafana by a group of another's.
    assert said["bic_groups"] == ["sandbox-team"]
    assert login["role_attribute_path"].strip('"').startswith(f"(contains(bic_groups, '{ADMINISTRATORS}'))")


def test_a_code_counts_with_its_verifier_only(
    configured: configparser.ConfigParser, application: Client, browser: Browser
) -> None:
    data = granted(configured, application, browser)
    assert HTTP.post(configured["auth.generic_oauth"]["token_url"], data=data).status_code == 400


def test_who_logs_out_comes_back(configured: configparser.ConfigParser, browser: Browser) -> None:
    target = configured["auth.generic_oauth"]["signout_redirect_url"]
    assert parse_qs(urlsplit(target).query)["post_logout_redirect_uri"] == [configured["server"]["root_url"]]
    assert browser.open(target).status == 200
