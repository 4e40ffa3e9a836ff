"""What the platform expects of a Grafana that its role configured, whichever it is."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from grafana_site import Site

FOLDER = Path(__file__).parents[3] / "monitoring/dashboards"
DASHBOARDS = {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json")}
# Not the administrator with a wrong password: Grafana locks an account after a few of those.
STRANGER = ("nobody", "not a password")
CLOSED = [
    "/api/datasources",
    "/api/datasources/uid/prometheus-dc1-monitor",
    "/api/search",
    "/api/dashboards/uid/bic-overview",
    "/api/org",
]


def get(site: Site, path: str, status: int = 200) -> Any:
    with site.client() as client:
        answer = client.get(path)
    assert answer.status_code == status, answer.text
    return answer.json()


def data_sources(site: Site) -> dict[str, dict[str, Any]]:
    return {source["uid"]: source for source in get(site, "/api/datasources")}


def test_health_needs_no_login(site: Site) -> None:
    with site.client(signed_in=False) as client:
        answer = client.get("/api/health")
    assert answer.status_code == 200
    assert answer.json()["database"] == "ok"
    assert answer.json()["version"]


@pytest.mark.parametrize("path", CLOSED)
def test_nobody_is_let_in_without_an_account(site: Site, path: str) -> None:
    with site.client(signed_in=False) as client:
        assert client.get(path).status_code == 401
        assert client.get(path, auth=STRANGER).status_code == 401


@pytest.mark.parametrize("path", ["/", "/dashboards", "/d/bic-overview/national-overview"])
def test_pages_lead_to_the_login(site: Site, path: str) -> None:
    with site.client(signed_in=False) as client:
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer.headers["Location"].partition("?")[0].endswith("/login")
        assert client.get("/login").status_code == 200


def test_it_tells_browsers_to_come_back_encrypted_and_in_no_frame(site: Site) -> None:
    with site.client(signed_in=False) as client:
        headers = client.get("/login").headers
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"].lower() == "deny"


def test_a_session_is_a_cookie_that_only_the_server_reads(site: Site) -> None:
    with site.client(signed_in=False) as client:
        user, password = site.login
        answer = client.post("/login", json={"user": user, "password": password})
        assert answer.status_code == 200, answer.text
        cookie = next(
            value for value in answer.headers.get_list("Set-Cookie") if value.startswith("grafana_session=")
        ).lower()
        assert all(word in cookie for word in ("httponly", "secure", "samesite=lax"))
        assert client.get("/api/search").status_code == 200


def test_a_wrong_password_begins_no_session(site: Site) -> None:
    with site.client(signed_in=False) as client:
        answer = client.post("/login", json=dict(zip(("user", "password"), STRANGER, strict=True)))
        assert answer.status_code == 401
        assert client.get("/api/search").status_code == 401


def test_data_sources_are_from_files_and_show_no_secret(site: Site) -> None:
    found = data_sources(site)
    assert found
    assert [source["isDefault"] for source in found.values()].count(True) == 1
    for uid, source in found.items():
        assert uid.startswith("prometheus-")
        assert source["type"] == "prometheus"
        assert source["url"].startswith("https://")
        assert source["readOnly"] is True
        assert source["jsonData"]["tlsAuthWithCACert"] is True
        one = get(site, f"/api/datasources/uid/{uid}")
        assert one["secureJsonFields"]["tlsCACert"] is True
        assert "BEGIN CERTIFICATE" not in json.dumps(one)


def test_the_default_data_source_is_well(site: Site) -> None:
    (uid,) = [uid for uid, source in data_sources(site).items() if source["isDefault"]]
    assert get(site, f"/api/datasources/uid/{uid}/health")["status"] == "OK"


def test_a_data_source_that_there_is_not(site: Site) -> None:
    get(site, "/api/datasources/uid/prometheus-nowhere", 404)
    get(site, "/api/datasources/uid/prometheus-nowhere/health", 404)


def test_all_dashboards_are_found(site: Site) -> None:
    found = {hit["uid"]: hit for hit in get(site, "/api/search?type=dash-db&tag=bic")}
    assert set(found) == set(DASHBOARDS)
    for uid, hit in found.items():
        assert hit["title"] == DASHBOARDS[uid]["title"]
        assert hit["url"].startswith(f"/d/{uid}/")
        assert hit["folderUid"] == "bic"
    assert [hit["uid"] for hit in get(site, "/api/search?type=dash-folder")] == ["bic"]
    assert [hit["uid"] for hit in get(site, "/api/search?type=dash-db&query=national")] == ["bic-overview"]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_a_dashboard_is_what_its_file_says(site: Site, uid: str) -> None:
    found = get(site, f"/api/dashboards/uid/{uid}")
    assert found["meta"]["provisioned"] is True
    assert found["meta"]["provisionedExternalId"] == f"{uid}.json"
    shown, written = (
        [panel.get("title") for panel in each["panels"]] for each in (found["dashboard"], DASHBOARDS[uid])
    )
    assert shown == written


def test_a_dashboard_that_there_is_not(site: Site) -> None:
    get(site, "/api/dashboards/uid/bic-nothing", 404)


def test_nobody_changes_a_dashboard_in_the_pages(site: Site) -> None:
    found = get(site, "/api/dashboards/uid/bic-overview")["dashboard"]
    with site.client() as client:
        answer = client.post("/api/dashboards/db", json={"dashboard": found, "overwrite": True})
    assert answer.status_code == 400
    assert "provisioned" in answer.json()["message"]


def test_metrics_are_for_who_has_their_password(site: Site) -> None:
    with site.client(signed_in=False) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", auth=("prometheus", "not the password")).status_code == 401
        if site.metrics:
            answer = client.get("/metrics", auth=site.metrics)
            assert answer.status_code == 200
            assert "grafana_build_info{" in answer.text


def test_it_speaks_no_plain_text(site: Site) -> None:
    with pytest.raises(httpx.RemoteProtocolError), httpx.Client(timeout=60) as client:
        client.get(site.url.replace("https://", "http://") + "/login").raise_for_status()
