"""The Debian package of the stand-in for Grafana: its contents, and that they are the same each time."""

import subprocess
from pathlib import Path

from ruamel.yaml import YAML

from sandbox.standins.grafana import package

ROLE = Path(__file__).parents[3] / "roles" / "grafana"


def contents(deb: Path) -> dict[str, str]:
    listing = subprocess.run(
        ["dpkg-deb", "--contents", deb], check=True, capture_output=True, text=True
    ).stdout
    lines = [line.split(maxsplit=5) for line in listing.splitlines()]
    return {fields[5].removeprefix("./"): fields[0] for fields in lines if not fields[5].endswith("/")}


def test_the_same_contents_give_the_same_bytes(tmp_path):
    first, second = (package.build(tmp_path / name)[0].read_bytes() for name in ("one", "two"))
    assert first == second


def test_everything_is_where_upstream_has_it(tmp_path):
    (deb,) = package.build(tmp_path)
    files = contents(deb)
    assert files["usr/share/grafana/bin/grafana"].startswith("-rwxr-xr-x")
    assert files["usr/sbin/grafana"].startswith("-rwxr-xr-x")
    assert {"etc/default/grafana-server", "lib/systemd/system/grafana-server.service"} <= set(files)
    assert "usr/lib/grafana-standin/grafana_standin/main.py" in files
    assert not [name for name in files if name.endswith(("launcher.py", "package.py"))]


def test_its_scripts_are_shell(tmp_path):
    for name, script in package.package().scripts.items():
        (tmp_path / name).write_text(script)
        subprocess.run(["sh", "-n", tmp_path / name], check=True)


def test_the_command_runs_from_the_package(tmp_path):
    (deb,) = package.build(tmp_path)
    subprocess.run(["dpkg-deb", "--extract", deb, tmp_path / "root"], check=True)
    command = (tmp_path / "root/usr/sbin/grafana").read_text()
    assert 'sys.path[:0] = ["/usr/lib/grafana-standin"]' in command
    assert "from grafana_standin.main import main" in command


def test_it_says_what_it_is():
    control = package.package().control
    assert "Description: STAND-IN, not Grafana" in control
    assert "Never put data into it" in control


def test_the_role_deploys_the_version_that_the_stand_in_is():
    defaults = YAML(typ="safe").load(ROLE / "defaults" / "main.yml")
    assert defaults["grafana_version"] == package.VERSION
