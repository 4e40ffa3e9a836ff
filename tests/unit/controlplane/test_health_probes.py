"""What health asks of Prometheus, of databases, of certificates, and of the store."""

import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from https_pages import answering

sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "irods"))

from throwaway_pki import create_authority, issue

from controlplane.health import net
from controlplane.health.port import CheckFailedError, FindingError, UnseenError
from controlplane.model import Platform, load_platform
from controlplane.model.platform import StoreDatabase
from controlplane.model.secrets import Secret
from controlplane.state import Difference
from controlplane.store import comparisons, open_store
from controlplane.store.comparisons import Comparison
from controlplane.systems.controlplane import probes as own_probes
from controlplane.systems.federation import probes as federation_probes
from controlplane.systems.host import probes as host_probes
from controlplane.systems.postgresql import probes as postgresql_probes
from controlplane.systems.prometheus import query
from controlplane.systems.prometheus.query import Sample, Watcher, watcher_of

SANDBOX = Path(__file__).parents[3] / "inventories" / "sandbox"


@dataclass(frozen=True)
class Told(Watcher):
    """A Prometheus that answers every query with the same."""

    told: list[Sample] = field(default_factory=list)

    def samples(self, query: str) -> list[Sample]:
        assert 'host="dc1-icat"' in query
        return self.told


@pytest.fixture
def platform() -> Platform:
    return load_platform(SANDBOX)


def told(platform: Platform, *samples: tuple[float, dict[str, str]]) -> Watcher:
    monitor = platform.hosts["dc1-monitor"]
    return Told(platform, monitor, [Sample(labels, value) for value, labels in samples])


@pytest.mark.parametrize(
    ("check", "value", "labels", "found"),
    [
        (host_probes._disks, 0.31, {"mountpoint": "/srv"}, "31% free on /srv"),
        (host_probes._clock, -0.4, {}, "clock right"),
        (host_probes._units, 0, {"name": "irods.service"}, "no unit failed"),
        (host_probes._exporters, 1, {"job": "node"}, "1 exporters read"),
        (postgresql_probes._up, 1, {}, "lets its exporter in"),
        (federation_probes._accepted, 0, {"feed": "edugain"}, "1 feeds, none refused"),
    ],
)
def test_what_was_measured_and_is_well(
    platform: Platform,
    check: Callable[[Watcher, str], str],
    value: float,
    labels: dict[str, str],
    found: str,
) -> None:
    assert check(told(platform, (value, labels)), "dc1-icat") == found
    with pytest.raises(UnseenError, match="has measured nothing of"):
        check(told(platform), "dc1-icat")


@pytest.mark.parametrize(
    ("check", "value", "labels", "reason"),
    [
        (host_probes._disks, 0.02, {"mountpoint": "/srv"}, "less than 5% is free on /srv"),
        (host_probes._clock, -42.0, {}, "its clock is 42 s slow"),
        (host_probes._clock, 42.0, {}, "its clock is 42 s fast"),
        (host_probes._units, 1, {"name": "irods.service"}, r"failed: irods\.service"),
        (postgresql_probes._up, 0, {}, "it lets nobody in"),
        (federation_probes._accepted, 1, {"feed": "edugain"}, "refused: edugain"),
        (postgresql_probes._backed_up, 0, {"database": "ICAT"}, r"age of the last backup: ICAT \d+ hours"),
    ],
)
def test_what_was_measured_and_is_wrong_is_a_finding(
    platform: Platform,
    check: Callable[[Watcher, str], str],
    value: float,
    labels: dict[str, str],
    reason: str,
) -> None:
    with pytest.raises(FindingError, match=reason):
        check(told(platform, (value, labels)), "dc1-icat")


def test_an_exporter_that_cannot_be_read_may_follow_from_its_host(platform: Platform) -> None:
    with pytest.raises(CheckFailedError, match="cannot read node") as raised:
        host_probes._exporters(told(platform, (0, {"job": "node"}), (1, {"job": "bic"})), "dc1-icat")
    assert not isinstance(raised.value, FindingError)


def test_the_age_of_backups_is_told(platform: Platform) -> None:
    now = datetime.now(UTC).timestamp()
    young = told(platform, (now - 3600, {"database": "ICAT"}), (now - 7200, {"database": "bic"}))
    assert postgresql_probes._backed_up(young, "dc1-icat") == "last backup 2 hours ago"
    with pytest.raises(CheckFailedError, match="no restore drill is known"):
        postgresql_probes._proven(told(platform), "dc1-icat")


