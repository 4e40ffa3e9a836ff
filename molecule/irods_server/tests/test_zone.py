"""What is of the whole zone: its settings, the place of its delay server, and the computing of usage."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from irods.column import Column, Integer
from irods.message import Message, StringProperty, iRODSMessage
from irods.models import Model
from irods.session import iRODSSession
from testinfra.host import Host
from zone import ADDRESSES, session

testinfra_hosts = ["ansible://mol-irods-provider"]

READ_METRICS = """
import ssl, urllib.request
trust = ssl.create_default_context(cafile="/etc/bic/pki/ca.crt")
print(urllib.request.urlopen("https://mol-irods-provider:9100/metrics", context=trust).read().decode())
"""
METRIC = "irods_quota_accounting_last_success_timestamp_seconds"


class Usage(Model):
    """What somebody owns on a storage resource, as it was last computed."""

    user_id = Column(Integer, "QUOTA_USAGE_USER_ID", 2010)
    resc_id = Column(Integer, "QUOTA_USAGE_RESC_ID", 2011)
    size = Column(Integer, "QUOTA_USAGE", 2012)


class GridConfiguration(Message):
    """A question for a value of the grid configuration."""

    _name = "GridConfigurationInp_PI"
    name_space = StringProperty()
    option_name = StringProperty()
    option_value = StringProperty()


class GridValue(Message):
    """The answer."""

    _name = "GridConfigurationOut_PI"
    option_value = StringProperty()


def setting(irods: iRODSSession, name_space: str, option: str) -> str:
    """Return a value of the grid configuration."""
    question = GridConfiguration(name_space=name_space, option_name=option, option_value="")
    with irods.pool.get_connection() as connection:
        connection.send(iRODSMessage("RODS_API_REQ", msg=question, int_info=20009))
        return str(connection.recv().get_main_message(GridValue).option_value or "")


@pytest.fixture
def irods(secrets: dict[str, str], authority: Path) -> iRODSSession:
    """A session of the administrator."""
    with session(ADDRESSES["mol-irods-provider"], secrets["irods_admin_password"], authority) as opened:
        yield opened


@pytest.mark.parametrize(
    ("name_space", "option", "value"),
    [
        ("authentication", "password_min_time", "3600"),
        ("authentication", "password_max_time", "1209600"),
        ("authentication", "password_extend_lifetime", "1"),
        ("access_time", "resolution_in_seconds", "86400"),
    ],
)
def test_settings_are_in_the_catalogue(irods: iRODSSession, name_space: str, option: str, value: str) -> None:
    assert setting(irods, name_space, option) == value


def test_delay_server_runs_where_it_was_put(irods: iRODSSession) -> None:
    assert setting(irods, "delay_server", "leader") == "mol-irods-consumer.mol.example"
    assert setting(irods, "delay_server", "successor") == ""


def test_usage_is_computed_by_the_timer(host: Host, irods: iRODSSession) -> None:
    assert host.service("irods-quota-accounting.timer").is_running
    assert host.service("irods-quota-accounting.timer").is_enabled
    path = f"/molZone/home/rods/usage-{time.time_ns()}"
    with irods.data_objects.open(path, "w") as file:
        file.write(b"x" * 4096)
    try:
        start = int(time.time())
        host.check_output("systemctl start irods-quota-accounting.service")
        metric = host.check_output(
            f"grep ^{METRIC} /var/lib/prometheus/node-exporter/irods_quota_accounting.prom"
        )
        assert int(metric.split()[1]) >= start
        assert METRIC in host.check_output("python3 -c %s", READ_METRICS)
        sizes = [row[Usage.size] for row in irods.query(Usage.user_id, Usage.resc_id, Usage.size)]
        assert sum(sizes) >= 4096
    finally:
        irods.data_objects.unlink(path, force=True)


def test_failed_computing_is_no_success(host: Host) -> None:
    prom = "/var/lib/prometheus/node-exporter/irods_quota_accounting.prom"
    host.check_output("systemctl start irods-quota-accounting.service")
    before = host.file(prom).content_string
    host.check_output("mv /var/lib/irods/.irods/.irodsA /root/irodsA")
    try:
        assert host.run("systemctl start irods-quota-accounting.service").rc != 0
    finally:
        host.check_output("mv /root/irodsA /var/lib/irods/.irods/.irodsA")
        host.run("systemctl reset-failed irods-quota-accounting.service")
    assert host.file(prom).content_string == before


def test_rule_bases_are_noted_by_a_timer(host: Host) -> None:
    assert host.service("irods-rule-bases-note.timer").is_running
    assert host.service("irods-rule-bases-note.timer").is_enabled
    # Nothing was rolled out here yet, which is no failure.
    host.check_output("systemctl start irods-rule-bases-note.service")


@pytest.mark.parametrize("unit", ["irods-quota-accounting", "irods-rule-bases-note"])
def test_units_are_confined(host: Host, unit: str) -> None:
    exposure = host.check_output("systemd-analyze security --no-pager %s.service | tail -1", unit)
    assert float(re.findall(r"\d+\.\d", exposure)[0]) < 2.0
