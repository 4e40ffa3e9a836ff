"""People of a foreign provider: how they come in, and how nobody else does."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from foreign_provider import CLIENT_ID, CLIENT_SECRET, ForeignProvider, running_provider
from login_browser import Browser
from login_site import PASSWORD, Client, Site

from sandbox.standins.authentik.models.connections import CONNECTION, OAUTH_SOURCE
from sandbox.standins.authentik.models.core import FLOW, USER
from sandbox.standins.authentik.models.flows import PROMPT, STAGE_BINDING
from sandbox.standins.authentik.store import Row

MAPPING = """
return {
    "username": info.get("preferred_username") or info["sub"],
    "name": info.get("name", ""),
    "attributes": {
        "eduperson_principal_name": info.get("eduperson_principal_name"),
        "subject_id": info.get("subject_id"),
        "home_organization": info.get("home_organization"),
        "assurance": info.get("assurance", []),
        "entitlements": info.get("entitlements", []),
    },
}
"""
ACCEPTED = """
if not context["prompt_data"].get("terms_accepted"):
    ak_message("You must accept the terms of use.")
    return False
return True
"""
IVY = {
    "sub": "pairwise-ivy",
    "preferred_username": "ivy@inst.example",
    "name": "Ivy Example",
    "email": "ivy@inst.example",
    "eduperson_principal_name": "ivy@inst.example",
    "subject_id": "9f1c@inst.example",
    "home_organization": "inst.example",
    "assurance": ["https://refeds.org/assurance/IAP/medium"],
    "entitlements": ["urn:mace:example:bio"],
}


@pytest.fixture(scope="module")
def provider() -> Iterator[ForeignProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def source(site: Site, provider: ForeignProvider) -> Row:
    """A source with an enrolment that asks for nothing but the terms of use."""
    with site.server.store.write() as tx:
        policy = tx.insert(
            "authentik_policies_expression.expressionpolicy", {"name": "terms", "expression": ACCEPTED}
        )
        terms = {"name": "terms", "field_key": "terms_accepted", "label": "I accept the terms of use"}
        prompt = tx.insert(PROMPT, {**terms, "type": "checkbox"})
        mapping = tx.insert(
            "authentik_sources_oauth.oauthsourcepropertymapping",
            {"name": "federation", "expression": MAPPING},
        )
    enrolment = site.add_flow(
        "bic-enrolment",
        "enrollment",
        (
            "authentik_stages_prompt.promptstage",
            {"fields": [prompt["pk"]], "validation_policies": [policy["pk"]]},
        ),
        (
            "authentik_stages_user_write.userwritestage",
            {"user_creation_mode": "always_create", "create_users_as_inactive": False},
        ),
        ("authentik_stages_user_login.userloginstage", {}),
    )
    authentication = site.add_flow(
        "bic-source-authentication",
        "authentication",
        ("authentik_stages_user_write.userwritestage", {"user_creation_mode": "never_create"}),
        ("authentik_stages_user_login.userloginstage", {}),
    )
    with site.server.store.write() as tx:
        made = tx.insert(
            OAUTH_SOURCE,
            {
                "name": "My institution",
                "slug": "federation",
                "provider_type": "openidconnect",
                "consumer_key": CLIENT_ID,
                "consumer_secret": CLIENT_SECRET,
                "oidc_well_known_url": f"{provider.url}/.well-known/openid-configuration",
                "pkce": "S256",
                "authentication_flow": authentication["pk"],
                "enrollment_flow": enrolment["pk"],
                "user_property_mappings": [mapping["pk"]],
                "user_path_template": "federation/%(slug)s",
            },
        )
        # The button on the login page.
        flow = tx.find(FLOW, slug="default-authentication-flow")
        assert flow is not None
        binding = tx.select(STAGE_BINDING, target=flow["pk"])[0]
        tx.set_links("authentik_flows.stage", "sources", binding["stage"], [made["pk"]])
    return made


@pytest.fixture(autouse=True)
def honest(provider: ForeignProvider, source: Row) -> Iterator[None]:
    provider.person = dict(IVY)
    yield
    provider.honest()


def begin(site: Site, browser: Browser) -> None:
    browser.open(f"{site.url}/source/oauth/login/federation/")


def me(site: Site, browser: Browser) -> str | None:
    answer = browser.client.get(f"{site.url}/api/v3/core/users/me/")
    return str(answer.json()["user"]["username"]) if answer.status_code == 200 else None


def users(site: Site, **equal: Any) -> list[Row]:
    return site.rows(USER, **equal)


def test_somebody_new_accepts_the_terms_and_goes_straight_through_after_that(
    site: Site, browser: Browser, provider: ForeignProvider
) -> None:
    client: Client = site.add_client("for-ivy")
    browser.open(client.url(site.url))
    assert "My institution" in browser.page.links
    page = browser.click("My institution")
    assert {
        name: provider.asked[name] for name in ("client_id", "response_type", "code_challenge_method")
    } == {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "code_challenge_method": "S256",
    }
    assert provider.asked["redirect_uri"] == f"{site.url}/source/oauth/callback/federation/"
    assert len(provider.asked["nonce"]) >= 32
    assert len(provider.asked["state"]) >= 32
    assert "I accept the terms of use" in page.words
    assert users(site, username="ivy@inst.example") == []
    page = browser.submit()
    assert "You must accept the terms of use." in page.words
    assert users(site, username="ivy@inst.example") == []
    browser.submit(terms_accepted="on")
    assert "code" in parse_qs(urlsplit(browser.location).query)
    (user,) = users(site, username="ivy@inst.example")
    names = ("eduperson_principal_name", "subject_id", "home_organization", "assurance", "entitlements")
    assert {name: user["attributes"][name] for name in names} == {name: IVY[name] for name in names}
    assert (user["name"], user["email"], user["path"]) == (
        "Ivy Example",
        "ivy@inst.example",
        "federation/federation",
    )
    assert user["attributes"]["goauthentik.io/user/sources"] == ["My institution"]

    provider.person |= {"home_organization": "other.example", "email": "ivy@other.example"}
    again = Browser()
    begin(site, again)
    assert me(site, again) == "ivy@inst.example"
    again.close()
    (user,) = users(site, username="ivy@inst.example")
    assert user["attributes"]["home_organization"] == "other.example"
    assert user["email"] == "ivy@other.example"


def test_an_address_never_links_accounts(site: Site, browser: Browser, provider: ForeignProvider) -> None:
    site.add_user("local", email="shared@inst.example")
    provider.person = {**IVY, "sub": "other", "preferred_username": "other", "email": "shared@inst.example"}
    begin(site, browser)
    browser.submit(terms_accepted="on")
    assert me(site, browser) == "other"
    assert len(users(site, email="shared@inst.example")) == 2


def test_a_name_that_is_taken_is_not_taken_over(
    site: Site, browser: Browser, provider: ForeignProvider
) -> None:
    provider.person = {**IVY, "sub": "impostor", "preferred_username": "akadmin"}
    begin(site, browser)
    page = browser.submit(terms_accepted="on")
    assert "Permission denied" in page.words
    assert me(site, browser) is None
    assert site.rows(CONNECTION, identifier="impostor") == []


def test_inactive_people_are_refused(site: Site, browser: Browser, provider: ForeignProvider) -> None:
    provider.person = {**IVY, "sub": "lapsed", "preferred_username": "lapsed"}
    begin(site, browser)
    browser.submit(terms_accepted="on")
    (user,) = users(site, username="lapsed")
    site.change_user(user, is_active=False)
    again = Browser()
    begin(site, again)
    assert "this account is not active" in again.page.words
    assert me(site, again) is None
    again.close()


@pytest.mark.parametrize(
    ("lies", "reason"),
    [
        ({"nonce": "another"}, "belongs to another login"),
        ({"nonce": None}, "belongs to another login"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"aud": "another-client"}, "for another client"),
        ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "issued to another client"),
        ({"exp": int(time.time()) - 3600}, "has expired"),
        ({"exp": None}, "has no times"),
        ({"iat": int(time.time()) + 3600}, "not valid yet"),
        ({"sub": ""}, "names nobody"),
    ],
)
def test_an_id_token_that_is_not_right_lets_nobody_in(
    site: Site, browser: Browser, provider: ForeignProvider, lies: dict[str, Any], reason: str
) -> None:
    provider.lies = lies
    begin(site, browser)
    assert reason in browser.page.words
    assert me(site, browser) is None
    assert not browser.page.has_form


def test_an_id_token_of_another_key_lets_nobody_in(
    site: Site, browser: Browser, provider: ForeignProvider
) -> None:
    provider.foreign_key = True
    begin(site, browser)
    assert "not signed by the provider" in browser.page.words
    assert me(site, browser) is None


def test_userinfo_of_somebody_else_lets_nobody_in(
    site: Site, browser: Browser, provider: ForeignProvider
) -> None:
    provider.userinfo_sub = "somebody-else"
    begin(site, browser)
    assert "somebody else" in browser.page.words
    assert me(site, browser) is None


def test_a_state_of_another_browser_lets_nobody_in(
    site: Site, browser: Browser, provider: ForeignProvider
) -> None:
    provider.state = "forged"
    begin(site, browser)
    assert "state does not belong to this browser" in browser.page.words
    assert me(site, browser) is None


def test_an_answer_counts_once_and_in_its_own_browser(
    site: Site, browser: Browser, provider: ForeignProvider
) -> None:
    begin(site, browser)
    state = provider.asked["state"]
    provider.codes["stolen"] = dict(provider.asked)
    callback = f"{site.url}/source/oauth/callback/federation/?code=stolen&state={state}"
    assert "no login was begun in this browser" in browser.open(callback).words
    other = Browser()
    assert "no login was begun in this browser" in other.open(callback).words
    assert me(site, other) is None
    other.close()


def test_what_the_provider_refuses_is_said(site: Site, browser: Browser, provider: ForeignProvider) -> None:
    provider.error = "access_denied"
    begin(site, browser)
    assert "access_denied" in browser.page.words
    assert site.rows("authentik_events.event", app="authentik.sources.oauth.views.callback")


def test_a_source_that_is_off_or_unknown_leads_nowhere(site: Site, browser: Browser, source: Row) -> None:
    assert browser.open(f"{site.url}/source/oauth/login/nothing/").status == 404
    with site.server.store.write() as tx:
        tx.update(OAUTH_SOURCE, source["pk"], {"enabled": False})
    try:
        assert browser.open(f"{site.url}/source/oauth/login/federation/").status == 404
        browser.open(f"{site.url}/if/flow/default-authentication-flow/")
        assert "My institution" not in browser.page.links
    finally:
        with site.server.store.write() as tx:
            tx.update(OAUTH_SOURCE, source["pk"], {"enabled": True})


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("email_link", "linked"),
        ("email_deny", "denied"),
        ("username_link", "linked"),
        ("username_deny", "denied"),
    ],
)
def test_the_other_modes_of_matching(
    site: Site, browser: Browser, provider: ForeignProvider, *, source: Row, mode: str, outcome: str
) -> None:
    name = mode.replace("_", "-")
    site.add_user(name, email=f"{name}@inst.example")
    provider.person = {**IVY, "sub": name, "preferred_username": name, "email": f"{name}@inst.example"}
    with site.server.store.write() as tx:
        tx.update(OAUTH_SOURCE, source["pk"], {"user_matching_mode": mode})
    try:
        begin(site, browser)
    finally:
        with site.server.store.write() as tx:
            tx.update(OAUTH_SOURCE, source["pk"], {"user_matching_mode": "identifier"})
    if outcome == "linked":
        assert me(site, browser) == name
    else:
        assert "has been denied" in browser.page.words
        assert me(site, browser) is None


def test_somebody_logged_in_links_an_identity_to_themselves(
    site: Site, browser: Browser, provider: ForeignProvider
) -> None:
    user = site.add_user("linker")
    browser.open(f"{site.url}/flows/-/default/authentication/")
    browser.log_in("linker", PASSWORD)
    provider.person = {**IVY, "sub": "linker-at-home"}
    begin(site, browser)
    (connection,) = site.rows(CONNECTION, identifier="linker-at-home")
    assert connection["user"] == user["pk"]


def test_a_form_with_keys_of_attributes_replaces_those_of_the_source(
    site: Site, browser: Browser, provider: ForeignProvider, source: Row
) -> None:
    """A trap of upstream's: keys with dots make dicts, and those replace what was there."""
    with site.server.store.write() as tx:
        prompt = tx.insert(
            PROMPT,
            {"name": "dotted", "field_key": "attributes.accepted", "label": "Accepted", "type": "checkbox"},
        )
    flow = site.add_flow(
        "dotted-enrolment",
        "enrollment",
        ("authentik_stages_prompt.promptstage", {"fields": [prompt["pk"]]}),
        ("authentik_stages_user_write.userwritestage", {"create_users_as_inactive": False}),
        ("authentik_stages_user_login.userloginstage", {}),
    )
    with site.server.store.write() as tx:
        tx.update(OAUTH_SOURCE, source["pk"], {"enrollment_flow": flow["pk"]})
    try:
        provider.person = {**IVY, "sub": "dotted", "preferred_username": "dotted"}
        begin(site, browser)
        browser.submit(**{"attributes.accepted": "on"})
    finally:
        with site.server.store.write() as tx:
            tx.update(OAUTH_SOURCE, source["pk"], {"enrollment_flow": source["enrollment_flow"]})
    (user,) = users(site, username="dotted")
    assert user["attributes"]["accepted"] is True
    assert "home_organization" not in user["attributes"]
