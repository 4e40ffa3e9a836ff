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
            for made in [package.libraries(wheels), *package.packages(package.VERSION)]
        ]
        for name in ("one", "two")
    )
    assert first == second


def test_commands_are_where_upstream_has_them(tmp_path):
    server, outpost = package.packages(package.VERSION)
    files = contents(debian.build(server, tmp_path))
    assert files["usr/bin/ak"].startswith("-rwxr-xr-x")
    assert "usr/lib/authentik-standin/authentik_standin/login/templates/prompt.html" in files
    assert not [name for name in files if name.endswith(("launcher.py", "package.py"))]
    assert "usr/bin/authentik-ldap" in contents(debian.build(outpost, tmp_path))


def test_programs_depend_on_the_libraries_that_they_were_locked_to(wheels, tmp_path, monkeypatch):
    made = package.libraries(wheels)
    files = contents(debian.build(made, tmp_path))
    assert f"usr/lib/{made.name}/thing/__init__.py" in files
    assert not [name for name in files if "/tests/" in name]
    server = package.packages(package.VERSION)[0]
    assert server.depends.split(", ")[0] == made.name
    assert f'"/usr/lib/{made.name}"'.encode() in server.files["usr/bin/ak"]
    other = tmp_path / "other.lock"
    other.write_text("thing==2.0\n")
    monkeypatch.setattr(package, "LOCK", other)
    assert package.libraries(wheels).name != made.name, "two may be there at once"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the stand-in's own files are taken from: small, and ours to change."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "ak.py").write_text("VALUE = 1\n")
    monkeypatch.setattr(package, "_SOURCE", folder)
    return folder


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the packages that were built, as they are built."""
    names: list[str] = []
    build = debian.build

    def noted(made: debian.Package, destination: Path) -> Path:
        names.append(made.name)
        return build(made, destination)

    monkeypatch.setattr(debian, "build", noted)
    return names


def test_what_is_unchanged_is_not_built_again(wheels, source, built, tmp_path):
    def fetch(folder: Path) -> None:
        for wheel in wheels.iterdir():
            (folder / wheel.name).write_bytes(wheel.read_bytes())

    first = package.build(tmp_path / "built", fetch)
    assert len(built) == len(first) == 1 + 2 * len(package.RELEASES)
    assert package.build(tmp_path / "built", fetch) == first
    assert len(built) == len(first), "nothing was built"
    (source / "ak.py").write_text("VALUE = 2\n")
    built.clear()
    second = package.build(tmp_path / "built", fetch)
    assert built == ["authentik", "authentik-outpost-ldap"] * len(package.RELEASES), "and no libraries"
    assert {path.name for path in second} == {path.name for path in first}
    assert second != first


def test_a_build_that_ended_halfway_is_not_taken_for_a_whole_one(source, built, tmp_path, monkeypatch):
    build = debian.build

    def fails_at_the_third(made: debian.Package, destination: Path) -> Path:
        if len(built) == 2:
            raise KeyboardInterrupt
        return build(made, destination)

    with monkeypatch.context() as broken:
        broken.setattr(debian, "build", fails_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            package.build(tmp_path / "built", lambda folder: None)
    assert len(package.build(tmp_path / "built", lambda folder: None)) == 1 + 2 * len(package.RELEASES)


def test_packages_say_that_they_are_stand_ins(wheels):
    for made in [package.libraries(wheels), *package.packages(package.VERSION)]:
        assert "STAND-IN, not authentik" in made.control
        assert "STAND-IN, not authentik" in made.notice


def test_a_release_says_its_own_number():
    for version in package.RELEASES:
        server = package.packages(version)[0]
        assert server.version == f"{version}-0~bookworm"
        release = server.files["usr/lib/authentik-standin/authentik_standin/release.py"]
        assert release == f'VERSION = "{version}"\n'.encode()


def test_ak_says_which_variable_is_missing(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTHENTIK_")}
    command = [sys.executable, "-m", "sandbox.standins.authentik.ak", "server"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (2, "ak: AUTHENTIK_SECRET_KEY is not set\n")
