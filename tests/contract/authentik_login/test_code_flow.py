"""The authorization code flow, from the client's side and the browser's."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from login_browser import Browser
from login_site import HTTP, PASSWORD, STATE, VERIFIER, Client, Site

from sandbox.standins.authentik import clock

SCOPE = "openid email profile bic offline_access"


def discovery(site: Site, client: Client) -> dict[str, object]:
    answer = HTTP.get(f"{site.url}/application/o/{client.slug}/.well-known/openid-configuration")
    assert answer.status_code == 200
    return answer.json()


def authorized(
    site: Site, browser: Browser, client: Client, scope: str = SCOPE, username: str = "ana"
) -> str:
    """Log in and come back with an address that has a code; consents on the way."""
    browser.open(client.url(site.url, scope=scope))
    if "uid_field" in browser.page.fields:
        browser.log_in(username, PASSWORD)
    if not browser.location:
        assert "You're about to sign into" in browser.page.words
        browser.submit()
    assert parse_qs(urlsplit(browser.location).query)["state"] == [STATE]
    return browser.location


def code_of(location: str) -> str:
    return parse_qs(urlsplit(location).query)["code"][0]


def exchange(site: Site, client: Client, granted: str, **changes: str | None) -> httpx.Response:
    data = {
        "grant_type": "authorization_code",
        "code": granted,
        "redirect_uri": client.redirect_uri,
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "code_verifier": VERIFIER,
    }
    data |= changes
    return HTTP.post(
        f"{site.url}/application/o/token/",
        data={key: value for key, value in data.items() if value is not None},
    )


@pytest.fixture(scope="module")
def client(site: Site) -> Client:
    attributes = {"bic_account": "ana1", "home_organization": "inst.example", "entitlements": ["urn:x:y"]}
    site.add_user("ana", groups=("staff",), email="ana@example.org", attributes=attributes)
    return site.add_client("portal")


def test_tokens_say_who_logged_in_to_whom(site: Site, browser: Browser, client: Client) -> None:
    location = authorized(site, browser, client)
    document = discovery(site, client)
    token = exchange(site, client, code_of(location)).json()
    keys = KeySet.import_key_set(HTTP.get(str(document["jwks_uri"])).json())
    claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
    assert claims["iss"] == document["issuer"] == f"{site.url}/application/o/portal/"
    assert claims["aud"] == client.client_id
    assert claims["nonce"] == "n-1"
    assert claims["email"] == "ana@example.org"
    assert claims["groups"] == ["staff"]
    assert claims["amr"] == ["pwd"]
    assert claims["bic"] == {
        "account": "ana1",
        "home_organization": "inst.example",
        "entitlements": ["urn:x:y"],
    }
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    userinfo = HTTP.get(str(document["userinfo_endpoint"]), headers=bearer).json()
    assert userinfo["sub"] == claims["sub"]
    assert userinfo["preferred_username"] == "ana"


def test_issuer_follows_the_host_by_which_the_server_was_called(site: Site, client: Client) -> None:
    answer = HTTP.get(
        f"{site.url}/application/o/portal/.well-known/openid-configuration",
        headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "login.example.org"},
    )
    assert answer.json()["issuer"] == "https://login.example.org/application/o/portal/"
    assert answer.json()["token_endpoint"].startswith("https://login.example.org/")


def test_second_application_needs_no_second_login(site: Site, browser: Browser, client: Client) -> None:
    other = site.add_client("grafana")
    authorized(site, browser, client, "openid")
    location = authorized(site, browser, other, "openid")
    assert exchange(site, other, code_of(location)).status_code == 200


def test_consent_is_asked_where_the_flow_wants_it(site: Site, browser: Browser, client: Client) -> None:
    other = site.add_client("asks", consent=True)
    browser.open(other.url(site.url, scope="openid email"))
    browser.log_in("ana", PASSWORD)
    assert browser.location == ""
    assert "Email address" in browser.page.words
    browser.submit(token="wrong")
    assert browser.location == ""
    browser.submit()
    assert "code" in parse_qs(urlsplit(browser.location).query)


def test_refresh_rotates_and_a_second_use_ends_everything(
    site: Site, browser: Browser, client: Client
) -> None:
    first = exchange(site, client, code_of(authorized(site, browser, client))).json()

    def refresh(token: str) -> httpx.Response:
        data = {"grant_type": "refresh_token", "refresh_token": token}
        auth = (client.client_id, client.client_secret)
        return HTTP.post(f"{site.url}/application/o/token/", data=data, auth=auth)

    second = refresh(first["refresh_token"])
    assert second.status_code == 200, second.text
    assert second.json()["refresh_token"] != first["refresh_token"]
    again = refresh(first["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert refresh(second.json()["refresh_token"]).json()["error"] == "invalid_grant"
    bearer = {"Authorization": f"Bearer {second.json()['access_token']}"}
    assert HTTP.get(f"{site.url}/application/o/userinfo/", headers=bearer).status_code == 401
    assert site.rows("authentik_events.event", action="suspicious_request")


def test_without_offline_access_there_is_no_refresh_token(
    site: Site, browser: Browser, client: Client
) -> None:
    answer = exchange(site, client, code_of(authorized(site, browser, client, "openid"))).json()
    assert "refresh_token" not in answer


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 64}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_grant"),
        ({"redirect_uri": "https://portal.example/portal/callback/"}, "invalid_client"),
        ({"redirect_uri": "https://portal.example/portal/callback?x=1"}, "invalid_client"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_secret": None}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"code": "0" * 32}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_wrong_token_request_is_refused(
    site: Site, browser: Browser, client: Client, changes: dict[str, str | None], error: str
) -> None:
    code = code_of(authorized(site, browser, client, "openid"))
    answer = exchange(site, client, code, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_code_is_good_once(site: Site, browser: Browser, client: Client) -> None:
    code = code_of(authorized(site, browser, client, "openid"))
    assert exchange(site, client, code).status_code == 200
    assert exchange(site, client, code).json()["error"] == "invalid_grant"


def test_a_code_that_was_tried_with_a_wrong_verifier_is_lost(
    site: Site, browser: Browser, client: Client
) -> None:
    code = code_of(authorized(site, browser, client, "openid"))
    assert exchange(site, client, code, code_verifier="w" * 64).json()["error"] == "invalid_grant"
    assert exchange(site, client, code).json()["error"] == "invalid_grant"


def test_a_code_is_for_its_client_alone(site: Site, browser: Browser, client: Client) -> None:
    other = site.add_client("thief", redirect_uris=[{"matching_mode": "strict", "url": client.redirect_uri}])
    code = code_of(authorized(site, browser, client, "openid"))
    answer = exchange(site, other, code, redirect_uri=client.redirect_uri)
    assert answer.json()["error"] == "invalid_grant"


def test_a_code_runs_out(
    site: Site, browser: Browser, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = code_of(authorized(site, browser, client, "openid"))
    in_two_minutes = clock.text(clock.parse(clock.now()) + clock.duration("minutes=2"))
    monkeypatch.setattr(clock, "now", lambda: in_two_minutes)
    assert exchange(site, client, code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "address",
    [
        "https://portal.example/other",
        "https://portal.example/portal/callback/",
        "https://portal.example/portal/callback?next=x",
        "https://portal.example.evil.example/portal/callback",
        "javascript:alert(1)",
        "",
    ],
)
def test_a_redirect_address_must_be_the_registered_one(
    site: Site, browser: Browser, client: Client, address: str
) -> None:
    page = browser.open(client.url(site.url, redirect_uri=address or None))
    assert page.status == 400
    assert "redirection URI" in page.words
    assert browser.location == ""


def test_addresses_may_be_patterns_that_match_whole(site: Site, browser: Browser, client: Client) -> None:
    pattern = {"matching_mode": "regex", "url": r"https://portal\.example/[a-z]+/callback"}
    other = site.add_client("pattern", redirect_uris=[pattern])
    authorized(site, browser, other, "openid")
    longer = "https://portal.example/pattern/callback/more"
    assert browser.open(other.url(site.url, redirect_uri=longer)).status == 400


def test_a_public_client_must_prove_itself_by_pkce(site: Site, browser: Browser, client: Client) -> None:
    public = site.add_client("public", client_type="public", client_secret="")
    browser.open(public.url(site.url, code_challenge=None, code_challenge_method=None))
    query = parse_qs(urlsplit(browser.location).query)
    assert (query["error"], query["state"]) == (["invalid_request"], [STATE])
    code = code_of(authorized(site, browser, public, "openid"))
    answer = exchange(site, public, code, client_secret=None)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"request": "x"}, "request_not_supported"),
        ({"code_challenge_method": "S512"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_a_wrong_authorization_request_is_told_to_the_client(
    site: Site, browser: Browser, client: Client, more: dict[str, str], error: str
) -> None:
    browser.open(client.url(site.url, **more))
    answer = parse_qs(urlsplit(browser.location).query)
    assert (answer["error"], answer["state"]) == ([error], [STATE])


def test_only_members_of_its_group_enter_an_application(site: Site, browser: Browser, client: Client) -> None:
    closed = site.add_client("closed", group="staff")
    site.add_user("stranger")
    browser.open(closed.url(site.url))
    browser.log_in("stranger", PASSWORD)
    assert browser.location == ""
    assert "Permission denied" in browser.page.words
    other = Browser()
    authorized(site, other, closed, "openid")
    other.close()


def test_somebody_made_inactive_gets_no_more_tokens(site: Site, browser: Browser, client: Client) -> None:
    user = site.add_user("leaver")
    answer = exchange(site, client, code_of(authorized(site, browser, client, username="leaver"))).json()
    site.change_user(user, is_active=False)
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    assert HTTP.get(f"{site.url}/application/o/userinfo/", headers=bearer).status_code == 401
    data = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    refreshed = HTTP.post(
        f"{site.url}/application/o/token/", data=data, auth=(client.client_id, client.client_secret)
    )
    assert refreshed.json()["error"] == "invalid_grant"


def test_a_new_login_is_asked_for_by_prompt_and_by_age(
    site: Site, browser: Browser, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorized(site, browser, client, "openid")
    browser.open(client.url(site.url, prompt="login"))
    assert "uid_field" in browser.page.fields
    browser.log_in("ana", PASSWORD)
    assert browser.location
    later = clock.text(clock.parse(clock.now()) + clock.duration("minutes=10"))
    monkeypatch.setattr(clock, "now", lambda: later)
    browser.open(client.url(site.url, max_age="3600"))
    assert browser.location
    browser.open(client.url(site.url, max_age="60"))
    assert "uid_field" in browser.page.fields


def test_introspection_and_revocation_are_for_the_tokens_own_client(
    site: Site, browser: Browser, client: Client
) -> None:
    token = exchange(site, client, code_of(authorized(site, browser, client, "openid"))).json()[
        "access_token"
    ]
    other = site.add_client("curious")

    def introspect(who: Client) -> dict[str, object]:
        auth = (who.client_id, who.client_secret)
        return HTTP.post(f"{site.url}/application/o/introspect/", data={"token": token}, auth=auth).json()

    assert introspect(other) == {"active": False}
    found = introspect(client)
    assert (found["active"], found["client_id"], found["scope"]) == (True, client.client_id, "openid")
    revoke = f"{site.url}/application/o/revoke/"
    assert (
        HTTP.post(revoke, data={"token": token}, auth=(other.client_id, other.client_secret)).status_code
        == 200
    )
    assert introspect(client)["active"] is True
    assert HTTP.post(revoke, data={"token": token}, auth=(client.client_id, "wrong")).status_code == 401
    assert (
        HTTP.post(revoke, data={"token": token}, auth=(client.client_id, client.client_secret)).json() == {}
    )
    assert introspect(client) == {"active": False}


def test_logout_by_the_application_ends_the_session_and_goes_back(
    site: Site, browser: Browser, client: Client
) -> None:
    answer = exchange(site, client, code_of(authorized(site, browser, client, "openid"))).json()
    query = {
        "id_token_hint": answer["id_token"],
        "state": "s",
        "post_logout_redirect_uri": "https://evil.example/",
    }
    end = f"{site.url}/application/o/portal/end-session/"
    page = browser.open(str(httpx.URL(end, params=query)))
    assert (page.status, browser.location) == (400, "")
    query["post_logout_redirect_uri"] = "https://portal.example/portal/bye"
    browser.open(str(httpx.URL(end, params=query)))
    assert browser.location == "https://portal.example/portal/bye?state=s"
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    assert HTTP.get(f"{site.url}/application/o/userinfo/", headers=bearer).status_code == 401
    browser.open(f"{site.url}/if/user/")
    assert "uid_field" in browser.page.fields
