"""What the role omero_server writes, and what its program on the host does."""

import json
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import run_tasks

ROLE = Path(__file__).parents[3] / "roles/omero_server"
PROGRAM = ROLE / "files"
sys.path[:0] = [str(PROGRAM), str(ROLE.parents[1] / "tests/contract/irods")]

from bic_omero import database, login, stores  # noqa: E402
from bic_omero.__main__ import main  # noqa: E402
from bic_omero.errors import ToolError  # noqa: E402
from throwaway_pki import create_authority, issue  # noqa: E402

from sandbox.standins.omero import package  # noqa: E402
from sandbox.standins.omero.server import running  # noqa: E402

LDAP = {
    "uri": "ldaps://login.bic.example",
    "base": "ou=users,dc=bic,dc=example",
    "bind_dn": "cn=omero,ou=users,dc=bic,dc=example",
    "bind_password": "hidden-ldap",
    "ca_file": "/etc/bic/pki/ca.crt",
}
GIVEN: dict[str, Any] = {
    "omero_server_name": "omero.bic.example",
    "omero_server_address": "192.0.2.14",
    "omero_server_root_password": "hidden-root" * 2,
    "omero_server_database_password": "hidden-database",
    "omero_server_ldap": LDAP,
    "omero_server_settings": {"omero.policy.text": "it's $HOME & more"},
}
GIVEN_DATABASE = {
    "host": "db.bic.example",
    "port": 5432,
    "name": "omero",
    "user": "omero",
    "password": "hidden-database",
    "ca_file": "/ca.crt",
    "root_password": "hidden-root",
}


def written(folder: Path, **given: Any) -> dict[str, str]:
    """The files as the role writes them, by the names of their templates."""
    names = ("settings.omero", "omero-server.service")
    tasks = [
        {
            "name": f"Write {name}",
            "ansible.builtin.template": {
                "src": str(ROLE / f"templates/{name}.j2"),
                "dest": str(folder / name),
                "mode": "0600",
            },
        }
        for name in names
    ]
    run_tasks(folder, ROLE, tasks, yaml.safe_dump({**GIVEN, "role_path": str(ROLE), **given}))
    return {name: (folder / name).read_text() for name in names}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return written(tmp_path_factory.mktemp("omero"))


def settings(text: str) -> dict[str, str]:
    """The settings as OMERO's command line reads them: by the rules of a shell."""
    lines = [shlex.split(line) for line in text.splitlines() if not line.startswith("#")]
    assert all(line[:2] == ["config", "set"] and len(line) == 4 for line in lines), lines
    return {name: value for _, _, name, value in lines}


def test_nothing_is_said_in_plaintext(files: dict[str, str]) -> None:
    found = settings(files["settings.omero"])
    assert found["omero.client.icetransports"] == "ssl"
    assert found["omero.router.insecure"].startswith("OMERO.Glacier2/router:ssl -p 4064 ")
    assert "sslmode=verify-full" in found["omero.db.properties"]
    assert "!aNULL" in found["omero.glacier2.IceSSL.Ciphers"]


def test_a_login_makes_no_account(files: dict[str, str]) -> None:
    found = settings(files["settings.omero"])
    assert found["omero.ldap.config"] == "true"
    assert found["omero.ldap.new_user_group"].startswith(":query:(")
    assert found["omero.ldap.sync_on_login"] == "false"
    assert found["omero.ldap.user_mapping"].startswith("omeName=cn,")


def test_values_reach_omero_as_they_are_given(files: dict[str, str]) -> None:
    found = settings(files["settings.omero"])
    assert found["omero.policy.text"] == "it's $HOME & more"
    assert found["omero.upgrades.url"] == ""
    assert found["omero.ldap.password"] == "hidden-ldap"


def test_roots_password_is_in_no_file(files: dict[str, str]) -> None:
    assert all("hidden-root" not in text for text in files.values())
    assert "hidden" not in files["omero-server.service"]


def test_without_a_directory_none_is_asked(tmp_path: Path) -> None:
    given = {name: value for name, value in GIVEN.items() if name != "omero_server_ldap"}
    (tmp_path / "vars.yml").write_text(yaml.safe_dump({**given, "role_path": str(ROLE)}))
    task = {
        "name": "Write it",
        "ansible.builtin.template": {
            "src": str(ROLE / "templates/settings.omero.j2"),
            "dest": str(tmp_path / "settings.omero"),
            "mode": "0600",
        },
    }
    run_tasks(tmp_path, ROLE, [task], (tmp_path / "vars.yml").read_text())
    assert not [name for name in settings((tmp_path / "settings.omero").read_text()) if "ldap" in name]


# The program: the commands that it calls are scripts here, which note how they were called.
@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "$0 $*" >> {folder}/calls\n{script}\n')
    path.chmod(0o755)


