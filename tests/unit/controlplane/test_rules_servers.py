"""How rollouts reach servers: variables of Ansible, and the process that talks over SSH for us."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.model import Platform, load_platform
from controlplane.rules.rollout import servers
from controlplane.rules.rollout.servers import Servers
from controlplane.rules.rollout.ssh_data import ServerError

PLATFORM = """\
name: test
title: Test
environment: sandbox
domain: test.example
data_centres:
  dc1: {title: One, city: Nantes}
hosts:
  one: {data_centre: dc1, address: 127.0.0.9, services: [irods_catalog_provider]}
zones:
  testZone:
    catalog_provider: one
    administrator: {user: rods, password: {env: NOBODY}}
"""

#: Nothing listens on this port; the rest is what group variables may hold.
VARIABLES = """\
ansible_port: 9
ansible_password: "{{ 's3' ~ 'cret' }}"
ansible_ssh_common_args: -o UserKnownHostsFile={{ inventory_dir }}/known -o StrictHostKeyChecking=yes
"""


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "platform.yml").write_text(PLATFORM)
    (tmp_path / "group_vars" / "all.yml").write_text(VARIABLES)
    return load_platform(tmp_path)


@pytest.fixture
def asked(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    """With variables as Ansible would give them; one test lets it give them, which takes its time."""
    variables = {"host": "127.0.0.9", "port": 9, "user": "root", "password": "s3cret"}
    monkeypatch.setattr(servers, "_variables", lambda platform, names: dict.fromkeys(names, variables))
    with Servers(platform, ["one"]) as opened:
        yield opened


def test_variables_come_from_where_ansible_takes_them(platform: Platform) -> None:
    (found,) = Servers(platform, ["one"])._hosts.values()
    assert (found["ssh_hostname"], found["ssh_port"], found["ssh_user"]) == ("127.0.0.9", 9, "root")
    assert found["ssh_password"] == "s3cret"
    assert found["ssh_known_hosts_file"] == f"{platform.root}/known"


def test_a_host_that_does_not_answer_is_an_error_of_its_own(asked: Servers) -> None:
    answer = asked.ask(["one"], "status")["one"]
    assert answer.error.startswith("no connection over SSH")
    with pytest.raises(ServerError):
        answer.get()


def test_this_process_stays_as_it_is_and_no_secret_is_in_arguments(asked: Servers) -> None:
    asked.ask(["one"], "status")
    assert not [name for name in sys.modules if name.split(".")[0] in {"gevent", "pyinfra"}]
    arguments = Path(f"/proc/{asked._process.pid}/cmdline").read_bytes()
    environment = Path(f"/proc/{asked._process.pid}/environ").read_bytes()
    assert b"ssh_worker" in arguments
    assert b"s3cret" not in arguments + environment


def test_the_death_of_the_helper_process_is_said_and_hangs_nobody(asked: Servers) -> None:
    pid = asked._process.pid
    os.kill(pid, signal.SIGSTOP)
    killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
    killer.start()
    assert "ended by itself" in asked.ask(["one"], "status")["one"].error
    with pytest.raises(ServerError, match="ended by itself"):
        asked.ask(["one"], "status")


def test_a_dying_helper_process_that_still_takes_requests_is_waited_for_by_nobody(
    asked: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(asked._process.pid, signal.SIGKILL)
    asked._reader.join()
    monkeypatch.setattr(asked, "_send", lambda message: None)
    with pytest.raises(ServerError, match="ended by itself"):
        asked.ask(["one"], "status")


def test_an_answer_that_never_comes_is_not_waited_for(
    asked: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "CONNECT_TIMEOUT", 0)
    os.kill(asked._process.pid, signal.SIGSTOP)
    assert asked.ask(["one"], "status", timeout=1)["one"].error == "no answer within 1 s"


def test_variables_that_ansible_cannot_read_are_one_error(platform: Platform) -> None:
    (platform.root / "group_vars" / "all.yml").write_text('ansible_port: "{{ nothing }}"\n')
    with pytest.raises(ServerError, match=r"Ansible's inventory cannot be read.*nothing"):
        Servers(platform, ["one"])
