"""How the demo and the tests run Ansible."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from sandbox.demo import ansible


def said(template: str) -> str:
    """What a worker of Ansible makes of a template."""
    result = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible"), "localhost", "--inventory", "localhost,"),
            *("--connection", "local", "--module-name", "debug", "--args", f"msg='{{{{ {template} }}}}'"),
        ],
        env={
            **os.environ,
            **ansible.environment(),
            "ANSIBLE_INVENTORY_ENABLED": "host_list",
            "ANSIBLE_FORCE_COLOR": "0",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return str(yaml.safe_load(result.stdout.split("=>", 1)[1])["msg"])


def test_workers_run_on_any_cpu() -> None:
    assert int(said('lookup("pipe", "nproc")')) == len(os.sched_getaffinity(0))


def test_collections_of_the_roles_are_found() -> None:
    assert "'CN': 'a'" in said('"a" | community.general.dict_kv("CN")')
