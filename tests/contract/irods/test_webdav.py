"""The WebDAV gateway in front of the zone under test, asked as its users' programs ask it."""

import base64
import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from irods.access import iRODSAccess
from irods.exception import UserDoesNotExist
from irods.session import iRODSSession
from open_connections import connections_to
from zone_under_test import IrodsServer, open_session, standin_server

REPOSITORY = Path(__file__).parents[3]
PACKAGES = REPOSITORY / "roles/irods_gateway/files"
LOCK = REPOSITORY / "requirements/webdav.lock"

MIB = 1024 * 1024
BIG = 96 * MIB
IDLE_SECONDS = 1.0
SESSION_SECONDS = 3.0
NAMES = ("webdav-alice", "webdav-bob")

LOCK_BODY = (
    '<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    "<D:locktype><D:write/></D:locktype><D:owner>a test</D:owner></D:lockinfo>"
)


@dataclass(frozen=True)
class Gateway:
    """A running gateway."""

    url: str
    pid: int
    config: Path

    def as_user(self, name: str, password: str = "") -> httpx.Client:
        """A client that logs in."""
        auth = (name, password or f"{name} secret: é")
        return httpx.Client(base_url=self.url, auth=auth, timeout=60, trust_env=False)


@pytest.fixture(scope="module")
def interpreter() -> Path:
    """A Python with exactly what the lock file names, made once for each state of it."""
    name = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    folder = REPOSITORY / ".state/webdav" / name
    uv = Path(sys.executable).with_name("uv")
    if not (folder / ".complete").exists():
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", folder / "bin/python", "--require-hashes"]
        subprocess.run([*install, "--only-binary", ":all:", "--requirement", LOCK], check=True)
        (folder / ".complete").touch()
    return folder / "bin/python"


@pytest.fixture(scope="module")
def accounts(irods_server: IrodsServer) -> Iterator[None]:
    """Two ordinary users, gone afterwards."""
    with open_session(irods_server) as admin:
        _remove(admin, irods_server)
        for name in NAMES:
            admin.users.create(name, "rodsuser")
            admin.users.modify(name, "password", f"{name} secret: é")
        try:
            yield
        finally:
            _remove(admin, irods_server)


def _remove(admin: iRODSSession, server: IrodsServer) -> None:
    for name in NAMES:
        with contextlib.suppress(UserDoesNotExist):
            admin.users.get(name)
            with open_session(server, user=name, password=f"{name} secret: é") as session:
                for folder in (f"/{server.zone}/home/{name}", f"/{server.zone}/trash/home/{name}"):
                    collection = session.collections.get(folder)
                    for data_object in collection.data_objects:
                        data_object.unlink(force=True)
                    for inner in collection.subcollections:
                        inner.remove(recurse=True, force=True)
            admin.users.remove(name)


