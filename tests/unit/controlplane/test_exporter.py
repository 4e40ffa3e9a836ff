"""The exporter answers from memory, says how old its answers are, and stops when told."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from controlplane.errors import BicError
from controlplane.exporter.run import FIRST_RETRY, Background, until_next
from controlplane.systems.irods.metrics import facility_totals

ROOT = Path(__file__).parents[3]


class Fake:
    """A collector that does what it is told."""

    def __init__(self, name: str, zone: str, read: Callable[[], float], interval: float = 60.0) -> None:
        self.name, self.zone, self.read, self.interval = name, zone, read, interval

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("bic_test_things", "Things.", labels=("zone",))
        family.add_metric([self.zone], self.read())
        yield family


def scrape(background: Background) -> str:
    registry = CollectorRegistry()
    registry.register(background)
    return generate_latest(registry).decode()


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not happen within 5 s"
        time.sleep(0.01)


def test_a_scrape_never_waits_and_collectors_of_two_zones_share_a_family() -> None:
    release = threading.Event()

    def slow() -> float:
        release.wait(10)
        return 3.0

    background = Background([Fake("one", "a", lambda: 1.0), Fake("two", "b", slow)])
    background.start()
    eventually(lambda: 'bic_collector_up{collector="one"} 1.0' in scrape(background))
    text = scrape(background)
    assert 'bic_collector_up{collector="two"} 0.0' in text
    assert 'bic_collector_last_success_timestamp_seconds{collector="two"} 0.0' in text
    assert 'zone="b"' not in text
    release.set()
    eventually(lambda: 'bic_test_things{zone="b"} 3.0' in scrape(background))
    assert scrape(background).count("# TYPE bic_test_things gauge") == 1
    background.stop(1.0)


def test_a_failed_reading_keeps_the_last_values_only_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([1.0])

    def read() -> float:
        try:
            return next(readings)
        except StopIteration:
            raise BicError("no answer") from None

    background = Background([Fake("one", "a", read, interval=0.3)])
    background.start()
    eventually(lambda: 'bic_test_things{zone="a"} 1.0' in scrape(background))
    eventually(lambda: 'bic_collector_up{collector="one"} 0.0' in scrape(background))
    assert 'bic_test_things{zone="a"} 1.0' in scrape(background)
    eventually(lambda: "bic_test_things" not in scrape(background))
    background.stop(1.0)


def test_what_a_facility_holds_does_not_include_another_one_with_a_longer_name() -> None:
    homes = {
        "a": [(1.0, 10.0), (0.0, 0.0), (5.0, 50.0)],
        "a-b": [(1.0, 5.0), (1.0, 5.0), (2.0, 20.0)],
        "a-b-c": [(1.0, 7.0), (0.0, 0.0), (0.0, 0.0)],
        "ab": [(4.0, 4.0)],
    }
    assert facility_totals(homes) == {
        "a": (2.0, 30.0),
        "a-b": (3.0, 23.0),
        "a-b-c": (1.0, 7.0),
        "ab": (4.0, 4.0),
    }


def test_the_process_serves_over_tls_and_stops_cleanly(inventory: Path, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            key,
            "-out",
            certificate,
            *subject,
        ],
        check=True,
        capture_output=True,
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "controlplane", "--inventory", inventory, "exporter"]
    listen = ["--listen", f"127.0.0.1:{port}", "--tls-cert", certificate, "--tls-key", key]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*command, *listen], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert f"https://127.0.0.1:{port}/metrics" in process.stderr.readline()
        context = ssl.create_default_context(cafile=certificate)
        page = httpx.get(f"https://127.0.0.1:{port}/metrics", verify=context, trust_env=False)
        assert 'bic_collector_up{collector="irods_contents_bicZone"} 0.0' in page.text
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()


def test_a_failed_reading_is_tried_again_soon_and_then_ever_later() -> None:
    assert until_next(600, 0) == 600
    assert [until_next(600, failures) for failures in (1, 2, 3)] == [
        FIRST_RETRY,
        2 * FIRST_RETRY,
        4 * FIRST_RETRY,
    ]
    assert until_next(600, 100_000) == 600
    assert until_next(2, 1) == 2


def test_a_slow_collector_recovers_long_before_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.exporter.run.FIRST_RETRY", 0.01)
    answers = iter([BicError("it starts"), BicError("it starts"), 7.0])

    def read() -> float:
        answer = next(answers)
        if isinstance(answer, BicError):
            raise answer
        return answer

    background = Background([Fake("slow", "a", read, interval=3600.0)])
    background.start()
    eventually(lambda: 'bic_collector_up{collector="slow"} 1.0' in scrape(background))
    background.stop(1)
