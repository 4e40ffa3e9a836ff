"""`bic facility new` at a terminal: a person is asked, and asked again."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0
# Ctrl-C reaches a process only from the terminal that controls it: the first that its session opens.
START = (
    "import os, signal; os.open(os.ttyname(0), os.O_RDWR); "
    # Processes in the background of a shell ignore it, and so would their children.
    "signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from controlplane.cli.main import main; main()"
)


class Terminal:
    """A `bic facility new` whose person is the test."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.master = master
        self.process = process
        self.seen = ""
        self.unread = ""

    def expect(self, text: str) -> None:
        """Read until `text` appears in what was not expected yet."""
        end = time.monotonic() + PATIENCE
        while text not in self.unread:
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"{text!r} did not come; the terminal showed:\n{self.seen}")
        self.unread = self.unread.partition(text)[2]

    def answer(self, question: str, text: str) -> None:
        """Wait for a question, then type an answer."""
        self.expect(question)
        self.expect(":")
        os.write(self.master, f"{text}\n".encode())

    def press(self, key: bytes) -> None:
        """Press a key once the process waits for one: a Ctrl-C just before it reads is forgotten."""
        end = time.monotonic() + PATIENCE
        status = Path(f"/proc/{self.process.pid}/status")
        while "State:\tS" not in status.read_text("utf-8"):
            assert time.monotonic() < end, self.seen
            time.sleep(0.01)
        os.write(self.master, key)

    def end(self) -> int:
        """The exit code, after everything was read."""
        end = time.monotonic() + PATIENCE
        while self._read(end - time.monotonic()):
            pass
        return self.process.wait(timeout=PATIENCE)

    def _read(self, patience: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], max(0.0, patience))
        if not ready:
            return False
        try:
            text = os.read(self.master, 65536).decode("utf-8", "replace").replace("\r\n", "\n")
        except OSError:  # The other side was closed, which Linux tells like this.
            return False
        self.seen += text
        self.unread += text
        return bool(text)


@contextmanager
def terminal(inventory: Path, *options: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    keep = {name: value for name, value in os.environ.items() if not name.startswith("BIC_")}
    process = subprocess.Popen(
        [sys.executable, "-c", START, "-i", str(inventory), "facility", "new", *options],
        env={**keep, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "TERM": "dumb", "COLUMNS": "200"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_a_facility_is_written_by_asking(inventory: Path) -> None:
    with terminal(inventory) as person:
        person.answer("Name that people read", "Plateforme d'imagerie de Besançon")
        person.answer("Institution", "Université de Franche-Comté")
        person.answer("City", "Besançon")
        person.answer("dc1 (Nantes), dc2 (Montpellier)", "dc3")
        person.expect("there is no 'dc3'; did you mean 'dc2'? known: dc1, dc2")
        person.answer("Data centre", "dc2")
        person.answer("Identifier", "nantes")
        person.expect("nantes")
        person.answer("Identifier; groups and collections carry it, it cannot be changed [besancon]", "")
        person.answer("IT referent", "hgirard")
        person.expect("nobody has the user name 'hgirard' yet; write user,Full Name,email")
        person.answer("IT referent", "hgirard,Hélène Girard,hgirard@besancon.example")
        person.answer("IT referent", "")
        person.answer("Host name of its buffer server (-: none) [buffer-besancon]", "")
        person.answer("Its IPv4 address [10.77.0.23]", "10.77.0.21")
        person.expect("the address 10.77.0.21 is already used here")
        person.answer("Its IPv4 address", "")
        person.answer("iRODS storage resource, as name,host,vault,capacity (-: none) [besancon-raw]", "")
        person.answer("iRODS storage resource", "")
        person.answer("Quota", "20 TB of disk")
        person.expect("'20 TB of disk' is not")
        person.answer("Quota", "20 TiB")
        person.answer("OMERO", "")
        person.answer("Instrument", "spim1,Light sheet 1,light-sheet,/srv/landing/spim1")
        person.answer("Instrument", "")
        person.answer("Cluster", "dc2-hpc,/bic/besancon,read")
        person.answer("Cluster", "-")
        person.answer("Team", "optics,Optics,lrossi")
        person.answer("Team", "")
        person.answer("Member of a team", "optics,hgirard,Hélène Girard,hgirard@besancon.example")
        person.answer("Member of a team", "optics,tnguyen,collaborator")
        person.answer("Member of a team", "")
        person.answer("Write this to", "y")
        assert person.end() == 0, person.seen
    written = inventory / "facilities" / "besancon.yml"
    assert written.read_text("utf-8") == (
        "# yaml-language-server: $schema=../../../schemas/facility.schema.json\n"
        "id: besancon\n"
        "title: Plateforme d'imagerie de Besançon\n"
        "institution: Université de Franche-Comté\n"
        "city: Besançon\n"
        "data_centre: dc2\n"
        "quota: {total: 20 TiB}\n"
        "referents:\n"
        "  - {user: hgirard, name: Hélène Girard, email: hgirard@besancon.example}\n"
        "buffer: {host: buffer-besancon, address: 10.77.0.23}\n"
        "instruments:\n"
        "  - {id: spim1, title: Light sheet 1, modality: light-sheet, landing_zone: /srv/landing/spim1}\n"
        "hpc_mounts:\n"
        "  - {host: dc2-hpc, path: /bic/besancon, access: read}\n"
        "storage_resources:\n"
        "  besancon-raw: {host: dc2-irods, vault: /var/lib/irods/vaults/besancon-raw}\n"
        "teams:\n"
        "  - id: optics\n"
        "    title: Optics\n"
        "    pi: {user: lrossi, name: Lucia Rossi, email: lucia.rossi@montpellier.example}\n"
        "    members:\n"
        "      - {user: hgirard, name: Hélène Girard, email: hgirard@besancon.example, role: contributor}\n"
        "      - {user: tnguyen, name: Thi Nguyen, email: thi.nguyen@nantes.example, role: collaborator}\n"
    )


@pytest.mark.parametrize(("key", "where"), [(b"\x03", "City"), (b"\x04", "City"), (b"n\n", "Write this to")])
def test_nothing_is_written_before_the_end(inventory: Path, omero: str, key: bytes, where: str) -> None:
    before = sorted(path.name for path in (inventory / "facilities").iterdir())
    options = ["--title", "Lyon", "--institution", "ENS", "--data-centre", "dc1", "--id", "lyon"]
    options += ["--referent", "amartin", "--buffer-host", "b", "--buffer-address", "10.77.0.99"]
    options += ["--storage-resource", "lyon-raw", "--quota", "1 TiB", "--omero", omero, "--zone", "bicZone"]
    options += ["--instrument", "a,A,b", "--hpc-mount", "dc2-hpc,/bic/lyon,read", "--team", "t,T,amartin"]
    options += ["--member", "t,tnguyen"]
    if where != "City":
        options += ["--city", "Lyon"]
    with terminal(inventory, *options) as person:
        person.expect(where)
        person.expect(": ")
        person.press(key)
        assert person.end() == 130
        assert "Nothing was written." in person.seen
        assert "Traceback" not in person.seen
    assert sorted(path.name for path in (inventory / "facilities").iterdir()) == before
