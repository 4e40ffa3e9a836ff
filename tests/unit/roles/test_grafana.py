"""What the role grafana writes, and what it refuses before it writes anything."""

import configparser
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import run_tasks

ROLE = Path(__file__).parents[3] / "roles/grafana"
DASHBOARDS = ROLE.parents[1] / "monitoring/dashboards"
GIVEN: dict[str, Any] = {
    "grafana_name": "grafana.bic.example",
    "grafana_address": "192.0.2.17",
    "grafana_dashboards_dir": str(DASHBOARDS),
    "grafana_admin_password": "a" * 20,
    "grafana_secret_key": "k" * 32,
    "grafana_metrics_password": "m" * 20,
    "grafana_login_url": "https://login.bic.example",
    "grafana_client_secret": "c" * 32,
    "grafana_administrator_groups": ["nation.administrators", "nation.operations"],
    "grafana_prometheus_servers": [
        {"name": "dc1-monitor", "url": "https://192.0.2.17:9090"},
        {"name": "dc2-monitor", "url": "https://198.51.100.17:9090"},
    ],
}
TEMPLATES = ("grafana.ini", "datasources.yaml", "dashboards.yaml", "service.conf")
SECRETS = ("a" * 20, "k" * 32, "m" * 20, "c" * 32)


def written(folder: Path, **given: Any) -> dict[str, str]:
    """The files as the role writes them, by the names of their templates."""
    tasks = [
        {
            "name": f"Write {name}",
            "ansible.builtin.template": {
                "src": str(ROLE / f"templates/{name}.j2"),
                "dest": str(folder / name),
                "mode": "0600",
            },
        }
        for name in TEMPLATES
    ]
    run_tasks(folder, ROLE, tasks, yaml.safe_dump({**GIVEN, **given}))
    return {name: (folder / name).read_text() for name in TEMPLATES}


