"""The server's log: in the journal, and as JSON lines in a file of its own that is rotated."""

from __future__ import annotations

import json
import time
from pathlib import Path

from testinfra.host import Host
from zone import log_in, session

LOG = "/var/log/irods/irods.log"
LINES = 4000


def lines(host: Host) -> list[str]:
    """All lines of the log and of what was rotated, in any order."""
    return host.check_output(f"zcat --force {LOG}*").splitlines()


def wait_for(host: Host, text: str, number: int = 1, seconds: float = 90) -> int:
    """Return how many lines hold a text, as soon as there are as many as expected."""
    end = time.monotonic() + seconds
    while (found := sum(text in line for line in lines(host))) < number and time.monotonic() < end:
        time.sleep(0.5)
    return found


def test_what_the_server_says_is_in_journal_and_file(host: Host) -> None:
    host.check_output("/usr/local/sbin/irods-service restart")
    message = host.check_output(
        "journalctl --quiet --output=cat --unit=irods.service SYSLOG_IDENTIFIER=irodsServer | tail -1"
    )
    assert json.loads(message)["server_type"] == "server"
    assert wait_for(host, message) == 1
    documents = [json.loads(line) for line in lines(host)]
    assert {document["server_zone"] for document in documents if "server_zone" in document} == {"molZone"}


def test_log_is_for_administrators(host: Host) -> None:
    file = host.file(LOG)
    assert (file.user, file.group, file.mode) == ("root", "adm", 0o640)
    assert (host.file("/var/log/irods").group, host.file("/var/log/irods").mode) == ("adm", 0o750)
    assert host.run("runuser -u nobody -- cat %s", LOG).rc != 0


def test_nothing_is_lost_when_the_log_is_rotated(host: Host) -> None:
    mark = f"rotation-{time.time_ns()}"
    # More than the journal takes from a service by default is let through from iRODS alone, so keep below it.
    host.check_output(
        f'for i in $(seq {LINES}); do echo \'{{"mark": "{mark}", "number": \'$i\'}}\'; done'
        " | (systemd-run --quiet --pipe --property=LogRateLimitIntervalSec=0 logger --tag irodsAgent &"
        " for turn in 1 2 3; do sleep 0.3; logrotate --force /etc/logrotate.d/irods; sleep 1; done; wait)"
    )
    assert wait_for(host, mark, LINES) == LINES
    numbers = {json.loads(line)["number"] for line in lines(host) if mark in line}
    assert numbers == set(range(1, LINES + 1))
    assert int(host.check_output("ls /var/log/irods | wc -l")) > 1
    assert (host.file(LOG).user, host.file(LOG).group, host.file(LOG).mode) == ("root", "adm", 0o640)


def test_long_lines_stay_whole(host: Host) -> None:
    mark = f"long-{time.time_ns()}"
    host.check_output(
        f'printf \'{{"mark": "{mark}", "rest": "%020000d"}}\' 0 | logger --size 64k --tag irodsServer'
    )
    assert wait_for(host, mark) == 1
    (line,) = (line for line in lines(host) if mark in line)
    assert len(json.loads(line)["rest"]) == 20000


def test_log_holds_no_secrets(host: Host, address: str, secrets: dict[str, str], authority: Path) -> None:
    log_in(session(address, secrets["irods_admin_password"], authority))
    text = "\n".join(lines(host)) + host.check_output("journalctl --quiet --no-pager --output=cat")
    assert [name for name, value in secrets.items() if value in text] == []
