"""The probe runner, and the probes that need no system."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from controlplane.cli.health_text import rendered
from controlplane.health.dependencies import inhibited
from controlplane.health.net import fetch, reachable
from controlplane.health.port import Check, CheckFailedError, FindingError, Probe, Severity, UnseenError
from controlplane.health.run import Status, is_well, run_probes
from controlplane.systems.host import probes as host_probes


def _fails(message: str) -> Callable[[], str]:
    def run() -> str:
        raise CheckFailedError(message)

    return run


def check(name: str, run: Callable[[], str], **fields: Any) -> Check:
    return Check(name, run, "Nobody can work.", "HostDown#look", **fields)


def test_checks_after_a_failure_are_skipped_and_other_probes_are_not() -> None:
    probes = [
        Probe(
            "s", "one", (check("a", lambda: "fine"), check("b", _fails("bad")), check("c", lambda: "never"))
        ),
        Probe("s", "two", (check("a", lambda: "fine"),)),
        Probe("s", "three", (check("a", lambda: str(1 // 0)),)),
    ]
    results = run_probes(probes, deadline=5)
    assert [(result.target, result.check, result.status) for result in results] == [
        ("one", "a", Status.OK),
        ("one", "b", Status.FAILED),
        ("one", "c", Status.SKIPPED),
        ("two", "a", Status.OK),
        ("three", "a", Status.FAILED),
    ]
    assert results[2].detail == "because b failed"
    assert "ZeroDivisionError" in results[4].detail
    assert results[1].runbook == "docs/runbooks/HostDown.md#look"


def test_a_warning_stops_nothing_and_is_no_reason_to_be_called_unwell() -> None:
    def ends() -> str:
        raise FindingError("ends soon")

    results = run_probes(
        [Probe("s", "t", (check("a", ends, severity=Severity.WARNING), check("b", lambda: "fine")))], 60
    )
    assert [(result.status, result.finding) for result in results] == [
        (Status.FAILED, True),
        (Status.OK, False),
    ]
    assert is_well(results)


def test_what_could_not_be_seen_is_a_warning_and_stops_nothing() -> None:
    def unseen() -> str:
        raise UnseenError("nothing is measured")

    results = run_probes([Probe("s", "t", (check("a", unseen), check("b", lambda: "fine")))], 60)
    assert [(result.status, result.severity) for result in results] == [
        (Status.FAILED, Severity.WARNING),
        (Status.OK, Severity.CRITICAL),
    ]
    assert is_well(results)


def test_a_check_that_takes_too_long_fails_alone() -> None:
    release = threading.Event()
    probes = [
        Probe("s", "slow", (check("hang", lambda: str(release.wait(60)), timeout=0.2),)),
        Probe("s", "well", (check("a", lambda: "fine"),)),
    ]
    results = run_probes(probes, deadline=60)
    release.set()
    assert [result.status for result in results] == [Status.FAILED, Status.OK]
    assert results[0].detail == "no answer within its 0.2 s"
    assert not is_well(results)


def test_probes_run_at_the_same_time_and_the_deadline_holds() -> None:
    release = threading.Event()
    everybody = threading.Barrier(3)

    def meet() -> str:
        everybody.wait(timeout=5)
        return "met"

    def hang() -> str:
        release.wait(30)
        return "too late"

    probes = [Probe("s", str(number), (check("meet", meet),)) for number in range(3)]
    begun = time.monotonic()
    results = run_probes(
        [*probes, Probe("s", "slow", (check("hang", hang), check("next", hang)))], deadline=1.0
    )
    release.set()
    assert time.monotonic() - begun < 5
    assert [result.status for result in results] == [Status.OK] * 3 + [Status.FAILED] * 2
    assert results[3].detail == "no answer within the deadline of 1 s"


@contextmanager
def greeting(banner: bytes) -> Iterator[int]:
    """A server on a port of its own that says one thing to everybody."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(banner)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_a_port_must_be_open_and_ssh_must_greet(monkeypatch: pytest.MonkeyPatch) -> None:
    with greeting(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        assert reachable("127.0.0.1", port) == f"port {port} answers"
        monkeypatch.setattr(host_probes, "SSH_PORT", port)
        assert host_probes._ssh("127.0.0.1") == "SSH answers"
    with pytest.raises(CheckFailedError, match="Connection refused"):
        reachable("127.0.0.1", port)
    with greeting(b"220 mail\r\n") as port:
        monkeypatch.setattr(host_probes, "SSH_PORT", port)
        with pytest.raises(CheckFailedError, match="no SSH server greets"):
            host_probes._ssh("127.0.0.1")


def test_a_page_without_a_usable_authority_is_not_asked_for(tmp_path: Path) -> None:
    with pytest.raises(CheckFailedError, match=r"authority .* cannot be read"):
        fetch("https://127.0.0.1:1/", tmp_path / "ca.crt")


def test_the_table_has_the_worst_first_and_names_the_cause() -> None:
    def ends() -> str:
        raise FindingError("ends soon")

    probes = [
        Probe("s", "well", (check("a", lambda: "[fine]"),)),
        Probe("s", "zone", (check("port", _fails("closed")),), needs=("host",)),
        Probe("s", "warned", (check("certificate", ends, severity=Severity.WARNING),)),
        Probe("s", "host", (check("SSH", _fails("silent")),), provides="host"),
        Probe("journey", "data", (check("enter", lambda: "1 byte"),)),
    ]
    out = Console(width=120, file=io.StringIO())
    out.print(rendered(inhibited(probes, run_probes(probes, 60))))
    assert isinstance(out.file, io.StringIO)
    lines = [" ".join(line.split()) for line in out.file.getvalue().splitlines()]
    assert lines[1:] == [
        "FAILED s host SSH: silent",
        "Nobody can work. → docs/runbooks/HostDown.md#look",
        "WARNING s warned certificate: ends soon",
        "Nobody can work. → docs/runbooks/HostDown.md#look",
        "because s zone of s host: port",
        "OK s well [fine]",
        "OK journey data enter 0.0 s",
        "",
        "1 failure, 1 warning, 1 target because of them; 2 of 5 are well",
    ]