def test_prometheus_is_asked_near_the_host(
    tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    production = load_platform(SANDBOX.parent / "production")
    near = watcher_of(production, production.hosts["dc2-icat"])
    assert near is not None
    assert near.provided == "prometheus on dc2-monitor"
    answer = {"status": "success", "data": {"result": [{"metric": {"a": "b"}, "value": [1, "0.5"]}]}}
    with answering(tmp_path / "pki", {"/api/v1/query": json.dumps(answer)}) as (base, ca_file):
        monkeypatch.setattr(query, "PORT", int(base.rpartition(":")[2]))
        # The platform's authority is in its state folder.
        (tmp_path / "state" / "pki").mkdir(parents=True)
        (tmp_path / "state" / "pki" / "ca.crt").write_text(ca_file.read_text())
        here = replace(platform.hosts["dc1-monitor"], address=IPv4Address("127.0.0.1"))
        watcher = Watcher(replace(platform, state_dir=tmp_path / "state"), here)
        assert watcher.samples('up{host="a"}') == [Sample({"a": "b"}, 0.5)]
    with answering(tmp_path / "again", {"/api/v1/query": "[]"}) as (base, ca_file):
        monkeypatch.setattr(query, "PORT", int(base.rpartition(":")[2]))
        (tmp_path / "state" / "pki" / "ca.crt").write_text(ca_file.read_text())
        with pytest.raises(UnseenError, match="does not answer as Prometheus does"):
            watcher.samples("up")
    with pytest.raises(UnseenError, match="Connection refused"):
        watcher.samples("up")


def test_a_certificate_that_lasts_and_one_that_is_about_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(tmp_path, {}) as (base, ca_file):
        port = int(base.rpartition(":")[2])
        monkeypatch.setattr(net, "CERTIFICATE_LEFT", timedelta(0))
        assert net.certificate_lasts("127.0.0.1", port, ca_file).startswith("certificate good for")
        monkeypatch.setattr(net, "CERTIFICATE_LEFT", timedelta(days=100_000))
        with pytest.raises(FindingError, match="the certificate ends on"):
            net.certificate_lasts("127.0.0.1", port, ca_file)
        other = create_authority(tmp_path / "other").ca_file
        with pytest.raises(FindingError, match=f"the certificate of 127.0.0.1:{port} is not accepted"):
            net.certificate_lasts("127.0.0.1", port, other)
    with pytest.raises(CheckFailedError, match="Connection refused"):
        net.certificate_lasts("127.0.0.1", port, ca_file)


@contextmanager
def speaking_postgresql(folder: Path, answer: bytes) -> Iterator[tuple[int, Path]]:
    """A server that answers the request for TLS, and then speaks it."""
    authority = create_authority(folder)
    files = issue(authority, folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate_chain_file, files.certificate_key_file)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(8) == bytes.fromhex("0000000804d2162f")
                connection.sendall(answer)
                if answer == b"S":
                    context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], authority.ca_file
        thread.join()


def test_the_certificate_of_postgresql_comes_after_its_own_greeting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PASSWORD", "sesame")
    monkeypatch.setattr(net, "CERTIFICATE_LEFT", timedelta(0))
    secret = Secret.from_environment("TEST_PASSWORD")
    with speaking_postgresql(tmp_path / "tls", b"S") as (port, ca_file):
        store = StoreDatabase("db", IPv4Address("127.0.0.1"), secret, ca_file)
        said = postgresql_probes.check_certificate("127.0.0.1", port, store)
        assert said.startswith("certificate good for")
    with (
        speaking_postgresql(tmp_path / "plain", b"N") as (port, _),
        pytest.raises(FindingError, match="does not offer TLS"),
    ):
        postgresql_probes.check_certificate("127.0.0.1", port, store)
    nobody = replace(store, address=IPv4Address("127.7.9.9"))
    with pytest.raises(CheckFailedError, match=r"no login: .*127\.7\.9\.9") as raised:
        postgresql_probes.check_login(nobody)
    assert "sesame" not in str(raised.value)


def test_the_last_comparison_is_told_and_nothing_is_compared(platform: Platform, tmp_path: Path) -> None:
    here = replace(platform, store=None, state_dir=tmp_path)
    assert own_probes._opens(here) == "nothing was stored yet"
    assert own_probes._as_desired(here) == "nothing was compared yet"
    assert not list(tmp_path.iterdir())
    now = datetime.now(UTC)
    with open_store(here) as store:
        comparisons.save(store, here.name, Comparison("memory/a", now, 1.0))
        comparisons.save(store, here.name, Comparison("memory/b", now, 1.0, counts={}))
        assert own_probes._as_desired(here) == "2 systems as desired"
        counts = {("group", Difference.MISSING): 3}
        comparisons.save(store, here.name, Comparison("memory/a", now, 1.0, counts=counts))
        comparisons.save(store, here.name, Comparison("memory/b", now - timedelta(days=3), 1.0))
    assert own_probes._opens(here).endswith("store.sqlite answers")
    with pytest.raises(FindingError, match=r"3 objects of memory/a .*; memory/b was last compared on"):
        own_probes._as_desired(here)
