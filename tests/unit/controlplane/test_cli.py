"""The command as people use it: its messages, its exit codes, and that it starts light."""

import ast
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from inventory_editing import Edit

ROOT = Path(__file__).parents[3]


def bic(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `bic` as a process, without a terminal."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith("BIC_")}
    return subprocess.run(
        [sys.executable, "-m", "controlplane", *map(str, arguments)],
        env={**keep, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); sys.argv = ['bic', '--help']\n"
        "from controlplane.cli.main import main\n"
        "try: main()\n"
        "finally: print(sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0
    for command in ("check", "plan", "apply", "drift", "history", "health", "exporter", "sandbox"):
        assert f"  {command} " in result.stdout
    loaded = ast.literal_eval(result.stderr.strip().splitlines()[-1])
    packages = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    # Whatever else a command needs, it imports when it runs.
    assert packages <= {"controlplane", "typer", "shellingham", "annotated_doc"}
    own = {name for name in loaded if name.startswith("controlplane.")}
    assert {name for name in own if not name.startswith("controlplane.cli")} == {"controlplane.errors"}
    assert len(loaded) < 200


def test_check_says_what_the_inventory_holds(inventory: Path) -> None:
    result = bic("--inventory", inventory, "check")
    assert result.returncode == 0, result.stderr
    assert (
        "data centres: 2, hosts: 9, zones: 1, storage resources: 5, facilities: 2, teams: 3, people: 8"
        in result.stdout
    )
    assert "Traceback" not in result.stderr
    assert bic("check", BIC_INVENTORY=str(inventory)).returncode == 0


@pytest.mark.parametrize("command", [["check"], ["plan"], ["apply", "--yes"], ["health"], ["exporter"]])
def test_every_command_refuses_a_broken_inventory(inventory: Path, edit: Edit, command: list[str]) -> None:
    edit("facilities/nantes.yml", "data_centre: dc1", "data_centre: dc9")
    result = bic("--inventory", inventory, *command)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        f"{inventory}/facilities/nantes.yml:6:14: there is no data centre 'dc9'; "
        "did you mean 'dc2'? known: dc1, dc2\n"
    )


def test_plan_and_apply_name_a_zone_that_cannot_be_read(embedded: Path) -> None:
    reason = f"the secret file {embedded}/.state/sandbox/secrets/irods_admin_password cannot be read"
    for command in (["plan"], ["apply", "--yes"]):
        result = bic("--inventory", embedded, *command)
        assert result.returncode == 1
        assert "iRODS zone bicZone: left out, it has no plan" in result.stdout
        assert reason in result.stdout
    document = json.loads(bic("--inventory", embedded, "plan", "--json").stdout)
    assert document["changes"] == []
    assert document["errors"][0]["system"] == "irods/bicZone"
    assert reason in document["errors"][0]["error"]


def on_this_machine(inventory: Path) -> None:
    """Give all hosts addresses of this machine on which nothing listens."""
    for file in (inventory / "platform.yml", *(inventory / "facilities").iterdir()):
        file.write_text(file.read_text("utf-8").replace("10.77.0.", "127.7.7."), "utf-8")


def test_health_tells_when_what_changed(embedded: Path) -> None:
    on_this_machine(embedded)
    state = {"BIC_STATE_DIR": str(embedded.parent / "state")}
    nothing = bic("--inventory", embedded, "health", "--since", "1h", **state)
    assert (nothing.returncode, nothing.stdout) == (0, "nothing changed in 1h\n")
    for _ in range(2):
        asked = bic("--inventory", embedded, "health", "--facility", "nantes", **state)
        assert asked.returncode == 1, asked.stderr
        assert "docs/runbooks/HostDown.md#look" in asked.stdout
    told = bic("--inventory", embedded, "health", "--since", "1h", "--json", **state)
    changes = json.loads(told.stdout)["changes"]
    of_one = [change for change in changes if change["target"] == "buffer-nantes"]
    assert [(change["before"], change["after"]) for change in of_one] == [("", "failed")]
    assert not [change for change in changes if change["target"] == "buffer-montpellier"]
    assert "buffer-nantes" in bic("--inventory", embedded, "health", "--since", "1h", **state).stdout
    wrong = bic("--inventory", embedded, "health", "--since", "soon", **state)
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "--since soon: write a length of time such as 30m, 12h or 7d\n",
    )


