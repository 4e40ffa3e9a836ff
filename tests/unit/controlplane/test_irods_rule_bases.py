"""The command that exchanges the rule bases on a server, run against a folder of its own, without root."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

FILES = Path(__file__).parents[3] / "roles" / "irods_server" / "files"
COMMAND = FILES / "irods-rule-bases"

#: Stands for irods-service: what runs is what was on disk at the last reload. A reload is counted.
SERVICE = """#!/usr/bin/python3
import json, sys
from pathlib import Path
root = Path(sys.argv[0]).parents[3]
config = json.loads((root / "etc/irods/server_config.json").read_text())
names, texts = [], {}
for engine in config["plugin_configuration"]["rule_engines"]:
    for key, suffix in (("bic_rule_bases", ".py"), ("re_rulebase_set", ".re")):
        for name in engine["plugin_specific_configuration"].get(key, []):
            names.append(name)
            texts[name] = (root / f"etc/irods/{name}{suffix}").read_text(errors="replace")
running = root / "running.json"
broken = any("SYNTAX" in text for text in texts.values())
if sys.argv[1] == "pending":
    now = json.loads(running.read_text())
    print("nothing" if now == [names, texts] else "reload")
elif sys.argv[1] == "reload":
    running.write_text(json.dumps([names, texts]))
    with (root / "reloads").open("a") as count:
        count.write("x")
    print("closed for 1.5 s")
    if broken:
        sys.exit("irods-service: the server could not read a rule base")
elif sys.argv[1] == "rules" and any("LATE" in text for text in texts.values()):
    sys.exit("irods-service: error parsing rule")
"""

#: Runs the command, and kills it before the change numbered by the second argument.
KILLER = """
import os, runpy, signal, sys
command, last = sys.argv[1], int(sys.argv[2])
count = 0
def hook(event, arguments):
    global count
    writing = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writing or event in {"os.rename", "os.remove", "subprocess.Popen", "syslog.syslog", "fcntl.flock"}:
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
sys.argv = sys.argv[1:2] + sys.argv[3:]
sys.dont_write_bytecode = True
sys.addaudithook(hook)
runpy.run_path(command, run_name="__main__")
"""


def named(rule_base: str, text: str) -> str:
    return f"bic-{rule_base}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def module(rule_base: str, text: str) -> str:
    return named(rule_base, text).replace("-", "_")


class Server:
    """A server's folder."""

    def __init__(self, root: Path, *, prepared: bool = False) -> None:
        self.root = root
        self.folder = root / "etc" / "irods"
        if not prepared:
            self.prepare()

    def copy(self, root: Path) -> "Server":
        shutil.copytree(self.root, root)
        return Server(root, prepared=True)

    def prepare(self) -> None:
        root = self.root
        plugins, share = "usr/lib/irods/plugins/rule_engines", "usr/local/share"
        for folder in (
            plugins,
            share,
            "etc/irods",
            "run",
            "usr/local/sbin",
            "var/lib/irods/log/proc",
            "var/lib/prometheus/node-exporter",
            "proc/net",
            "bin",
        ):
            (root / folder).mkdir(parents=True)
        tools = root / "usr" / "local" / "sbin"
        (tools / "irods-service").write_text(SERVICE)
        (tools / "irods-check-config").write_text(
            '#!/bin/sh\ngrep -q REFUSED "$1" && { echo faulty >&2; exit 1; }\nexit 0\n'
        )
        (root / "bin" / "systemctl").write_text("#!/bin/sh\nexit 0\n")
        (root / plugins / "libirods_rule_engine_plugin-python.so").touch()
        shutil.copy(FILES / "core.py", root / share / "irods-core.py")
        for tool in (*tools.iterdir(), root / "bin" / "systemctl"):
            tool.chmod(0o755)
        for name in ("bic-tls", "core"):
            (self.folder / f"{name}.re").write_text(f"# {name}\n")
        config = {
            "zone_name": "testZone",
            "zone_port": 1247,
            "zone_key": "a secret",
            "plugin_configuration": {
                "rule_engines": [
                    {
                        "plugin_name": "irods_rule_engine_plugin-irods_rule_language",
                        "plugin_specific_configuration": {"re_rulebase_set": ["bic-tls", "core"]},
                    }
                ]
            },
        }
        (self.folder / "server_config.json").write_text(json.dumps(config))
        (self.folder / "server_config.json").chmod(0o600)
        self.service("reload")

    def service(self, verb: str) -> None:
        subprocess.run([self.root / "usr/local/sbin/irods-service", verb], check=True, capture_output=True)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "IRODS_RULE_BASES_ROOT": str(self.root),
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
        }

    def run(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, COMMAND, *words],
            input=stdin, capture_output=True, text=True, check=False, env=self.environment,
        )  # fmt: skip

    def killed(self, at: int, *words: str, stdin: str = "") -> bool:
        """Run it and kill it before its change number `at`; whether it came so far."""
        done = subprocess.run(
            [sys.executable, "-c", KILLER, COMMAND, str(at), *words],
            input=stdin, capture_output=True, text=True, check=False, env=self.environment,
        )  # fmt: skip
        assert done.returncode in (0, 1, -signal.SIGKILL), done.stderr
        return done.returncode == -signal.SIGKILL

    def do(self, *words: str, stdin: str = "") -> dict[str, Any]:
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def stage(self, **texts: str) -> list[str]:
        files = {named(name.replace("_", "-"), text): text for name, text in texts.items()}
        self.do("stage", stdin=json.dumps({"files": files}))
        return [*files, "bic-tls", "core"]

    def stage_module(self, text: str) -> str:
        name = module("file-names", text)
        self.do("stage", stdin=json.dumps({"files": {name: text}}))
        return name

    @property
    def engines(self) -> list[str]:
        config = json.loads((self.folder / "server_config.json").read_text())
        engines = config["plugin_configuration"]["rule_engines"]
        return [one["plugin_name"].removeprefix("irods_rule_engine_plugin-") for one in engines]

    def activate(self, names: list[str], seconds: int = 60) -> "subprocess.CompletedProcess[str]":
        return self.run("activate", "--by", "ops@control", "--seconds", str(seconds), *names)

    @property
    def running(self) -> list[str]:
        return list(json.loads((self.root / "running.json").read_text())[0])

    @property
    def pending(self) -> bool:
        return (self.folder / "bic-rule-bases.pending.json").exists()

    @property
    def reloads(self) -> int:
        return len((self.root / "reloads").read_text())

    @property
    def ours(self) -> set[str]:
        return {path.stem for path in (*self.folder.glob("bic-*-*.re"), *self.folder.glob("bic_*.py"))}


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