OMERO = f"""
while [ "$1" != --password ]; do shift; done
hash=$(printf '%s' "$2" | {sys.executable} -c '
import base64, hashlib, sys
print(base64.b64encode(hashlib.md5(bytes(8) + sys.stdin.buffer.read()).digest()).decode())')
printf "BEGIN;\\nINSERT INTO password VALUES (0, '%s');\\nCOMMIT;\\n" "$hash"
"""


def psql(folder: Path, state: str) -> None:
    """A psql whose database says `state` of itself, and that keeps what it is fed."""
    command(
        folder,
        "psql",
        f'sql=$(cat)\ncase $sql in *pg_encoding*) echo "{state}";; *dbpatch*) echo "Database ready.";; '
        f'*) printf "%s" "$sql" > {folder}/fed; echo "$PGPASSWORD" > {folder}/password;; esac',
    )


def test_an_empty_database_is_filled_with_the_hash_of_roots_password(commands: Path) -> None:
    psql(commands, "UTF8|f")
    command(commands, "omero", OMERO)
    assert database.run(json.dumps(GIVEN_DATABASE), check=False) == "filled"
    fed = (commands / "fed").read_text()
    assert database.password_hash("hidden-root", 0) in fed
    assert (commands / "password").read_text() == "hidden-database\n"
    calls = (commands / "calls").read_text()
    assert "hidden" not in calls, "a password is in the arguments of a command"
    assert "sslmode=verify-full" in calls


@pytest.mark.parametrize(
    ("user", "expected"), [(0, "PJueOtwuTPHB8Nq/1rFVxg=="), (1, "pvL5Tyr9tCD2esF938sHEQ==")]
)
def test_the_hash_is_omeros(user: int, expected: str) -> None:
    # From upstream's own test of `omero db password` (omero-py, test/unit/clitest/test_db.py).
    assert database.password_hash("ome", user) == expected


@pytest.mark.parametrize(("state", "check", "said"), [("UTF8|t", False, "there"), ("UTF8|f", True, "empty")])
def test_what_is_there_or_only_looked_at_stays(commands: Path, state: str, check: bool, said: str) -> None:
    psql(commands, state)
    command(commands, "omero", "exit 1")
    assert database.run(json.dumps(GIVEN_DATABASE), check=check) == said
    assert not (commands / "fed").exists()
    assert "/omero " not in (commands / "calls").read_text()


