"""The exporter answers from memory whom it may, says how old its answers are, and stops when told."""

import asyncio
import base64
import itertools
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
from prometheus_client.core import GaugeMetricFamily, Metric

from controlplane.errors import BicError
from controlplane.exporter.gate import Gate
from controlplane.exporter.run import FIRST_RETRY, Background, until_next
from controlplane.exporter.serve import application
from controlplane.health.port import CheckFailedError
from controlplane.model import load_platform
from controlplane.systems.controlplane import probes

ROOT = Path(__file__).parents[3]


class Fake:
    """A collector that does what it is told."""

    def __init__(
        self,
        name: str,
        zone: str,
        read: Callable[[], float],
        interval: float = 60.0,
        budget: float = 60.0,
    ) -> None:
        self.name, self.zone, self.read = name, zone, read
        self.interval, self.budget = interval, budget

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("bic_test_things", "Things.", labels=("zone",))
        family.add_metric([self.zone], self.read())
        yield family


def scrape(background: Background) -> str:
    return background.page("plain").decode()


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen within 60 s"
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


def sample(text: str, name: str) -> float:
    (value,) = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(value)


def test_a_collector_that_hangs_is_down_when_its_budget_is_spent_and_harms_no_other() -> None:
    release = threading.Event()

    def hang() -> float:
        release.wait(600)
        return 3.0

    background = Background(
        [Fake("hangs", "a", hang, interval=0.1, budget=0.05), Fake("lives", "b", lambda: 1.0, interval=0.05)]
    )
    background.start()
    duration = 'bic_collector_duration_seconds{collector="hangs"}'
    eventually(lambda: sample(scrape(background), duration) > 0.2)
    text = scrape(background)
    assert sample(text, 'bic_collector_up{collector="hangs"}') == 0
    assert sample(text, 'bic_collector_budget_seconds{collector="hangs"}') == 0.05
    assert sample(text, 'bic_collector_up{collector="lives"}') == 1
    success = 'bic_collector_last_success_timestamp_seconds{collector="lives"}'
    eventually(lambda: sample(scrape(background), success) > sample(text, success))
    # What comes too late is not offered, and the collector goes on.
    release.set()
    eventually(lambda: sample(scrape(background), 'bic_collector_up{collector="hangs"}') == 1)
    background.stop(60)


def test_a_reading_over_its_budget_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    def slow() -> float:
        time.sleep(0.05)
        return 3.0

    background = Background([Fake("slow", "a", slow, budget=0.01)])
    background.start()
    eventually(lambda: "its budget is 0.01 s" in caplog.text)
    text = scrape(background)
    assert 'bic_collector_up{collector="slow"} 0.0' in text
    assert "bic_test_things" not in text
    background.stop(60)


def answer(gate: Gate | None, authorization: str | None, path: str = "/metrics") -> httpx.Response:
    """What the exporter answers to one request."""

    async def ask() -> httpx.Response:
        background = Background([Fake("one", "a", lambda: 1.0)])
        transport = httpx.ASGITransport(application(background, gate))
        async with httpx.AsyncClient(transport=transport, base_url="https://exporter") as client:
            headers = {} if authorization is None else {"Authorization": authorization}
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


def basic(text: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(text.encode()).decode()}"


GATE = Gate.of("prometheus", "pass:wörd")


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC "])
def test_whoever_gives_the_password_is_answered(scheme: str) -> None:
    page = answer(GATE, basic("prometheus:pass:wörd", scheme))
    assert page.status_code == 200
    assert "# TYPE bic_collector_up gauge" in page.text


@pytest.mark.parametrize("path", ["/metrics", "/"])
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic %%%",
        "Basic cHJvbWV0aGV1cz",
        basic("prometheus:"),
        basic("prometheus:pass:wor"),
        basic("prometheus:pass:wörd "),
        basic("grafana:pass:wörd"),
        basic("prometheus:pass:wörd", "Bearer"),
    ],
)
def test_nobody_else_learns_anything(authorization: str | None, path: str) -> None:
    page = answer(GATE, authorization, path)
    assert page.status_code == 401
    assert page.headers["www-authenticate"] == 'Basic realm="metrics", charset="UTF-8"'
    assert "bic_" not in page.text


def test_without_a_password_the_exporter_asks_for_none() -> None:
    assert answer(None, None).status_code == 200
    assert answer(None, basic("any:body")).status_code == 200


def test_a_gate_does_not_show_the_password() -> None:
    assert "wörd" not in repr(GATE) + str(GATE)


def test_the_process_serves_over_tls_and_stops_cleanly(inventory: Path, tmp_path: Path) -> None:
    platform = load_platform(inventory)
    # Whoever asks trusts it as the platform's authority.
    key, certificate = tmp_path / "key.pem", platform.ca_file
    certificate.parent.mkdir(parents=True)
    assert platform.scrape
    password = Path(platform.scrape.password.where)
    password.parent.mkdir()
    password.write_text("from-the-inventory\n")
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
        url = f"https://127.0.0.1:{port}/metrics"
        assert httpx.get(url, verify=context, trust_env=False).status_code == 401
        prometheus = httpx.BasicAuth("prometheus", "from-the-inventory")
        page = httpx.get(url, verify=context, trust_env=False, auth=prometheus)
        assert page.headers["content-type"].startswith("text/plain; version=")
        other = httpx.get(f"https://127.0.0.1:{port}/", verify=context, trust_env=False, auth=prometheus)
        assert other.status_code == 404
        # A reload reads all again, and does not end it.
        process.send_signal(signal.SIGHUP)
        # Health asks with the same password, and says so when it is not the exporter's any more.
        with pytest.raises(CheckFailedError, match=r"its collectors cannot read: .*irods_contents_bicZone"):
            probes._metrics(url, platform)
        password.write_text("another\n")
        with pytest.raises(CheckFailedError, match="answers 401"):
            probes._metrics(url, platform)
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


def test_all_is_read_at_once_when_somebody_asks() -> None:
    values = itertools.count()
    background = Background([Fake("rare", "a", lambda: float(next(values)), interval=3600.0)])
    background.start()
    eventually(lambda: "bic_test_things" in scrape(background))
    for value in (1, 2):
        background.read_now()
        eventually(lambda: f'bic_test_things{{zone="a"}} {value}.0' in scrape(background))  # noqa: B023
    background.stop(1)