@pytest.fixture(scope="module")
def gateway(
    irods_server: IrodsServer, accounts: None, interpreter: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway in front of the zone under test."""
    if irods_server.ca_file is None:
        pytest.skip("the gateway speaks to a zone only over TLS, which the server under test does not use")
    folder = tmp_path_factory.mktemp("webdav")
    port = _free_port()
    with _running(irods_server, interpreter, folder, port) as process:
        yield Gateway(f"http://127.0.0.1:{port}", process.pid, folder / "webdav.json")


@contextlib.contextmanager
def _running(
    server: IrodsServer, interpreter: Path, folder: Path, port: int, scheme: str = "native"
) -> Iterator[subprocess.Popen[bytes]]:
    config = {
        "listen_address": "127.0.0.1",
        "listen_port": port,
        "host": server.host,
        "port": server.port,
        "zone": server.zone,
        "ca_file": str(server.ca_file),
        "authentication_scheme": scheme,
        "root": f"/{server.zone}/home",
        "threads": 8,
        "idle_seconds": IDLE_SECONDS,
        "session_seconds": SESSION_SECONDS,
        "timeout_seconds": 30,
        "lock_seconds": 600,
        "block_bytes": MIB,
    }
    file = folder / "webdav.json"
    file.write_text(json.dumps(config))
    command = [interpreter, "-B", "-m", "irods_webdav", file]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=PACKAGES, stderr=log, stdout=log)
    try:
        _wait(lambda: process.poll() is None and _ready(port))
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(45)
        text = (folder / "log").read_text()
        assert code == 0, text
        assert "secret" not in text
        assert "Traceback" not in text


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/-/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _wait(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def alice(gateway: Gateway) -> Iterator[httpx.Client]:
    """Her client; her home is empty before."""
    with gateway.as_user(NAMES[0]) as client:
        for href in _listed(client, f"/{NAMES[0]}/")[1:]:
            assert client.delete(href).status_code == 204
        yield client


@pytest.fixture
def bob(gateway: Gateway) -> Iterator[httpx.Client]:
    """Another user's client."""
    with gateway.as_user(NAMES[1]) as client:
        yield client


HOME = f"/{NAMES[0]}"


def _listed(client: httpx.Client, path: str, depth: str = "1") -> list[str]:
    answer = client.request("PROPFIND", path, headers={"Depth": depth})
    assert answer.status_code == 207, answer.text
    return [item.text or "" for item in _tree(answer).iter("{DAV:}href")]


def _tree(answer: httpx.Response) -> ElementTree.Element:
    return ElementTree.fromstring(answer.content)  # noqa: S314 - from the gateway under test


def _property(client: httpx.Client, path: str, name: str) -> str:
    answer = client.request("PROPFIND", path, headers={"Depth": "0"})
    found = _tree(answer).find(f".//{{DAV:}}{name}")
    assert found is not None
    return found.text or ""


def test_what_is_put_is_what_is_got(alice: httpx.Client) -> None:
    content = os.urandom(3 * MIB + 17)
    assert alice.put(f"{HOME}/a.bin", content=content).status_code == 201
    assert alice.get(f"{HOME}/a.bin").content == content
    assert _property(alice, f"{HOME}/a.bin", "getcontentlength") == str(len(content))
    part = alice.get(f"{HOME}/a.bin", headers={"Range": "bytes=1048570-2097160"})
    assert part.status_code == 206
    assert part.content == content[1048570:2097161]
    assert alice.head(f"{HOME}/a.bin").headers["content-length"] == str(len(content))


def test_a_shorter_content_replaces_all_of_a_longer(alice: httpx.Client) -> None:
    alice.put(f"{HOME}/a.txt", content=b"long " * 1000)
    before = alice.head(f"{HOME}/a.txt").headers["etag"]
    assert alice.put(f"{HOME}/a.txt", content=b"short").status_code == 204
    assert alice.get(f"{HOME}/a.txt").content == b"short"
    assert alice.head(f"{HOME}/a.txt").headers["etag"] != before
    assert alice.put(f"{HOME}/a.txt", content=b"").status_code == 204
    assert alice.get(f"{HOME}/a.txt").content == b""


def test_a_body_of_unknown_length_is_taken(alice: httpx.Client) -> None:
    """As macOS sends it."""
    blocks = [os.urandom(100_000) for _ in range(20)]
    assert alice.put(f"{HOME}/chunked.bin", content=iter(blocks)).status_code == 201
    assert alice.get(f"{HOME}/chunked.bin").content == b"".join(blocks)


def test_a_big_file_goes_through_in_little_memory(alice: httpx.Client, gateway: Gateway) -> None:
    alice.put(f"{HOME}/warm.bin", content=bytes(4 * MIB))
    alice.get(f"{HOME}/warm.bin")
    before = _peak_memory(gateway)
    block = os.urandom(MIB)
    body = (block for _ in range(BIG // MIB))
    answer = alice.put(f"{HOME}/big.bin", content=body, headers={"Content-Length": str(BIG)})
    assert answer.status_code == 201
    got = 0
    with alice.stream("GET", f"{HOME}/big.bin") as download:
        for part in download.iter_raw(MIB):
            got += len(part)
    assert got == BIG
    assert _peak_memory(gateway) - before < 24 * MIB


def _peak_memory(gateway: Gateway) -> int:
    status = Path(f"/proc/{gateway.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def test_an_upload_that_breaks_off_leaves_no_file(alice: httpx.Client, gateway: Gateway) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    token = base64.b64encode(f"{NAMES[0]}:{NAMES[0]} secret: é".encode()).decode()
    with socket.create_connection((host, int(port))) as sock:
        head = f"PUT {HOME}/partial.bin HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\n"
        sock.sendall(head.encode() + b"Content-Length: 5000000\r\n\r\n" + bytes(2 * MIB))
        _wait(lambda: alice.head(f"{HOME}/partial.bin").status_code == 200)
    _wait(lambda: alice.head(f"{HOME}/partial.bin").status_code == 404)


def test_collections_are_made_copied_moved_and_deleted(alice: httpx.Client) -> None:
    name = "l'été 50% a_b"
    url = f"{HOME}/{name}"
    assert alice.request("MKCOL", url).status_code == 201
    assert alice.request("MKCOL", url).status_code == 405
    assert alice.request("MKCOL", f"{HOME}/none/inner").status_code == 409
    assert alice.put(f"{url}/x + y.txt", content=b"1").status_code == 201
    assert alice.request("MKCOL", f"{url}/inner").status_code == 201
    assert alice.put(f"{url}/inner/z.txt", content=b"2").status_code == 201
    # Like the pattern of the first, were '%' and '_' not taken as they are.
    for other in (f"{HOME}/l'été 50x a.b", f"{HOME}/l'été 50x a.b/foreign"):
        assert alice.request("MKCOL", other).status_code == 201

    copied = alice.request("COPY", url, headers={"Destination": f"{alice.base_url}{HOME}/copy"})
    assert copied.status_code == 201
    assert len(_listed(alice, f"{HOME}/copy", "infinity")) == 4
    assert alice.get(f"{HOME}/copy/inner/z.txt").content == b"2"

    refused = alice.request(
        "MOVE", url, headers={"Destination": f"{alice.base_url}{HOME}/copy", "Overwrite": "F"}
    )
    assert refused.status_code == 412
    moved = alice.request("MOVE", url, headers={"Destination": f"{alice.base_url}{HOME}/copy"})
    assert moved.status_code == 204
    assert alice.get(f"{HOME}/copy/x + y.txt").content == b"1"
    assert alice.head(f"{url}/x + y.txt").status_code == 404

    assert alice.delete(f"{HOME}/copy").status_code == 204
    assert len(_listed(alice, HOME)) == 2


def test_only_the_first_level_is_listed_when_no_more_is_asked(alice: httpx.Client) -> None:
    alice.request("MKCOL", f"{HOME}/deep")
    alice.put(f"{HOME}/deep/one.txt", content=b"1")
    alice.put(f"{HOME}/two.txt", content=b"2")
    assert _listed(alice, f"{HOME}/") == [f"{HOME}/", f"{HOME}/deep/", f"{HOME}/two.txt"]
    assert _listed(alice, f"{HOME}/", "0") == [f"{HOME}/"]


def test_other_users_neither_see_nor_change_it(alice: httpx.Client, bob: httpx.Client) -> None:
    alice.put(f"{HOME}/private.txt", content=b"hers")
    assert bob.get(f"{HOME}/private.txt").status_code == 404
    assert bob.put(f"{HOME}/private.txt", content=b"his").status_code in (403, 404, 409)
    assert bob.delete(f"{HOME}/private.txt").status_code == 404
    assert f"{HOME}/" not in _listed(bob, "/")
    assert alice.get(f"{HOME}/private.txt").content == b"hers"


def test_one_who_may_read_cannot_write(
    alice: httpx.Client, bob: httpx.Client, irods_server: IrodsServer
) -> None:
    alice.put(f"{HOME}/shared.txt", content=b"hers")
    home = f"/{irods_server.zone}/home{HOME}"
    secret = f"{NAMES[0]} secret: é"
    with open_session(irods_server, user=NAMES[0], password=secret) as session:
        session.acls.set(iRODSAccess("read", home, NAMES[1]))
        session.acls.set(iRODSAccess("read", f"{home}/shared.txt", NAMES[1]))
    assert bob.get(f"{HOME}/shared.txt").content == b"hers"
    assert bob.put(f"{HOME}/shared.txt", content=b"his").status_code == 403
    assert bob.put(f"{HOME}/new.txt", content=b"his").status_code == 403
    assert bob.delete(f"{HOME}/shared.txt").status_code == 403
    assert bob.request("LOCK", f"{HOME}/shared.txt", content=LOCK_BODY).status_code == 403
    assert alice.get(f"{HOME}/shared.txt").content == b"hers"


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic %%%", "Basic bm8tY29sb24=", "Basic Og==", "Bearer abc", "Basic /zrI"],
)
def test_without_a_name_and_a_password_nobody_gets_in(gateway: Gateway, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = httpx.get(f"{gateway.url}/", headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_wrong_password_and_an_unknown_user_are_refused(gateway: Gateway) -> None:
    for name, password in ((NAMES[0], "wrong"), ("nobody-such", "wrong"), (NAMES[0], "x" * 3000)):
        with gateway.as_user(name, password) as client:
            assert client.get("/").status_code == 401
            assert client.put(f"{HOME}/x.txt", content=bytes(3 * MIB)).status_code == 401


def test_a_changed_password_is_asked_for_soon(
    gateway: Gateway, alice: httpx.Client, irods_server: IrodsServer
) -> None:
    secret = f"{NAMES[1]} secret: é"
    with gateway.as_user(NAMES[1]) as client, open_session(irods_server) as admin:
        assert client.get(f"/{NAMES[1]}/").status_code == 200
        admin.users.modify(NAMES[1], "password", "another one")
        try:
            # Its connection is in use all the time, and still it ends.
            _wait(lambda: client.get(f"/{NAMES[1]}/").status_code == 401)
        finally:
            admin.users.modify(NAMES[1], "password", secret)


def test_paths_out_of_the_root_are_refused(gateway: Gateway, alice: httpx.Client) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    token = base64.b64encode(f"{NAMES[0]}:{NAMES[0]} secret: é".encode()).decode()
    for path in ("/../trash", "/%2e%2e/trash", f"{HOME}/%00", f"{HOME}/%0a", "/%ff", f"/{'a' * 1100}"):
        with socket.create_connection((host, int(port))) as sock:
            head = f"PROPFIND {path} HTTP/1.1\r\nHost: x\r\nDepth: 0\r\nAuthorization: Basic {token}"
            sock.sendall(head.encode() + b"\r\n\r\n")
            assert b" 400 " in sock.recv(200).split(b"\r\n")[0], path


def test_a_lock_keeps_others_out_until_it_is_given_back(alice: httpx.Client) -> None:
    alice.put(f"{HOME}/doc.txt", content=b"1")
    answer = alice.request(
        "LOCK", f"{HOME}/doc.txt", content=LOCK_BODY, headers={"Timeout": "Second-4000000", "Depth": "0"}
    )
    assert answer.status_code == 200
    seconds = int(answer.text.partition("Second-")[2].partition("<")[0])
    assert 0 < seconds <= 600
    token = answer.headers["lock-token"]
    assert alice.put(f"{HOME}/doc.txt", content=b"2").status_code == 423
    assert alice.put(f"{HOME}/doc.txt", content=b"2", headers={"If": f"({token})"}).status_code == 204
    assert alice.request("UNLOCK", f"{HOME}/doc.txt", headers={"Lock-Token": token}).status_code == 204
    assert alice.put(f"{HOME}/doc.txt", content=b"3").status_code == 204


def test_a_lock_on_a_new_name_makes_an_empty_file(alice: httpx.Client) -> None:
    """As macOS and Windows begin an upload."""
    answer = alice.request("LOCK", f"{HOME}/new.txt", content=LOCK_BODY, headers={"Depth": "0"})
    assert answer.status_code == 201
    token = answer.headers["lock-token"]
    assert alice.get(f"{HOME}/new.txt").content == b""
    assert alice.put(f"{HOME}/new.txt", content=b"now", headers={"If": f"({token})"}).status_code == 204
    assert alice.request("UNLOCK", f"{HOME}/new.txt", headers={"Lock-Token": token}).status_code == 204
    assert alice.get(f"{HOME}/new.txt").content == b"now"


def test_no_connection_to_the_zone_is_kept_for_long(
    alice: httpx.Client, gateway: Gateway, irods_server: IrodsServer
) -> None:
    _wait(lambda: alice.get(f"{HOME}/").is_success and connections_to(irods_server.port, gateway.pid))
    _wait(lambda: not connections_to(irods_server.port, gateway.pid))


def test_a_refused_login_leaves_no_connection(
    interpreter: Path, gateway: Gateway, irods_server: IrodsServer
) -> None:
    program = f"""
import gc, sys
from pathlib import Path
sys.path.append({str(Path(__file__).parent)!r})
from open_connections import connections_to
from irods_webdav.config import load
from irods_webdav.sessions import LoginRefusedError, Sessions
gc.disable()
sessions = Sessions(load(Path({str(gateway.config)!r})))
for password in ("wrong", "wrong again"):
    try:
        sessions.acquire({NAMES[0]!r}, password)
    except LoginRefusedError:
        print(len(connections_to({irods_server.port})))
"""
    run = subprocess.run(
        [interpreter, "-B", "-c", program], cwd=PACKAGES, capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("0\n0\n", "")


def test_passwords_of_a_directory_are_asked_of_pam(interpreter: Path, tmp_path: Path) -> None:
    """In a stand-in alone: a real server's PAM knows whom it knows."""
    directory = ("sh", "-c", 'test "$(cat)" = "from the directory"', "pam")
    port = _free_port()
    with standin_server(tmp_path, pam_check=directory) as server:
        with open_session(server) as admin:
            admin.users.create(NAMES[0], "rodsuser")
        with _running(server, interpreter, tmp_path, port, "pam_password"):
            gateway = Gateway(f"http://127.0.0.1:{port}", 0, tmp_path / "webdav.json")
            with gateway.as_user(NAMES[0], "from the directory") as client:
                assert client.put(f"{HOME}/a.txt", content=b"1").status_code == 201
                assert client.get(f"{HOME}/a.txt").content == b"1"
            with gateway.as_user(NAMES[0], "another") as client:
                assert client.get("/").status_code == 401
