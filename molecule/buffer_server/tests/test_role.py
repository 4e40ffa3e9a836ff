"""What the role says of wrong settings, and what it does where no passwords are checked."""

from __future__ import annotations

import pytest
from conftest import converge, said
from entrances import MARK, ControlPlane, Entrance
from testinfra.host import Host

pytest_plugins = ["common_fixtures"]
testinfra_hosts = ["ansible://mol-buffer"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"buffer_server_control_key": "no key"}, "buffer_server_control_key must be one SSH public key"),
        ({"buffer_server_control_sources": ["everywhere"]}, "must hold addresses and networks"),
        (
            {"buffer_server_facility": "caen"},
            f"has accounts and groups of {MARK}, and buffer_server_facility is caen",
        ),
    ],
)
def test_wrong_settings_are_told(control: ControlPlane, wrong: dict[str, object], told: str) -> None:
    control.user("marie")
    result = converge(**wrong)
    assert result.returncode != 0
    assert told in said(result)


def test_without_ldap_nobody_has_a_password(
    control: ControlPlane, entrance: Entrance, host: Host, people: None
) -> None:
    assert not entrance.refuses("marie")
    try:
        result = converge(buffer_server_pam_ldap={})
        assert result.returncode == 0, said(result)
        assert entrance.refuses("marie")
        assert not host.file("/etc/nslcd.conf").exists
        assert control.done(do="read")["users"]["marie"]["open"]
    finally:
        result = converge()
    assert result.returncode == 0, said(result)
    assert not entrance.refuses("marie")
