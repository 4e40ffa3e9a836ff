"""The Debian packages of the stand-in for Authentik: their contents, and that they are the same each time."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sandbox.standins import debian
from sandbox.standins.authentik import package


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with one wheel in it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "thing-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("thing/__init__.py", "VALUE = 1\n")
        archive.writestr("thing/tests/test_thing.py", "assert False\n")
    return folder


def contents(deb: Path) -> dict[str, str]:
    """Return the files of a package with their modes."""
    listing = subprocess.run(
        ["dpkg-deb", "--contents", deb], check=True, capture_output=True, text=True
    ).stdout
    lines = [line.split(maxsplit=5) for line in listing.splitlines()]
    return {fields[5].removeprefix("./"): fields[0] for fields in lines if not fields[5].endswith("/")}


def test_the_same_contents_give_the_same_bytes(wheels, tmp_path):
    first, second = (
        [
            debian.build(made, tmp_path / name).read_bytes()
            for made in package.packages(package.VERSION, wheels)
        ]
        for name in ("one", "two")
    )
    assert first == second


def test_commands_are_where_upstream_has_them(wheels, tmp_path):
    server, outpost = package.packages(package.VERSION, wheels)
    files = contents(debian.build(server, tmp_path))
    assert files["usr/bin/ak"].startswith("-rwxr-xr-x")
    assert "usr/lib/authentik-standin/vendor/thing/__init__.py" in files
    assert "usr/lib/authentik-standin/authentik_standin/login/templates/prompt.html" in files
    assert not [name for name in files if "/tests/" in name or name.endswith(("launcher.py", "package.py"))]
    assert "usr/bin/authentik-ldap" in contents(debian.build(outpost, tmp_path))


def test_packages_say_that_they_are_stand_ins(wheels):
    for made in package.packages(package.VERSION, wheels):
        assert "STAND-IN, not authentik" in made.control
        assert "STAND-IN, not authentik" in made.notice


def test_a_release_says_its_own_number(wheels):
    for version in package.RELEASES:
        server = package.packages(version, wheels)[0]
        assert server.version == f"{version}-0~bookworm"
        release = server.files["usr/lib/authentik-standin/authentik_standin/release.py"]
        assert release == f'VERSION = "{version}"\n'.encode()


def test_ak_says_which_variable_is_missing(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTHENTIK_")}
    command = [sys.executable, "-m", "sandbox.standins.authentik.ak", "server"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (2, "ak: AUTHENTIK_SECRET_KEY is not set\n")
