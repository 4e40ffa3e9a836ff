"""What the stand-in refuses as Grafana does, and that it says what it is."""

import shutil
from pathlib import Path

import httpx
import pytest
import yaml
from grafana_site import ADMINISTRATOR, PASSWORD, Site, overrides

from sandbox.standins.grafana import dashboards, sources
from sandbox.standins.grafana.launcher import running
from sandbox.standins.grafana.settings import SettingsError, load, parse
from sandbox.standins.grafana.sources import ProvisioningError

GOOD = {
    "apiVersion": 1,
    "datasources": [{"name": "One", "uid": "one", "type": "prometheus", "url": "https://192.0.2.1:9090"}],
}


@pytest.fixture
def copy(site: Site, tmp_path: Path) -> Path:
    """A copy of the stand-in's files, to break."""
    if site.folder is None:
        pytest.skip("a real server's files are not at hand")
    shutil.copytree(site.folder, tmp_path / "copy")
    return tmp_path / "copy"


def start(folder: Path) -> None:
    with running(folder / "grafana.ini", overrides(folder)):
        pass


def test_a_good_copy_starts(copy: Path) -> None:
    start(copy)


def test_pages_say_what_it_is(site: Site) -> None:
    if site.folder is None:
        pytest.skip("a real server is Grafana")
    with site.client(signed_in=False) as client:
        assert "STAND-IN, not Grafana" in client.get("/login").text
    with site.client() as client:
        page = client.get("/dashboards").text
        assert "STAND-IN, not Grafana" in page
        assert "National overview" in page
        assert "bic_irods_replica_bytes" in client.get("/d/bic-overview").text
        assert client.get("/login/generic_oauth").status_code == 501


def test_a_data_source_that_does_not_answer_is_told(site: Site) -> None:
    if site.folder is None:
        pytest.skip("a real server's data sources are well")
    with site.client() as client:
        answer = client.get("/api/datasources/uid/prometheus-dc2-monitor/health")
    assert (answer.status_code, answer.json()["status"]) == (400, "ERROR")


def test_a_data_source_of_another_authority_is_not_believed(copy: Path, site: Site) -> None:
    path = copy / "provisioning/datasources/bic.yaml"
    content = yaml.safe_load(path.read_text())
    del (
        content["datasources"][0]["secureJsonData"],
        content["datasources"][0]["jsonData"]["tlsAuthWithCACert"],
    )
    path.write_text(yaml.safe_dump(content))
    with running(copy / "grafana.ini", overrides(copy)) as url:
        answer = httpx.get(
            f"{url}/api/datasources/uid/prometheus-dc1-monitor/health",
            auth=(ADMINISTRATOR, PASSWORD),
            verify=site.verify,
            timeout=60,
        )
    assert answer.status_code == 400
    assert "CERTIFICATE_VERIFY_FAILED" in answer.json()["message"]


def test_the_password_counts_at_the_first_start_only(copy: Path, site: Site) -> None:
    assert site.folder
    config = (copy / "grafana.ini").read_text().replace(str(site.folder), str(copy))
    (copy / "grafana.ini").write_text(config)
    (copy / "secrets/admin_password").write_text("another-password-than-before")
    with running(copy / "grafana.ini", overrides(copy)) as url:
        for password, status in ((PASSWORD, 200), ("another-password-than-before", 401)):
            answer = httpx.get(
                f"{url}/api/search", auth=(ADMINISTRATOR, password), verify=site.verify, timeout=60
            )
            assert answer.status_code == status


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("datasources", "apiVersion: 1\ndatasources: [", "while parsing"),
        ("datasources", {**GOOD, "datasources": [{**GOOD["datasources"][0], "url": ""}]}, "cannot be empty"),
        (
            "datasources",
            {**GOOD, "datasources": [GOOD["datasources"][0], {**GOOD["datasources"][0], "name": "Two"}]},
            "another one has the uid 'one'",
        ),
        (
            "datasources",
            {
                **GOOD,
                "datasources": [
                    {**GOOD["datasources"][0], "uid": uid, "name": uid, "isDefault": True}
                    for uid in ("a", "b")
                ],
            },
            "only one data source can be marked as default",
        ),
        ("dashboards", "apiVersion: 1\nproviders: {", "while parsing"),
        ("dashboards", {"apiVersion": 1, "providers": [{"name": "x"}]}, "options.path must be the folder"),
        (
            "datasources",
            {**GOOD, "datasources": [{**GOOD["datasources"][0], "url": "$__file{/nowhere}"}]},
            "/nowhere",
        ),
    ],
)
def test_it_does_not_start_with_a_wrong_file(copy: Path, name: str, content: object, message: str) -> None:
    (copy / f"provisioning/{name}/bic.yaml").write_text(
        content if isinstance(content, str) else yaml.safe_dump(content)
    )
    with pytest.raises(ProvisioningError, match=message):
        start(copy)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("protocol = https", "protocol = socket", "serves http and https"),
        ("http_port = 443", "http_port = https", "http_port is 'https'; write a whole number"),
        ("secrets/secret_key", "secrets/no_key", "no_key"),
        ("cookie_secure = true", "cookie_secure", "is neither a section nor KEY = VALUE"),
    ],
)
def test_it_does_not_start_with_a_wrong_configuration(copy: Path, old: str, new: str, message: str) -> None:
    path = copy / "grafana.ini"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(SettingsError, match=message):
        start(copy)


def test_dashboards_with_one_uid_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for name in ("one", "other"):
        (tmp_path / f"files/{name}.json").write_text('{"uid": "same", "title": "A title"}')
    provider = {
        "name": "x",
        "type": "file",
        "updateIntervalSeconds": 0,
        "options": {"path": str(tmp_path / "files")},
    }
    (tmp_path / "x.yaml").write_text(yaml.safe_dump({"apiVersion": 1, "providers": [provider]}))
    (found,) = dashboards.read(tmp_path)
    found.interval = 0
    assert found.current() == {}
    (tmp_path / "files/other.json").unlink()
    assert set(found.current()) == {"same"}
    (tmp_path / "files/one.json").write_text("no JSON")
    assert found.current() == {}


def test_values_are_read_as_upstream_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = parse('[a.b]\nplain = one ; two\nquoted = """one ; "two" """\nback = `x#y`\n# no = thing\n', "x")
    assert read == {"a.b": {"plain": "one", "quoted": 'one ; "two" ', "back": "x#y"}}
    (tmp_path / "secret").write_text("hidden\n")
    monkeypatch.setenv("BIC_TEST_PORT", "3001")
    path = tmp_path / "grafana.ini"
    path.write_text(
        f"[security]\nadmin_password = $__file{{{tmp_path}/secret}}\n"
        "[server]\nhttp_port = ${BIC_TEST_PORT}\n"
    )
    found = load(path, ["cfg:default.server.http_port=1", "cfg:default.paths.data=/srv"])
    assert found.text("security", "admin_password") == "hidden"
    assert found.number("server", "http_port") == 3001
    assert found.database == Path("/srv/grafana.db")
    assert sources.expanded({"a": ["$$__file{x}"]}, "here") == {"a": ["$__file{x}"]}
