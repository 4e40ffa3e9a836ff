"""The portal: whom it lets in, what they see, and what it trusts of the single sign-on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from oidc_provider import new_key
from portal_site import Site

from controlplane.errors import BadInputError
from controlplane.model import InventoryError, Platform, load_platform
from controlplane.portal import login
from controlplane.portal.serve import serve
from controlplane.portal.standing import Standing, standings

ANNE = {
    "name": "Anne <b>O'Brien</b>",
    "email": "anne@west.example",
    "bic_account": "aobrien",
    "home_organization": "west.example",
    "groups": ["nord-cells.contributors", "nord-roots.pi", "somebody else's", "nord.referents"],
}


def held_by(page: httpx.Response) -> bool:
    return "Log out" in page.text


def test_groups_stand_for_roles_and_others_for_none(platform: Platform) -> None:
    assert standings(platform, ANNE["groups"]) == [
        Standing("Nord <imaging> & more", "", "referent", "/testZone/home/nord"),
        Standing("Nord <imaging> & more", "Cells", "contributor", "/testZone/home/nord-cells", "nord-cells"),
        Standing("Nord <imaging> & more", "Roots", "pi", "/testZone/home/nord-roots", "nord-roots"),
    ]
    assert standings(platform, ["nord", "nord-cells", "nord-cells.owners", "test.administrators"]) == []


def test_a_visitor_logs_in_sees_their_teams_and_logs_out(site: Site) -> None:
    site.provider.claims = ANNE
    with site.browser() as browser:
        assert not held_by(browser.get("/"))
        page = browser.get("/login")
        assert page.url.path == "/"
        assert "Anne &lt;b&gt;O&#39;Brien&lt;/b&gt;" in page.text
        assert "Nord &lt;imaging&gt; &amp; more" in page.text
        assert "/testZone/home/nord-cells" in page.text
        (asked,) = site.provider.asked
        assert asked["redirect_uri"] == f"{site.portal}/login/callback"
        assert asked["code_challenge_method"] == "S256"
        assert asked["state"] != asked["nonce"]
        left = browser.post("/logout", follow_redirects=False)
        where = urlsplit(left.headers["location"])
        assert (where.path, where.query) == ("/o/end-session", "")
        assert not held_by(browser.get("/"))


def test_somebody_without_account_and_team_is_told_what_to_do(site: Site) -> None:
    site.provider.claims = {"name": "New", "email": "new@east.example"}
    with site.browser() as browser:
        page = browser.get("/login")
    assert "You are in no team yet" in page.text
    assert "None yet" in page.text


def test_pages_carry_what_protects_them_and_the_cookie_is_the_hosts_alone(site: Site) -> None:
    with site.browser() as browser:
        for path in ("/", "/static/portal.css", "/nothing"):
            headers = browser.get(path).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
        begun = browser.get("/login", follow_redirects=False)
    cookie = begun.headers["set-cookie"].lower()
    assert cookie.startswith("__host-bic-portal=")
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "domain=" not in cookie


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "somebody else's"},
        {"aud": "grafana"},
        {"aud": ["portal", "grafana"], "azp": "grafana"},
        {"iss": "https://elsewhere.example/"},
        {"exp": 1},
        {"sub": None},
    ],
    ids="-".join,
)
def test_an_id_token_that_is_not_for_this_login_is_refused(site: Site, claims: Mapping[str, Any]) -> None:
    site.provider.claims = {**ANNE, **claims}
    with site.browser() as browser:
        page = browser.get("/login")
        assert page.status_code == 502
        assert "Begin again" in page.text
        assert not held_by(browser.get("/"))


def test_an_id_token_of_another_key_is_refused(site: Site) -> None:
    site.provider.claims = ANNE
    site.provider.signing_key = new_key("published")
    with site.browser() as browser:
        assert browser.get("/login").status_code == 502
        assert not held_by(browser.get("/"))


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(site: Site) -> None:
    """Neither with a code of the attacker's own login, nor without any state."""
    site.provider.claims = ANNE
    with site.browser() as attacker, site.browser() as victim:
        to_provider = attacker.get("/login", follow_redirects=False).headers["location"]
        back = attacker.get(to_provider, follow_redirects=False).headers["location"]
        for url in (back, back.partition("state=")[0], f"{site.portal}/login/callback"):
            page = victim.get(url)
            assert "no longer valid" in page.text
            assert not held_by(victim.get("/"))
        # Where it was asked for, it counts, and only once.
        assert held_by(attacker.get(back))
        assert "no longer valid" in attacker.get(back).text


def test_a_refused_login_is_said(site: Site) -> None:
    site.provider.error = "access_denied"
    with site.browser() as browser:
        assert "refused the login" in browser.get("/login").text


def test_a_login_must_be_renewed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.provider.claims = ANNE
    with site.browser() as browser:
        assert held_by(browser.get("/login"))
        now = login.time.time()
        monkeypatch.setattr(login.time, "time", lambda: now + login.SESSION_SECONDS + 1)
        assert not held_by(browser.get("/"))


def test_a_session_of_ones_own_making_counts_for_nothing(site: Site) -> None:
    with site.browser() as browser:
        browser.cookies.set("__Host-bic-portal", "eyJwZXJzb24iOiB7fX0=.aaaa.bbbb")
        page = browser.get("/")
    assert page.status_code == 200
    assert not held_by(page)


def test_a_login_server_that_does_not_answer_is_said(site: Site) -> None:
    site.provider.down = True
    with site.browser() as browser:
        page = browser.get("/login")
    assert page.status_code == 502
    assert "does not answer" in page.text


def test_a_portal_that_cannot_start_says_why(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTAL_SECRET", "secret")
    with pytest.raises(BadInputError, match=r"ca\.crt.*No such file"):
        serve(platform, "127.0.0.1", 0, tmp_path / "no.crt", tmp_path / "no.key")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("host: one, url", "host: two, url", "there is no host 'two'"),
        (", controlplane]", "]", "does not have the service controlplane"),
        ("identity:", "#", "describe it under 'identity'"),
    ],
)
def test_a_portal_that_fits_no_host_or_login_server_is_refused(
    platform: Platform, old: str, new: str, said: str
) -> None:
    file = platform.root / "platform.yml"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(InventoryError, match=said):
        load_platform(platform.root)