def test_health_names_what_is_not_well(inventory: Path, edit: Edit) -> None:
    on_this_machine(inventory)
    edit("platform.yml", "catalog_provider: dc1-icat", "catalog_provider: dc1-icat\n    port: 1")
    result = bic("--inventory", inventory, "health", "--json", "--deadline", "20")
    assert result.returncode == 1
    document = json.loads(result.stdout)
    assert document["well"] is False
    failed = {(item["system"], item["target"]) for item in document["checks"] if item["status"] == "failed"}
    assert {system for system, _ in failed} == {"host"}
    inhibited = {
        (item["system"], item["target"]): item["cause"]
        for item in document["checks"]
        if item["status"] == "inhibited"
    }
    assert inhibited["iRODS", "bicZone on dc1-icat"] == "host dc1-icat"
    assert inhibited["PostgreSQL", "dc1-icat"] == "host dc1-icat"
    assert inhibited["Prometheus", "dc1-monitor"] == "host dc1-monitor"
    assert inhibited["exporter", "dc1-monitor"] == "host dc1-monitor"
    assert document["failures"] == len(failed)


def test_health_ends_in_time_when_every_target_hangs(inventory: Path, edit: Edit) -> None:
    # Ports that take connections and never say a word: SSH and iRODS of all hosts.
    for file in (inventory / "platform.yml", *(inventory / "facilities").iterdir()):
        file.write_text(file.read_text("utf-8").replace("10.77.0.", "127.7.8."), "utf-8")
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(socket.create_server(("0.0.0.0", 0), backlog=100))  # noqa: S104
        port = listening.getsockname()[1]
        edit("platform.yml", "catalog_provider: dc1-icat", f"catalog_provider: dc1-icat\n    port: {port}")
        (inventory / "sitecustomize.py").write_text(
            "import socket\n"
            "real = socket.create_connection\n"
            "def hang(address, *arguments, **named):\n"
            f"    return real((address[0], {port}), *arguments, **named)\n"
            "socket.create_connection = hang\n"
        )
        begun = time.monotonic()
        result = bic(
            *("--inventory", inventory, "health", "--json", "--deadline", "3"),
            PYTHONPATH=f"{inventory}:{ROOT}",
        )
        seconds = time.monotonic() - begun
    assert result.returncode == 1, result.stderr
    checks = json.loads(result.stdout)["checks"]
    late = {item["detail"] for item in checks if item["check"] == "SSH"}
    assert late == {"no answer within the deadline of 2.7 s"}
    assert "the history of this is not kept: the secret file" in result.stderr
    assert all(item["status"] != "ok" for item in checks if item["check"] != "port"), checks
    # The deadline, and a busy machine's time to start; without it the time-outs of all checks.
    assert seconds < 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--listen", "9887"], "--listen '9887' is not an address and a port"),
        (["--listen", "127.0.0.1:99999"], "is not an address and a port"),
        (["--listen", "192.0.2.1:9887"], "cannot listen on 192.0.2.1:9887"),
        (["--tls-cert", "/nowhere"], "must be given together"),
        (["--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "cannot be used: No such file"),
    ],
)
def test_the_exporter_refuses_what_it_cannot_use(inventory: Path, arguments: list[str], message: str) -> None:
    password = inventory / ".state/sandbox/secrets/scrape_password"
    password.parent.mkdir(parents=True)
    password.write_text("from-the-inventory")
    result = bic("--inventory", inventory, "exporter", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_the_exporter_names_a_password_that_is_not_there(inventory: Path) -> None:
    result = bic("--inventory", inventory, "exporter", "--listen", "127.0.0.1:1")
    assert result.returncode != 0
    assert "secrets/scrape_password cannot be read: No such file" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_defect_is_one_line_and_a_hint(inventory: Path) -> None:
    (inventory / "sitecustomize.py").write_text(
        "import controlplane.cli.context as c\n"
        "def load(self): raise RuntimeError('a defect')\n"
        "c.Context.load = load\n"
    )
    python_path = f"{inventory}:{ROOT}"
    result = bic("--inventory", inventory, "check", PYTHONPATH=python_path)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "bic failed unexpectedly: RuntimeError: a defect",
        "Run it again with BIC_DEBUG=1 to see where, and report that.",
    ]
    assert "Traceback" in bic("-i", inventory, "check", PYTHONPATH=python_path, BIC_DEBUG="1").stderr