@pytest.mark.parametrize(
    ("psql_says", "omero_says", "told"),
    [
        ("LATIN1|f", OMERO, "is in LATIN1, and must be in UTF8"),
        ("UTF8|f", "echo no such java >&2; exit 3", "`omero db script` failed: no such java"),
        ("UTF8|f", "echo 'BEGIN; COMMIT;'", "wrote no script of the kind that this role knows"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_fed(
    commands: Path, psql_says: str, omero_says: str, told: str
) -> None:
    psql(commands, psql_says)
    command(commands, "omero", omero_says)
    with pytest.raises(ToolError, match=told):
        database.run(json.dumps(GIVEN_DATABASE), check=False)
    assert not (commands / "fed").exists()


def test_a_refused_login_at_the_database_is_one_line(
    commands: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(commands, "psql", "echo 'FATAL: password authentication failed' >&2; exit 2")
    with pytest.raises(ToolError) as error:
        database.run(json.dumps(GIVEN_DATABASE), check=False)
    assert str(error.value) == (
        "the database omero on db.bic.example:5432 cannot be used as omero over TLS: "
        "FATAL: password authentication failed"
    )


def test_a_database_that_is_not_complete_is_told(commands: Path) -> None:
    command(commands, "psql", 'case $(cat) in *pg_encoding*) echo "UTF8|t";; *) echo "Initializing";; esac')
    with pytest.raises(ToolError, match=r"not complete \(dbpatch says 'Initializing'\)"):
        database.run(json.dumps(GIVEN_DATABASE), check=False)


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    """A certificate with its key; two of them, one after the other, are authorities."""
    for name in ("one", "two"):
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                ),
                *(
                    "-subj",
                    f"/CN={name}",
                    "-keyout",
                    tmp_path / f"{name}.key",
                    "-out",
                    tmp_path / f"{name}.crt",
                ),
            ],
            check=True,
            capture_output=True,
        )
    both = "".join((tmp_path / f"{name}.crt").read_text() for name in ("one", "two"))
    (tmp_path / "ca.crt").write_text(both)
    (tmp_path / "stores").mkdir()
    return tmp_path


def test_stores_are_made_and_are_the_servers_alone(pki: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = pki / "stores"
    words = ["stores", "--certificate", pki / "one.crt", "--key", pki / "one.key", made]
    assert main([str(word) for word in words]) == 0
    assert [path.name for path in made.iterdir()] == ["server.p12"]
    assert stat.S_IMODE((made / "server.p12").stat().st_mode) == 0o600
    shown = subprocess.run(
        ["openssl", "pkcs12", "-in", made / "server.p12", "-passin", "pass:secret", "-nodes"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "CN = one" in shown
    assert "PRIVATE KEY" in shown


def test_without_java_the_authorities_are_what_they_were(pki: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    stores.run(pki / "one.crt", pki / "one.key", pki / "ca.crt", pki / "stores")
    assert (pki / "stores/trust-store").read_text() == (pki / "ca.crt").read_text()


@pytest.mark.skipif(shutil.which("keytool") is None, reason="this machine has no Java")
def test_java_finds_all_authorities(pki: Path) -> None:
    for _ in range(2):
        stores.run(pki / "one.crt", pki / "one.key", pki / "ca.crt", pki / "stores")
    listed = subprocess.run(
        ["keytool", "-list", "-keystore", pki / "stores/trust-store", "-storepass", "secret"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert listed.count("trustedCertEntry") == 2


def test_a_key_that_is_not_the_certificates_is_told_and_the_old_store_stays(
    pki: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stores.run(pki / "one.crt", pki / "one.key", None, pki / "stores")
    before = (pki / "stores/server.p12").read_bytes()
    words = ["stores", "--certificate", pki / "one.crt", "--key", pki / "two.key", pki / "stores"]
    assert main([str(word) for word in words]) == 1
    told = capsys.readouterr().err
    assert told.startswith("openssl pkcs12 failed: ")
    assert told.count("\n") == 1
    assert [path.read_bytes() for path in (pki / "stores").iterdir()] == [before]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[login.Server]:
    """A server that stands for OMERO's, whose certificate is of an authority of its own."""
    folder = tmp_path_factory.mktemp("server")
    authority = create_authority(folder)
    tls = issue(authority, folder)
    with running(
        folder / "data",
        root_password="hidden-root",
        certificate=tls.certificate_chain_file,
        key=tls.certificate_key_file,
    ) as server:
        yield login.Server("localhost", server.port, authority.ca_file)


def test_a_login_tells_the_servers_version(server: login.Server) -> None:
    assert login.run(server, "root", "hidden-root").startswith("5.6.")


def test_a_wrong_password_is_told_from_a_server_that_is_away(server: login.Server) -> None:
    with pytest.raises(ToolError, match=r"^refused: OMERO on localhost:\d+ does not let root in"):
        login.run(server, "root", "hidden-guess")
    with pytest.raises(ToolError, match=r"^OMERO on localhost:1 cannot be used over TLS: Connection"):
        login.run(replace(server, port=1), "root", "hidden-root")


@pytest.mark.parametrize("other", ["authority", "name"])
def test_a_certificate_of_somebody_else_or_of_another_name_is_not_believed(
    server: login.Server, tmp_path: Path, other: str
) -> None:
    if other == "authority":
        wrong = replace(server, authorities=create_authority(tmp_path, "stranger").ca_file)
    else:
        # Another way to write 127.0.0.1, which no certificate has.
        wrong = replace(server, host="127.1")
    with pytest.raises(
        ToolError, match=r"cannot be used over TLS: SecurityException: .*certificate"
    ) as error:
        login.run(wrong, "root", "hidden-root")
    assert "hidden" not in str(error.value)


def unpack(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the script of the role."""
    return subprocess.run(
        ["sh", ROLE / "files/unpack.sh", *map(str, words)], capture_output=True, text=True, check=False
    )


def test_archives_are_put_in_place_as_a_whole(tmp_path: Path) -> None:
    archives = package.build(tmp_path / "archives")
    me = pwd.getpwuid(os.getuid()).pw_name
    # What a run left that was killed.
    (tmp_path / ".unpacking-server/half").mkdir(parents=True)
    done = unpack(archives.server.path, package.SERVER_FOLDER, tmp_path / "server", me)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "server/etc/omero.properties").is_file()
    assert unpack(archives.ice.path, package.ICE_FOLDER, tmp_path / "ice").returncode == 0
    assert os.access(tmp_path / "ice/bin/icegridnode", os.X_OK)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archives", "ice", "server"]


def test_an_archive_of_something_else_is_told_and_put_nowhere(tmp_path: Path) -> None:
    archives = package.build(tmp_path)
    done = unpack(archives.ice.path, "OMERO.server-9", tmp_path / "server")
    assert done.returncode == 1
    assert done.stderr.strip() == f"{archives.ice.path} holds no folder OMERO.server-9, but Ice-3.6.5"
    assert not (tmp_path / "server").exists()