def settings(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return parser


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return written(tmp_path_factory.mktemp("grafana"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files on another port, without a login server and a password of metrics."""
    folder = tmp_path_factory.mktemp("other")
    return written(
        folder,
        grafana_login_url="",
        grafana_client_secret="",
        grafana_metrics_password="",
        grafana_port=3000,
    )


def test_no_secret_is_in_a_configuration_file(files: dict[str, str]) -> None:
    for name, text in files.items():
        assert not any(secret in text for secret in SECRETS), name
    found = settings(files["grafana.ini"])
    assert found["security"]["admin_password"] == "$__file{/etc/bic/grafana/admin_password}"
    assert found["security"]["secret_key"] == "$__file{/etc/bic/grafana/secret_key}"
    assert found["auth.generic_oauth"]["client_secret"] == "$__file{/etc/bic/grafana/client_secret}"
    assert found["metrics"]["basic_auth_password"] == "$__file{/etc/bic/grafana/metrics_password}"


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("server", "protocol", "https"),
        ("server", "root_url", "https://grafana.bic.example/"),
        ("auth.anonymous", "enabled", "false"),
        ("users", "allow_sign_up", "false"),
        ("users", "auto_assign_org_role", "Viewer"),
        ("security", "cookie_secure", "true"),
        ("security", "cookie_samesite", "lax"),
        ("security", "disable_gravatar", "true"),
        ("analytics", "reporting_enabled", "false"),
        ("analytics", "check_for_updates", "false"),
        ("analytics", "check_for_plugin_updates", "false"),
        ("news", "news_feed_enabled", "false"),
        ("plugins", "preinstall_disabled", "true"),
        ("snapshots", "external_enabled", "false"),
        ("auth.generic_oauth", "use_pkce", "true"),
        ("auth.generic_oauth", "role_attribute_strict", "true"),
        ("auth.generic_oauth", "allow_assign_grafana_admin", "false"),
    ],
)
def test_it_is_closed(files: dict[str, str], section: str, key: str, value: str) -> None:
    assert settings(files["grafana.ini"])[section][key] == value


def test_people_log_in_at_the_application_of_the_login_server(files: dict[str, str]) -> None:
    found = settings(files["grafana.ini"])["auth.generic_oauth"]
    application = "https://login.bic.example/application/o"
    assert found["auth_url"] == f"{application}/authorize/"
    assert found["token_url"] == f"{application}/token/"
    assert found["api_url"] == f"{application}/userinfo/"
    assert found["signout_redirect_url"] == (
        f"{application}/grafana/end-session/?post_logout_redirect_uri=https%3A%2F%2Fgrafana.bic.example%2F"
    )
    assert found["scopes"].split() == ["openid", "profile", "email", "bic"]
    assert found["role_attribute_path"] == (
        "\"\"\"(contains(bic_groups, 'nation.administrators') || contains(bic_groups, 'nation.operations'))"
        " && 'Admin' || 'Viewer'\"\"\""
    )


def test_without_a_login_server_there_is_no_such_section(other: dict[str, str]) -> None:
    found = settings(other["grafana.ini"])
    assert "auth.generic_oauth" not in found
    assert found["server"]["root_url"] == "https://grafana.bic.example:3000/"


def test_metrics_are_for_prometheus_with_its_password_or_for_nobody(
    files: dict[str, str], other: dict[str, str]
) -> None:
    assert dict(settings(files["grafana.ini"])["metrics"]) == {
        "enabled": "true",
        "basic_auth_username": "prometheus",
        "basic_auth_password": "$__file{/etc/bic/grafana/metrics_password}",
    }
    assert dict(settings(other["grafana.ini"])["metrics"]) == {"enabled": "false"}


def test_every_prometheus_is_a_data_source_and_the_first_is_shown(files: dict[str, str]) -> None:
    found = yaml.safe_load(files["datasources.yaml"])
    assert found["prune"] is True
    sources = {source["uid"]: source for source in found["datasources"]}
    assert {uid: source["url"] for uid, source in sources.items()} == {
        "prometheus-dc1-monitor": "https://192.0.2.17:9090",
        "prometheus-dc2-monitor": "https://198.51.100.17:9090",
    }
    assert [source["isDefault"] for source in sources.values()] == [True, False]
    for source in sources.values():
        assert source["jsonData"]["tlsAuthWithCACert"] is True
        assert source["secureJsonData"] == {"tlsCACert": "$__file{/etc/bic/pki/ca.crt}"}
        assert source["editable"] is False


def test_dashboards_come_from_where_they_are_installed(files: dict[str, str]) -> None:
    (provider,) = yaml.safe_load(files["dashboards.yaml"])["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    assert (provider["allowUiUpdates"], provider["disableDeletion"]) == (False, False)
    home = settings(files["grafana.ini"])["dashboards"]["default_home_dashboard_path"]
    assert home == "/etc/grafana/dashboards/bic-overview.json"


def test_only_a_low_port_gives_a_capability(files: dict[str, str], other: dict[str, str]) -> None:
    low, high = (each["service.conf"].splitlines() for each in (files, other))
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in low
    assert "CapabilityBoundingSet=" in high
    assert not any("CAP_NET_BIND_SERVICE" in line for line in high)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a short password": (
        {"grafana_admin_password": "short"},
        "grafana_admin_password has 5 characters; give it at least 20.",
    ),
    "a short password of its metrics": (
        {"grafana_metrics_password": "short"},
        "grafana_metrics_password has 5 characters; give it at least 20, or leave it empty",
    ),
    "a short key": (
        {"grafana_secret_key": "k" * 31},
        "grafana_secret_key has 31 characters; give it at least 32.",
    ),
    "half a fingerprint": (
        {"grafana_apt_key_fingerprint": "B53A"},
        "the 40 digits of its key's fingerprint",
    ),
    "a login in the clear": (
        {"grafana_login_url": "http://login.bic.example"},
        "such as https://login.bic.example, without a path; it is http://login.bic.example.",
    ),
    "no client secret": ({"grafana_client_secret": ""}, "the secret that the login server knows of Grafana"),
    "no administrators": ({"grafana_administrator_groups": []}, "must name at least one group"),
    "a group with quotation marks": (
        {"grafana_administrator_groups": ["x') || contains(bic_groups, 'y"]},
        "must name at least one group",
    ),
    "a title with quotation marks": ({"grafana_title": 'A "nation"'}, "grafana_title must be one line"),
    "no Prometheus": ({"grafana_prometheus_servers": []}, "must name at least one Prometheus server"),
    "a Prometheus in the clear": (
        {"grafana_prometheus_servers": [{"name": "a", "url": "http://192.0.2.1:9090"}]},
        "each with a url that begins with https://",
    ),
    "a long name": (
        {"grafana_prometheus_servers": [{"name": "a" * 30, "url": "https://192.0.2.1:9090"}]},
        "must differ and have at most 29 letters",
    ),
    "no dashboards": (
        {"grafana_dashboards_dir": "/nowhere"},
        "There is no dashboard (*.json) in /nowhere on the control host.",
    ),
    "another home": (
        {"grafana_home_dashboard": "bic-overveiw"},
        "grafana_home_dashboard is bic-overveiw, and there are the dashboards bic-overview;",
    ),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the role's checks say of each wrong value, and of what is right."""
    folder = tmp_path_factory.mktemp("checks")
    single, twins = folder / "single", folder / "twins"
    for path in (single / "one.json", twins / "one.json", twins / "other.json"):
        path.parent.mkdir(exist_ok=True)
        path.write_text('{"uid": "bic-overview", "title": "Overview"}')
    cases = {name: given for name, (given, _) in WRONG.items()}
    cases |= {"right": {}, "twins": {"grafana_dashboards_dir": str(twins)}}
    (folder / "said").mkdir()
    tasks = [
        {
            "name": name,
            "vars": given,
            "block": yaml.safe_load((ROLE / "tasks/preflight.yml").read_text()),
            "rescue": [
                {
                    "name": "Keep what it says",
                    "ansible.builtin.copy": {
                        "content": "{{ ansible_failed_result.results | selectattr('failed')"
                        " | map(attribute='msg') | join }}",
                        "dest": str(folder / "said" / name),
                        "mode": "0600",
                    },
                }
            ],
        }
        for name, given in cases.items()
    ]
    run_tasks(
        folder,
        ROLE,
        [{"name": "Check", "vars": {**GIVEN, "grafana_dashboards_dir": str(single)}, "block": tasks}],
        yaml.safe_dump({"role_path": str(ROLE)}),
    )
    return {path.name: path.read_text() for path in (folder / "said").iterdir()}


def test_what_is_right_passes(said: dict[str, str]) -> None:
    assert "right" not in said


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_clear_message(said: dict[str, str], name: str) -> None:
    assert WRONG[name][1] in said[name]


def test_dashboards_with_one_uid_are_refused(said: dict[str, str]) -> None:
    assert "needs a uid that no other has" in said["twins"]
