"""The archives of the stand-in for OMERO.server and Ice, driven by omero-py's own command line."""

import base64
import hashlib
import os
import socket
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sandbox.standins.omero import icegridnode, package

ROLE = Path(__file__).parents[4] / "roles" / "omero_server"
# Takes the place of the server, which has tests of its own: it only listens.
SERVER = """
import socket, sys
server = socket.create_server(("127.0.0.1", {port}))
print("listening", *sys.argv[1:], flush=True)
while True:
    server.accept()[0].close()
"""
# omero-py refuses to run as root, as which the tests may run.
COMMAND = """#!{python}
import os, sys
os.geteuid = lambda: 1000
from omero.main import main
sys.exit(main())
"""


def test_the_same_source_gives_the_same_bytes(tmp_path):
    first, second = (package.build(tmp_path / name) for name in ("one", "two"))
    assert first.server.path.read_bytes() == second.server.path.read_bytes()
    assert first.ice.path.read_bytes() == second.ice.path.read_bytes()
    assert first.server.sha256 == hashlib.sha256(first.server.path.read_bytes()).hexdigest()


def test_everything_is_where_upstream_has_it(tmp_path):
    archives = package.build(tmp_path)
    with zipfile.ZipFile(archives.server.path) as server:
        names = {entry.filename: entry.external_attr >> 16 for entry in server.infolist()}
    folder = "OMERO.server-5.6.17-ice36"
    assert {name.partition("/")[0] for name in names} == {folder}
    assert stat.S_IMODE(names[f"{folder}/bin/omero"]) == 0o755
    wanted = (
        "etc/omero.properties",
        "etc/templates/grid/default.xml",
        "sql/psql/OMERO5.4__0/psql-footer.sql",
    )
    assert {f"{folder}/{name}" for name in wanted} <= set(names)
    assert f"{folder}/lib/python/omero_standin/server.py" in names
    assert not [name for name in names if name.endswith("/package.py")]
    with tarfile.open(archives.ice.path) as ice:
        modes = {entry.name: entry.mode for entry in ice.getmembers()}
    assert {name.partition("/")[0] for name in modes} == {"Ice-3.6.5"}
    assert {modes[f"Ice-3.6.5/bin/{name}"] for name in ("icegridnode", "icegridadmin", "java")} == {0o755}


def test_it_says_what_it_is():
    for files in (package.server_files(), package.ice_files()):
        assert files["NOTICE"].startswith(b"This is a STAND-IN, not ")
    ours = {**package.server_files(), **package.ice_files()}
    silent = {
        path
        for path, content in ours.items()
        if b"STAND-IN" not in content and b"stand-in" not in content and not path.startswith("lib/python/")
    }
    # They stand in the middle of a script that says it at its beginning.
    assert silent == {f"sql/psql/OMERO5.4__0/{name}.sql" for name in ("psql-footer", "schema")}


def test_the_role_deploys_the_version_that_the_stand_in_is():
    defaults = YAML(typ="safe").load(ROLE / "defaults" / "main.yml")
    assert defaults["omero_server_version"] == package.VERSION


def test_the_last_of_two_settings_counts(tmp_path):
    (tmp_path / "one").write_text("# a=0\na=1\n b = 2=3 \n")
    (tmp_path / "two").write_text("a=4\n")
    assert icegridnode.settings_of([tmp_path / "one", tmp_path / "two"]) == {"a": "4", "b": "2=3"}


