"""How people of the federation come in by the role's blueprints, and how they leave an application."""

import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import yaml
from foreign_provider import CLIENT_SECRET, ForeignProvider, running_provider
from login_browser import Browser
from role_modules import load
from role_rendering import GIVEN, render

from sandbox.standins.authentik import launcher

PORTAL = "https://portal.bic.example/"
IVY = {
    "sub": "pairwise-ivy",
    "name": "Ivy Example",
    "given_name": "Ivy",
    "family_name": "Example",
    "email": "ivy@inst.example",
    "eduperson_principal_name": "ivy@inst.example",
    "subject_id": "9f1c@inst.example",
    "home_organization": "inst.example",
    "assurance": ["https://refeds.org/assurance/IAP/medium"],
    "entitlements": ["urn:mace:example:bio"],
}
GIVEN_BY_FEDERATION = (
    *("eduperson_principal_name", "subject_id", "given_name", "family_name", "home_organization"),
    *("assurance", "entitlements"),
)
blueprints_module = load("library", "authentik_blueprints")
entries_of = load("module_utils", "authentik_entries")
Api = load("module_utils", "authentik_api").Api


@pytest.fixture(scope="module")
def provider() -> Iterator[ForeignProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def nation(provider: ForeignProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[launcher.Running]:
    """A server with the role's blueprints, whose federation is the provider."""
    federation = {"title": "My institution", "issuer": provider.url, "client_secret": CLIENT_SECRET}
    folder = render(tmp_path_factory.mktemp("role"), {**GIVEN, "authentik_federation": federation})
    with launcher.running(tmp_path_factory.mktemp("authentik"), blueprints=folder.parent) as running:
        api = Api(running.url, running.token)
        for path in sorted(folder.iterdir()):
            name = yaml.load(path.read_text(), entries_of._Loader)["metadata"]["name"]  # noqa: S506
            digest = hashlib.sha512(path.read_bytes()).hexdigest()
            blueprints_module.apply(api, {"file": path.name, "name": name}, digest, 120)
        yield running


@pytest.fixture
def api(nation: launcher.Running) -> Any:
    return Api(nation.url, nation.token)


@pytest.fixture
def browser(nation: launcher.Running, provider: ForeignProvider) -> Iterator[Browser]:
    """The browser of somebody who comes from the provider: Ivy, unless a test says who."""
    provider.person = dict(IVY)
    made = Browser(outside=PORTAL)
    yield made
    made.close()


def come(nation: launcher.Running, browser: Browser) -> None:
    browser.open(f"{nation.url}/source/oauth/login/federation/")


def me(nation: launcher.Running, browser: Browser) -> str | None:
    answer = browser.client.get(f"{nation.url}/api/v3/core/users/me/")
    return str(answer.json()["user"]["username"]) if answer.status_code == 200 else None


def account(api: Any, name: str) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = api.all("core/users/", username=name)
    return found[0] if found else None


def enrol(nation: launcher.Running, browser: Browser, provider: ForeignProvider, name: str) -> None:
    """Let somebody new in."""
    provider.person |= {"sub": name, "eduperson_principal_name": f"{name}@inst.example"}
    come(nation, browser)
    browser.submit(accept_terms="on")


def test_somebody_new_accepts_the_terms_and_keeps_what_the_federation_gave(
    nation: launcher.Running, api: Any, browser: Browser
) -> None:
    come(nation, browser)
    assert "I accept the terms of use" in browser.page.words
    page = browser.submit()
    assert "The terms of use must be accepted." in page.words
    assert account(api, "ivy@inst.example") is None
    browser.submit(accept_terms="on")
    assert me(nation, browser) == "ivy@inst.example"
    made = account(api, "ivy@inst.example")
    assert made is not None
    assert {name: made["attributes"][name] for name in GIVEN_BY_FEDERATION} == {
        name: IVY[name] for name in GIVEN_BY_FEDERATION
    }
    assert made["attributes"]["bic_terms_version"] == "1"
    assert (made["name"], made["email"], made["path"], made["type"]) == (
        "Ivy Example",
        "ivy@inst.example",
        "sandbox/federation",
        "external",
    )


def test_a_later_login_asks_nothing_and_brings_what_changed(
    nation: launcher.Running, api: Any, browser: Browser, provider: ForeignProvider
) -> None:
    enrol(nation, browser, provider, "noa")
    made = account(api, "noa@inst.example")
    assert made is not None
    ours = {**made["attributes"], "bic_account": "noa"}
    api.call("PATCH", f"core/users/{made['pk']}/", {"username": "noa", "attributes": ours})
    moves = {"home_organization": "other.example", "entitlements": []}
    provider.person |= {**moves, "email": "noa@other.example"}
    again = Browser()
    come(nation, again)
    # The name that the control plane gave stays, whatever the institution calls her.
    assert me(nation, again) == "noa"
    again.close()
    moved = account(api, "noa")
    assert moved is not None
    assert (moved["pk"], moved["email"]) == (made["pk"], "noa@other.example")
    assert moved["attributes"] == {**ours, **moves}


def test_other_terms_are_asked_for_before_anything_is_written(
    nation: launcher.Running, api: Any, browser: Browser, provider: ForeignProvider
) -> None:
    enrol(nation, browser, provider, "uma")
    made = account(api, "uma@inst.example")
    assert made is not None
    before = {**made["attributes"], "bic_terms_version": "0"}
    api.call("PATCH", f"core/users/{made['pk']}/", {"attributes": before})
    provider.person |= {"home_organization": "other.example"}
    again = Browser()
    come(nation, again)
    page = again.submit()
    assert "The terms of use must be accepted." in page.words
    assert me(nation, again) is None
    kept = account(api, "uma@inst.example")
    assert kept is not None
    assert kept["attributes"] == before
    again.submit(accept_terms="on")
    assert me(nation, again) == "uma@inst.example"
    again.close()
    accepted = account(api, "uma@inst.example")
    assert accepted is not None
    assert accepted["attributes"]["bic_terms_version"] == "1"
    assert accepted["attributes"]["home_organization"] == "other.example"


def test_an_administrator_of_the_federation_needs_a_second_factor(
    nation: launcher.Running, api: Any, browser: Browser, provider: ForeignProvider
) -> None:
    enrol(nation, browser, provider, "root")
    made = account(api, "root@inst.example")
    assert made is not None
    group = api.call("POST", "core/groups/", {"name": "sandbox.administrators"})
    api.call("POST", f"core/groups/{group['pk']}/add_user/", {"pk": made["pk"]})
    again = Browser()
    come(nation, again)
    assert again.page.has_form, "the second factor is set up"
    assert me(nation, again) is None
    again.close()


def test_who_logs_out_of_an_application_is_sent_back_to_it_and_nowhere_else(
    nation: launcher.Running, browser: Browser, provider: ForeignProvider
) -> None:
    enrol(nation, browser, provider, "zoe")
    callback = GIVEN["authentik_applications"]["portal"]["redirect_uris"][0]
    asked = {
        "response_type": "code",
        "client_id": "portal",
        "redirect_uri": callback,
        "scope": "openid",
        "state": "s",
        "nonce": "n",
    }
    browser.open(f"{nation.url}/application/o/authorize/?{urlencode(asked)}")
    given = {
        "grant_type": "authorization_code",
        "redirect_uri": callback,
        "code": parse_qs(urlsplit(browser.location).query)["code"][0],
    }
    secret = GIVEN["authentik_applications"]["portal"]["client_secret"]
    answer = httpx.post(f"{nation.url}/application/o/token/", data=given, auth=("portal", secret), timeout=60)
    assert answer.status_code == 200, answer.text
    end = f"{nation.url}/application/o/portal/end-session/"
    hint = {"id_token_hint": answer.json()["id_token"]}
    browser.open(f"{end}?{urlencode({**hint, 'post_logout_redirect_uri': callback})}")
    assert browser.location == ""
    browser.open(f"{end}?{urlencode({**hint, 'post_logout_redirect_uri': PORTAL})}")
    assert browser.location == PORTAL
    assert me(nation, browser) is None
