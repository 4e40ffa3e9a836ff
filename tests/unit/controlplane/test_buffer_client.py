"""How the control plane starts `ssh`, and what it makes of its last words."""

from pathlib import Path

import pytest

from controlplane.systems.buffer.client import Endpoint, explain, ssh_command

SERVER = Endpoint("nantes-buffer", "10.77.0.21", "bic", Path("/s/buffer key"), Path("/s/100% known"))
CHANGED = """@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Host key verification failed.
"""


def test_ssh_trusts_known_hosts_alone_and_uses_our_key_alone() -> None:
    words = ssh_command(SERVER)
    assert words[:3] == ["ssh", "-F", "/dev/null"]
    options = {words[at + 1] for at, word in enumerate(words) if word == "-o"}
    assert {
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "StrictHostKeyChecking=yes",
        "HostKeyAlias=nantes-buffer",
        "GlobalKnownHostsFile=/dev/null",
        'UserKnownHostsFile="/s/100%% known"',
        "PreferredAuthentications=publickey",
    } <= options
    assert words[words.index("-i") + 1] == "/s/buffer key"
    assert words[-3:] == ["--", "10.77.0.21", "buffer-accounts"]


@pytest.mark.parametrize(
    ("code", "said", "reason", "transient"),
    [
        (255, "bic@10.77.0.21: Permission denied (publickey).\r\n", "refuses the control plane's key", False),
        (
            255,
            "No ED25519 host key is known for nantes-buffer and you have requested strict checking.\r\n"
            "Host key verification failed.\r\n",
            "its host key is not in /s/100% known; run site.yml for this host",
            False,
        ),
        (255, CHANGED, "its host key is not the one in", False),
        (
            255,
            'Load key "/s/buffer key": Permission denied\r\n'
            "bic@10.77.0.21: Permission denied (publickey).\r\n",
            'key cannot be used: Load key "/s/buffer key": Permission denied',
            False,
        ),
        (
            255,
            "ssh: connect to host 10.77.0.21 port 22: Connection timed out\r\n",
            "no connection over SSH: ssh: connect to host 10.77.0.21 port 22: Connection timed out",
            True,
        ),
        (255, "Timeout, server 10.77.0.21 not responding.\r\n", "server 10.77.0.21 not responding.", True),
        (255, "", "no connection over SSH: it gave no reason", True),
        (
            1,
            "sudo: a password is required\n",
            "its program buffer-accounts ended: sudo: a password is required; run site.yml for this host",
            False,
        ),
        (0, "", "its program buffer-accounts ended: it gave no reason", False),
    ],
)
def test_the_reason_is_one_line_that_names_the_server(
    code: int, said: str, reason: str, transient: bool
) -> None:
    error = explain(SERVER, code, said, answered=False)
    assert str(error).startswith("nantes-buffer (10.77.0.21): ")
    assert reason in str(error)
    assert "\n" not in str(error)
    assert error.transient is transient


def test_a_program_that_ends_after_it_has_worked_may_come_back() -> None:
    said = "Traceback (most recent call last):\n  ...\nMemoryError\n"
    assert explain(SERVER, 1, said, answered=True).transient
    assert not explain(SERVER, 1, said, answered=False).transient
