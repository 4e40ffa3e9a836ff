"""The login pages and the sessions behind them."""

import base64
import time

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from login_browser import Browser
from login_site import HTTP, PASSWORD, Site

from sandbox.standins.authentik import clock
from sandbox.standins.authentik.login import throttle
from sandbox.standins.authentik.login.flow_api import CAN_OVERRIDE_IP
from sandbox.standins.authentik.models.core import BRAND, TOKEN

SESSIONS = "/api/v3/core/authenticated_sessions/"


@pytest.fixture(scope="module", autouse=True)
def people(site: Site) -> None:
    site.add_user("bea", email="bea@example.org")


def logged_in(site: Site, browser: Browser, username: str = "bea", password: str = PASSWORD) -> Browser:
    browser.open(f"{site.url}/if/user/")
    browser.log_in(username, password)
    assert "You are logged in as" in browser.page.words, browser.page.words
    return browser


def api(site: Site) -> dict[str, str]:
    return {"Authorization": f"Bearer {site.server.token}"}


def test_fields_have_labels_and_the_page_lets_no_script_of_others_in(site: Site, browser: Browser) -> None:
    page = browser.open(f"{site.url}/if/user/")
    assert "user name" in page.labels["uid_field"].lower()
    page = browser.submit(uid_field="bea")
    assert page.labels["password"] == "Password"
    headers = browser.client.get(str(page.url)).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


def test_names_and_addresses_count_in_any_case(site: Site, browser: Browser) -> None:
    logged_in(site, browser, "BEA@example.org")


def test_a_name_that_nobody_has_is_answered_like_a_wrong_password(site: Site, browser: Browser) -> None:
    answers = []
    for username in ("bea", "nobody-of-that-name"):
        browser.open(f"{site.url}/flows/-/cancel/")
        page = browser.log_in(username, "wrong")
        answers.append(page.words.replace(username, "NAME"))
    assert answers[0] == answers[1]
    assert "Invalid password" in answers[0]


def test_a_form_without_its_token_is_refused(site: Site, browser: Browser) -> None:
    browser.open(f"{site.url}/if/user/")
    page = browser.submit(uid_field="bea", csrf="forged")
    assert page.status == 403
    with httpx.Client(timeout=60) as other:
        address = f"{site.url}/if/flow/default-authentication-flow/"
        assert other.post(address, data={"uid_field": "bea"}).status_code == 403


def test_the_session_key_changes_with_the_login(site: Site, browser: Browser) -> None:
    browser.open(f"{site.url}/if/user/")
    before = browser.client.cookies["authentik_session"]
    logged_in(site, browser)
    assert browser.client.cookies["authentik_session"] != before
    with httpx.Client(cookies={"authentik_session": before}, timeout=60) as thief:
        assert thief.get(f"{site.url}/api/v3/core/users/me/").status_code == 403


def test_next_leads_nowhere_else(site: Site, browser: Browser) -> None:
    for address in ("https://evil.example/", "//evil.example/", "/\\evil.example/"):
        browser.open(f"{site.url}/flows/-/cancel/")
        browser.open(
            str(httpx.URL(f"{site.url}/if/flow/default-authentication-flow/", params={"next": address}))
        )
        page = browser.log_in("bea", PASSWORD)
        assert (page.url.host, page.url.path) == ("127.0.0.1", "/if/user/")
        browser.client.cookies.clear()


def test_sessions_are_listed_and_their_deletion_ends_them_at_once(site: Site, browser: Browser) -> None:
    user = site.add_user("listed")
    logged_in(site, browser, "listed")
    query = {"user__username": "listed"}
    found = HTTP.get(f"{site.url}{SESSIONS}", params=query, headers=api(site)).json()["results"]
    assert [row["user"] for row in found] == [user["pk"]]
    assert browser.client.get(f"{site.url}/api/v3/core/users/me/").json()["user"]["username"] == "listed"
    assert HTTP.delete(f"{site.url}{SESSIONS}{found[0]['uuid']}/", headers=api(site)).status_code == 204
    assert browser.client.get(f"{site.url}/api/v3/core/users/me/").status_code == 403
    assert "uid_field" in browser.open(f"{site.url}/if/user/").fields


def test_somebody_made_inactive_is_logged_out_and_does_not_come_back(site: Site, browser: Browser) -> None:
    user = site.add_user("gone")
    logged_in(site, browser, "gone")
    site.change_user(user, is_active=False)
    assert "uid_field" in browser.open(f"{site.url}/if/user/").fields
    page = browser.log_in("gone", PASSWORD)
    assert "Invalid password" in page.words