@dataclass(frozen=True)
class Installation:
    """The archives, unpacked and configured, and the command line."""

    folder: Path
    environment: dict[str, str]

    def omero(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run omero-py's command line."""
        return subprocess.run(
            [self.folder / "bin/omero", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def server(self) -> Path:
        return self.folder / package.SERVER_FOLDER

    @property
    def pid(self) -> int:
        """The node's process; 0 for none."""
        file = self.server / "var/master/master.pid"
        return int(file.read_text()) if file.exists() else 0


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("omero")
    archives = package.build(folder / "archives")
    # As these do, unlike Python's, with the files' modes.
    subprocess.run(["unzip", "-q", archives.server.path, "-d", folder], check=True)
    subprocess.run(["tar", "-xf", archives.ice.path, "-C", folder], check=True)
    (folder / "bin").mkdir()
    command = folder / "bin/omero"
    command.write_text(COMMAND.format(python=sys.executable))
    command.chmod(0o755)
    for name in ("data", "user", "tmp"):
        (folder / name).mkdir()
    python = Path(sys.executable).parent
    environment = {
        "PATH": f"{folder}/{package.ICE_FOLDER}/bin:{folder}/bin:{python}:/usr/bin:/bin",
        "OMERODIR": str(folder / package.SERVER_FOLDER),
        "OMERO_USERDIR": str(folder / "user"),
        "OMERO_TMPDIR": str(folder / "tmp"),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
    }
    made = Installation(folder, environment)
    port, registry = free_port(), free_port()
    settings = folder / "settings.omero"
    settings.write_text(
        f"config set omero.data.dir {folder}/data\n"
        f"config set omero.ports.ssl {port}\nconfig set omero.ports.registry {registry}\n"
        "config set omero.client.icetransports ssl\nconfig set omero.db.poolsize 5\n"
        "config set omero.db.properties 'sslmode=verify-full&sslrootcert=/ca.crt'\n"
        "config set omero.glacier2.IceSSL.Protocols TLS1_2\nconfig set omero.upgrades.url ''\n"
    )
    loaded = made.omero("load", "--glob", str(folder / "*.omero"))
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    (made.server / "lib/python/omero_standin/__main__.py").write_text(SERVER.format(port=port))
    yield made
    if made.pid:
        os.kill(made.pid, 15)


def test_settings_are_read_from_files(installation: Installation) -> None:
    assert installation.omero("config", "get", "omero.db.properties").stdout == (
        "sslmode=verify-full&sslrootcert=/ca.crt\n"
    )
    assert installation.omero("config", "get", "omero.upgrades.url").stdout == "\n"


def test_the_database_script_has_the_hash_of_the_password(installation: Installation) -> None:
    script = installation.omero("db", "script", "-f", "-", "--password", "sesame")
    assert script.returncode == 0, script.stderr
    digest = base64.b64encode(hashlib.md5(bytes(8) + b"sesame", usedforsecurity=False).digest()).decode()
    assert f"VALUES (0, '{digest}')" in script.stdout
    assert script.stdout.count("BEGIN;") == script.stdout.count("COMMIT;") == 1


def test_java_says_what_it_cannot(installation: Installation) -> None:
    java = installation.folder / package.ICE_FOLDER / "bin/java"
    done = subprocess.run([java, "-jar", "blitz.jar"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "java (STAND-IN): it cannot run -jar blitz.jar\n")


def test_the_command_line_starts_watches_and_stops_it(installation: Installation) -> None:
    assert installation.omero("admin", "status").returncode != 0
    started = installation.omero("admin", "start")
    assert started.returncode == 0, started.stdout + started.stderr
    assert installation.pid
    assert installation.omero("admin", "status").returncode == 0
    assert installation.omero("admin", "start").returncode != 0, "it runs already"
    state = installation.omero("admin", "ice", "server", "state", "Blitz-0").stdout
    assert state.startswith("active (pid = ")
    assert installation.omero("admin", "ice", "server", "state", "Nobody").returncode != 0
    assert "knows" in installation.omero("admin", "ice", "server", "remove", "Blitz-0").stderr

    server = int(state.partition("= ")[2].partition(",")[0])
    os.kill(server, 9)
    until = time.monotonic() + 20
    while (now := installation.omero("admin", "ice", "server", "state", "Blitz-0").stdout) == state or (
        "active (pid" not in now
    ):
        assert time.monotonic() < until, now
    assert "Blitz-0 ended with -9" in (installation.server / "var/log/master.err").read_text()

    stopped = installation.omero("admin", "stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert not installation.pid
    assert installation.omero("admin", "status").returncode != 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(
            ("127.0.0.1", int(installation.omero("config", "get", "omero.ports.ssl").stdout))
        )