OLD = ["bic-tls", "core"]


def test_a_release_is_staged_activated_and_confirmed(server: Server) -> None:
    names = server.stage(raw_data="acOne { }\n", quota="acTwo { }\n")
    done = server.activate(names)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"changed": True, "closed_seconds": 1.5})
    assert server.running == names
    before = server.do("status")
    assert before["pending"]["to"] == names
    assert 0 < before["pending"]["seconds_left"] <= 60
    assert before["pending"]["complaint"] == ""
    assert before["record"] is None
    assert server.do("confirm") == {"changed": True}
    after = server.do("status")
    assert after["pending"] is None
    assert after["record"]["re_rulebase_set"] == names
    assert after["record"]["previous"] == OLD
    assert after["record"]["by"] == "ops@control"
    assert (server.folder / "server_config.json").stat().st_mode & 0o777 == 0o600
    assert "a secret" not in json.dumps(after)
    # All of it again changes nothing and closes nothing.
    assert json.loads(server.activate(names).stdout) == {"changed": False, "closed_seconds": 0.0}
    assert server.do("confirm") == {"changed": False}
    assert server.reloads == 2


def noted(server: Server) -> dict[tuple[str, str, str], float]:
    """What node_exporter reads: zone, rule base and digest, each with its value."""
    server.do("note")
    (file,) = (server.root / "var/lib/prometheus/node-exporter").iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("irods_rule_bases.prom", 0o644)
    families = list(text_string_to_metric_families(file.read_text()))
    assert {family.name for family in families} <= {"bic_irods_rule_base_info"}
    return {
        (sample.labels["zone"], sample.labels["rule_base"], sample.labels["digest"]): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_is_active_is_noted_by_what_is_really_in_it(server: Server) -> None:
    assert noted(server) == {}
    texts = {"raw-data": "acOne { }\n", "file-names": "def acTwo(): pass\n"}
    digests = {name: hashlib.sha256(text.encode()).hexdigest()[:12] for name, text in texts.items()}
    names = [server.stage_module(texts["file-names"]), *server.stage(raw_data=texts["raw-data"])]
    assert server.activate(names).returncode == 0
    expected = {("testZone", name, digests[name]): 1.0 for name in texts}
    assert noted(server) == expected
    # An edit by hand keeps the name of the file.
    (server.folder / f"{names[1]}.re").write_text("acOne { fail; }\n")
    edited = hashlib.sha256(b"acOne { fail; }\n").hexdigest()[:12]
    del expected["testZone", "raw-data", digests["raw-data"]]
    assert noted(server) == {**expected, ("testZone", "raw-data", edited): 1.0}


def test_files_of_the_list_before_stay_and_older_ones_go(server: Server) -> None:
    releases = [server.stage(raw_data=f"# {number}\n") for number in range(3)]
    for names in releases:
        server.do("stage", stdin=json.dumps({"files": {names[0]: f"# {releases.index(names)}\n"}}))
        assert server.activate(names).returncode == 0
        server.do("confirm")
    assert server.ours == {releases[1][0], releases[2][0]}


def test_what_is_not_ours_or_no_longer_what_its_name_says_is_never_removed(server: Server) -> None:
    mine = server.folder / "bic-local.re"
    mine.write_text("# somebody's\n")
    kept = server.stage(raw_data="# first\n")
    changed = server.folder / f"{kept[0]}.re"
    changed.write_text("# edited by hand\n")
    server.activate(server.stage(quota="# second\n"))
    server.do("confirm")
    assert mine.exists()
    assert changed.read_text() == "# edited by hand\n"


def test_a_syntax_error_is_taken_back_at_once(server: Server) -> None:
    done = server.activate(server.stage(raw_data="SYNTAX {\n"))
    assert done.returncode == 1
    assert "could not read a rule base" in done.stderr
    assert "the port was closed for 1.5 s" in done.stderr.lower()
    assert server.running == OLD
    status = server.do("status")
    assert (status["active"], status["pending"], server.ours) == (OLD, None, set())


def test_a_rule_base_that_the_journal_complains_of_later_is_not_confirmed(server: Server) -> None:
    assert server.activate(server.stage(raw_data="# LATE\n")).returncode == 0
    done = server.run("confirm")
    assert (done.returncode, "error parsing rule" in done.stderr) == (1, True)
    assert "error parsing rule" in server.do("status")["pending"]["complaint"]
    assert server.do("rollback")["changed"]
    assert server.running == OLD


def test_a_configuration_that_the_schema_refuses_is_never_put_in_place(server: Server) -> None:
    (server.folder / "REFUSED.re").write_text("")
    before = (server.folder / "server_config.json").read_text()
    done = server.activate(["REFUSED", *OLD])
    assert (done.returncode, "faulty" in done.stderr) == (1, True)
    assert (server.folder / "server_config.json").read_text() == before
    assert server.do("status")["pending"] is None
    assert server.reloads == 1


def test_only_one_activation_is_pending_and_rollback_is_repeatable(server: Server) -> None:
    first = server.stage(raw_data="# first\n")
    assert server.activate(first).returncode == 0
    other = server.activate(server.stage(quota="# other\n"))
    assert (other.returncode, "neither confirmed nor rolled back" in other.stderr) == (1, True)
    assert server.do("rollback")["closed_seconds"] == 1.5
    assert server.do("rollback") == {"changed": False, "closed_seconds": 0.0}
    assert server.running == OLD


def test_staging_refuses_another_text_than_the_names(server: Server) -> None:
    name = named("raw-data", "# one\n")
    done = server.run("stage", stdin=json.dumps({"files": {name: "# two\n"}}))
    assert (done.returncode, "not the one of this name" in done.stderr) == (1, True)
    for bad in ("../bic-x-0123456789ab", "core", f"bic-{'x' * 50}-0123456789ab"):
        assert server.run("stage", stdin=json.dumps({"files": {bad: ""}})).returncode == 1
    assert server.ours == set()


@pytest.mark.parametrize("name", ["a" * 64, "../core", "missing", "bic-raw-data-0123456789ab"])
def test_a_list_that_the_server_could_not_run_with_is_refused(server: Server, name: str) -> None:
    assert server.activate([name, *OLD]).returncode == 1
    assert server.do("status")["pending"] is None


def test_an_edit_by_hand_is_found_and_taken_back_by_staging(server: Server) -> None:
    names = server.stage(raw_data="# first\n")
    server.activate(names)
    server.do("confirm")
    (server.folder / f"{names[0]}.re").write_bytes(b"# by hand \xff\n")
    status = server.do("status")
    assert status["edited"] == [names[0]]
    assert "by hand" in status["files"][names[0]]["text"]
    assert server.activate(names).returncode == 1
    assert server.do("stage", stdin=json.dumps({"files": {names[0]: "# first\n"}}))["restored"] == [names[0]]
    assert server.do("status")["edited"] == []


def test_the_guard_takes_back_what_nobody_confirms(server: Server) -> None:
    assert server.activate(server.stage(raw_data="# first\n"), seconds=1).returncode == 0
    begun = time.monotonic()
    server.do("guard")
    assert time.monotonic() - begun < 5
    assert server.running == OLD
    assert server.do("guard") == {"changed": False}


def test_killed_anywhere_activate_again_or_rollback_ends_well(tmp_path: Path) -> None:
    template = Server(tmp_path / "template")
    names = [template.stage_module("A = 1\n"), *template.stage(raw_data="# first\n")]
    words = ("activate", "--by", "ops", "--seconds", "60", *names)
    reached = 0
    for at in range(1, 100):
        for ending in ("activate", "rollback"):
            server = template.copy(tmp_path / f"{ending}{at}")
            cut_off = server.killed(at, *words)
            assert server.running == OLD or server.pending
            if ending == "activate":
                server.do(*words)
                server.do("confirm")
            else:
                server.do("rollback")
            status = server.do("status")
            expected = names if ending == "activate" else OLD
            assert (server.running, status["active"], status["effect"]) == (expected, expected, "nothing")
            assert status["pending"] is None
            assert (status["record"] or {"previous": OLD})["previous"] == OLD
            assert not list(server.folder.glob(".*"))
        if not cut_off:
            break
        reached = at
    assert reached >= 12


@pytest.mark.parametrize("words", [("confirm",), ("rollback",)])
def test_killed_anywhere_while_settling_the_same_again_ends_well(tmp_path: Path, words: tuple[str]) -> None:
    template = Server(tmp_path / "template")
    names = template.stage(raw_data="# first\n")
    assert template.activate(names).returncode == 0
    expected = names if words == ("confirm",) else OLD
    reached = 0
    for at in range(1, 100):
        server = template.copy(tmp_path / str(at))
        cut_off = server.killed(at, *words)
        server.do(*words)
        if words == ("confirm",):
            # What is confirmed is not taken back.
            server.do("rollback")
        status = server.do("status")
        assert (server.running, status["active"], status["pending"]) == (expected, expected, None)
        if words == ("confirm",):
            assert (status["record"]["re_rulebase_set"], status["record"]["previous"]) == (names, OLD)
        if not cut_off:
            break
        reached = at
    assert reached >= 5


def test_both_kinds_are_activated_together_and_taken_back_together(server: Server) -> None:
    names = [server.stage_module("A = 1\n"), *server.stage(raw_data="# first\n")]
    assert server.activate(names).returncode == 0
    assert (server.running, server.do("status")["active"]) == (names, names)
    assert server.engines == ["python", "irods_rule_language"]
    assert (server.folder / "core.py").read_bytes() == (FILES / "core.py").read_bytes()
    server.do("rollback")
    assert (server.running, server.engines, server.ours) == (OLD, ["irods_rule_language"], set())


def test_modules_of_the_list_before_stay_and_older_ones_go_with_what_was_compiled(server: Server) -> None:
    releases = [f"A = {number}\n" for number in range(3)]
    for text in releases:
        assert server.activate([server.stage_module(text), *OLD]).returncode == 0
        server.do("confirm")
        compiled = server.folder / "__pycache__" / f"{module('file-names', text)}.cpython-311.pyc"
        compiled.parent.mkdir(exist_ok=True)
        compiled.touch()
    server.activate(OLD)
    server.do("confirm")
    assert server.ours == {module("file-names", releases[2])}
    assert [path.stem.partition(".")[0] for path in (server.folder / "__pycache__").iterdir()] == [
        module("file-names", releases[2])
    ]
    assert server.engines == ["irods_rule_language"]


def test_an_edit_by_hand_of_a_module_is_found_and_taken_back(server: Server) -> None:
    name = server.stage_module("A = 1\n")
    server.activate([name, *OLD])
    server.do("confirm")
    (server.folder / f"{name}.py").write_text("A = 2\n")
    status = server.do("status")
    assert (status["edited"], status["files"][name]["text"]) == ([name], "A = 2\n")
    server.stage_module("A = 1\n")
    assert server.do("status")["edited"] == []


def test_what_is_no_python_never_reaches_the_server(server: Server) -> None:
    name = server.stage_module("def pep_api_data_obj_put_pre(rule_args, callback, rei:\n    pass\n")
    done = server.activate([name, *OLD])
    assert (done.returncode, f"{name}.py:1:29: no Python that the server could read" in done.stderr) == (
        1,
        True,
    )
    assert (server.running, server.reloads, server.do("status")["pending"]) == (OLD, 1, None)


def test_a_module_that_the_server_cannot_import_is_taken_back_at_once(server: Server) -> None:
    done = server.activate([server.stage_module("raise OSError('SYNTAX')\n"), *OLD])
    assert (done.returncode, "could not read a rule base" in done.stderr) == (1, True)
    assert (server.running, server.engines, server.ours) == (OLD, ["irods_rule_language"], set())


def test_somebody_elses_core_is_never_touched(server: Server) -> None:
    core = server.folder / "core.py"
    core.write_text("# ours, says the site\n")
    done = server.activate([server.stage_module("A = 1\n"), *OLD])
    assert (done.returncode, "core.py is somebody else's" in done.stderr) == (1, True)
    assert (core.read_text(), server.running) == ("# ours, says the site\n", OLD)
    # What is not in Python goes on as ever.
    assert server.activate(server.stage(raw_data="# first\n")).returncode == 0


def test_without_the_engine_rule_bases_in_python_are_refused(server: Server) -> None:
    (server.root / "usr/lib/irods/plugins/rule_engines/libirods_rule_engine_plugin-python.so").unlink()
    done = server.activate([server.stage_module("A = 1\n"), *OLD])
    assert (done.returncode, "irods-rule-engine-plugin-python, which is not installed" in done.stderr) == (
        1,
        True,
    )
    assert server.running == OLD


def test_rule_bases_in_python_come_first(server: Server) -> None:
    name = server.stage_module("A = 1\n")
    done = server.activate([*server.stage(raw_data="# first\n"), name])
    assert (done.returncode, "stand before all others" in done.stderr) == (1, True)


def test_connections_name_user_and_program_where_the_agents_tell(server: Server) -> None:
    head = "  sl  local_address rem_address   st tx rx tr tm retrnsmt uid timeout inode\n"
    row = " 0: 0C00500A:{:04X} {}:A1B2 {} 00000000:00000000 00:00000000 00000000 999 0 {} 1\n"
    (server.root / "proc/net/tcp").write_text(
        head
        + row.format(1247, "0100500A", "01", 11)
        + row.format(1247, "0200500A", "01", 12)
        + row.format(1247, "00000000", "0A", 13)
        + row.format(22, "0100500A", "01", 14)
    )
    (server.root / "proc/net/tcp6").write_text(
        head
        + " 0: 0000000000000000FFFF00000C00500A:04DF 0000000000000000FFFF00000300500A:A1B2 "
        + "01 0:0 0:0 0 9 0 15 1\n"
    )
    descriptors = server.root / "proc/321/fd"
    descriptors.mkdir(parents=True)
    (descriptors / "4").symlink_to("socket:[11]")
    agent = server.root / "var/lib/irods/log/proc/321"
    agent.write_text(f"ana bicZone rods bicZone my program 10.80.0.1 {int(time.time()) - 7}\n")
    (server.root / "var/lib/irods/log/proc/999").write_text("of a process that is gone\n")
    found = server.do("connections")["connections"]
    assert found[0]["user"] == "ana#bicZone"
    assert found[0]["program"] == "my program"
    assert found[0]["address"] == "10.80.0.1"
    assert 6 <= found[0]["seconds"] <= 9
    assert sorted(one["address"] for one in found[1:]) == ["10.80.0.2", "10.80.0.3"]


def test_a_wrong_call_says_so(server: Server) -> None:
    assert server.run("activate").returncode == 2
    assert server.run("nothing").returncode == 2