def test_sessions_last_as_long_as_the_stage_says(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_user("short")
    logged_in(site, browser, "short")
    later = clock.text(clock.parse(clock.now()) + clock.duration("hours=25"))
    monkeypatch.setattr(clock, "now", lambda: later)
    assert "uid_field" in browser.open(f"{site.url}/if/user/").fields


def test_logout_ends_the_session(site: Site, browser: Browser) -> None:
    logged_in(site, browser)
    before = browser.client.cookies["authentik_session"]
    browser.click("Log out")
    with httpx.Client(cookies={"authentik_session": before}, timeout=60) as later:
        assert later.get(f"{site.url}/api/v3/core/users/me/").status_code == 403


def test_failed_logins_are_events_and_are_slowed_down(site: Site, browser: Browser) -> None:
    site.add_user("attacked")
    for _ in range(throttle.PER_ACCOUNT_AND_ADDRESS):
        browser.open(f"{site.url}/flows/-/cancel/")
        assert "Invalid password" in browser.log_in("attacked", "guess").words
    browser.open(f"{site.url}/flows/-/cancel/")
    assert "Invalid password" in browser.log_in("attacked", PASSWORD).words
    failed = site.rows("authentik_events.event", action="login_failed")
    contexts = [row["context"] for row in failed if row["context"].get("username") == "attacked"]
    assert len(contexts) == throttle.PER_ACCOUNT_AND_ADDRESS + 1
    assert "guess" not in str(contexts)
    browser.open(f"{site.url}/flows/-/cancel/")
    logged_in(site, browser)


def test_one_address_does_not_try_all_accounts(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "PER_ADDRESS", 3)
    browser.client.headers["X-Forwarded-For"] = "203.0.113.77"
    for number in range(3):
        browser.open(f"{site.url}/flows/-/cancel/")
        browser.log_in(f"guessed-{number}", "guess")
    browser.open(f"{site.url}/flows/-/cancel/")
    assert "Invalid password" in browser.log_in("bea", PASSWORD).words
    browser.client.headers["X-Forwarded-For"] = "203.0.113.78"
    browser.open(f"{site.url}/flows/-/cancel/")
    logged_in(site, browser)


def test_too_many_wrong_passwords_end_the_flow(site: Site, browser: Browser) -> None:
    site.add_user("clumsy")
    browser.open(f"{site.url}/if/user/")
    browser.submit(uid_field="clumsy")
    for _ in range(5):
        assert "Invalid password" in browser.submit(password="wrong").words
    assert "Permission denied" in browser.submit(password="wrong").words


@pytest.fixture(scope="module")
def second_factor(site: Site) -> str:
    """A login that asks members of `administrators` for a second factor, set up at the first login."""
    setup = "authentik_stages_authenticator_totp.authenticatortotpstage"
    with site.server.store.write() as tx:
        totp = tx.insert(setup, {"name": "bic totp"})
    flow = site.add_flow(
        "bic-authentication",
        "authentication",
        ("authentik_stages_identification.identificationstage", {"user_fields": ["username"]}),
        (
            "authentik_stages_password.passwordstage",
            {"backends": ["authentik.core.auth.InbuiltBackend", "authentik.core.auth.TokenBackend"]},
        ),
        (
            "authentik_stages_authenticator_validate.authenticatorvalidatestage",
            {
                "group": "administrators",
                "not_configured_action": "configure",
                "device_classes": ["totp", "static"],
                "configuration_stages": [totp["pk"]],
            },
        ),
        ("authentik_stages_user_login.userloginstage", {"session_duration": "hours=8"}),
    )
    site.add_user("root1", groups=("administrators",))
    return f"/if/flow/{flow['slug']}/"


def code_of(secret: str, offset: int = 0) -> str:
    app = TOTP(base64.b32decode(secret), 6, SHA1(), 30)  # noqa: S303 - what authenticator apps speak
    return app.generate(int(time.time()) + offset).decode()


def test_administrators_set_up_and_use_a_second_factor(
    site: Site, browser: Browser, second_factor: str
) -> None:
    browser.open(f"{site.url}{second_factor}")
    page = browser.log_in("root1", PASSWORD)
    secret = page.words.split("\nKey\n")[1].split("\n")[0]
    assert "Code does not match" in browser.submit(code="000000").words
    browser.submit(code=code_of(secret))
    assert browser.client.get(f"{site.url}/api/v3/core/users/me/").json()["user"]["username"] == "root1"

    again = Browser()
    again.open(f"{site.url}{second_factor}")
    again.log_in("root1", PASSWORD)
    assert again.page.labels["code"] == "Code"
    assert again.client.get(f"{site.url}/api/v3/core/users/me/").status_code == 403
    assert "Invalid Token" in again.submit(code="000000").words
    # The code of the set-up was used; a code counts once.
    assert "Invalid Token" in again.submit(code=code_of(secret)).words
    again.submit(code=code_of(secret, 30))
    assert again.client.get(f"{site.url}/api/v3/core/users/me/").json()["user"]["username"] == "root1"
    again.close()


def test_others_are_not_asked_for_a_second_factor(site: Site, browser: Browser, second_factor: str) -> None:
    browser.open(f"{site.url}{second_factor}")
    browser.log_in("bea", PASSWORD)
    assert browser.client.get(f"{site.url}/api/v3/core/users/me/").json()["user"]["username"] == "bea"
    cookie = next(cookie for cookie in browser.client.cookies.jar if cookie.name == "authentik_session")
    assert cookie.expires is not None
    assert 7.9 * 3600 < cookie.expires - time.time() < 8.1 * 3600


def test_a_recovery_code_counts_once(site: Site, browser: Browser, second_factor: str) -> None:
    user = site.add_user("root2", groups=("administrators",))
    with site.server.store.write() as tx:
        values = {"name": "codes", "user": user["pk"], "tokens": ["abc123", "def456"]}
        tx.insert("authentik_stages_authenticator_static.staticdevice", values)
    browser.open(f"{site.url}{second_factor}")
    browser.log_in("root2", PASSWORD)
    browser.submit(code="abc123")
    assert browser.client.get(f"{site.url}/api/v3/core/users/me/").status_code == 200
    again = Browser()
    again.open(f"{site.url}{second_factor}")
    again.log_in("root2", PASSWORD)
    assert "Invalid Token" in again.submit(code="abc123").words
    again.close()


def test_the_json_interface_answers_as_recorded(site: Site) -> None:
    """The exchanges of a real server with the same flow (`login/*` of its trace)."""
    path = f"{site.url}/api/v3/flows/executor/default-authentication-flow/?query="
    with httpx.Client(timeout=60) as client:
        first = client.get(path).json()
        assert first["component"] == "ak-stage-identification"
        assert first["user_fields"] == ["email", "username"]
        assert first["flow_info"]["title"] == "Welcome to authentik!"
        identified = client.post(path, json={"component": "ak-stage-identification", "uid_field": "bea"})
        assert (identified.status_code, identified.headers["location"]) == (302, path.removeprefix(site.url))
        asked = client.get(path).json()
        assert (asked["component"], asked["pending_user"]) == ("ak-stage-password", "bea")
        wrong = client.post(path, json={"component": "ak-stage-password", "password": "wrong"})
        assert wrong.status_code == 200
        errors = wrong.json()["response_errors"]
        assert errors == {"password": [{"string": "Invalid password", "code": "invalid"}]}
        right = client.post(path, json={"component": "ak-stage-password", "password": PASSWORD})
        assert right.status_code == 302
        assert client.get(path).json() == {"component": "xak-flow-redirect", "to": "/"}
        assert client.get(f"{site.url}/api/v3/core/users/me/").json()["user"]["username"] == "bea"
        # A form of a foreign page cannot be JSON.
        assert client.post(path, data={"uid_field": "bea"}).status_code == 400


def test_only_an_outpost_may_say_for_whom_it_asks(site: Site) -> None:
    asks = site.add_user("asks", type="service_account", attributes={CAN_OVERRIDE_IP: True})
    plain = site.add_user("plain", type="service_account")
    path = f"{site.url}/api/v3/flows/executor/default-authentication-flow/"
    for user, address in ((asks, "203.0.113.9"), (plain, "127.0.0.1")):
        with site.server.store.write() as tx:
            token = tx.insert(
                TOKEN, {"identifier": f"api-{user['pk']}", "user": user["pk"], "expiring": False}
            )
        headers = {"X-authentik-outpost-token": token["key"], "X-authentik-remote-ip": "203.0.113.9"}
        name = f"nobody-{user['username']}"
        with httpx.Client(headers=headers, follow_redirects=True, timeout=60) as client:
            client.get(path)
            client.post(path, json={"uid_field": name})
            client.post(path, json={"password": "wrong"})
        failed = site.rows("authentik_events.event", action="login_failed")
        assert [row["client_ip"] for row in failed if row["context"].get("username") == name] == [address]


def test_the_brand_gives_pages_its_name(site: Site, browser: Browser) -> None:
    with site.server.store.write() as tx:
        brand = tx.find(BRAND, default=True)
        assert brand is not None
        tx.update(BRAND, brand["pk"], {"branding_title": "BioImage <Cloud>"})
    try:
        page = browser.open(f"{site.url}/if/user/")
        assert "BioImage <Cloud>" in page.words
        assert "<Cloud>" not in page.text
    finally:
        with site.server.store.write() as tx:
            tx.update(BRAND, brand["pk"], {"branding_title": "authentik"})
