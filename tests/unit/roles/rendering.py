"""Runs the tasks of a role that need no host, to see what it would write."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sandbox.demo import ansible


def run_tasks(folder: Path, role: Path, tasks: Sequence[dict[str, Any]], given: str) -> None:
    """Run tasks with the role's defaults and variables; `given` is a text of YAML with further ones."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(role / "defaults/main.yml"), str(role / "vars/main.yml")],
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": list(tasks),
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    (folder / "given.yml").write_text(given)
    program = shutil.which("ansible-playbook", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program, "ansible-playbook is not installed"
    result = subprocess.run(
        [program, "-i", "localhost,", "-e", f"@{folder / 'given.yml'}", str(folder / "play.yml")],
        cwd=folder,
        env={
            **ansible.environment(),
            "ANSIBLE_INVENTORY_ENABLED": "host_list",
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FILTER_PLUGINS": str(role / "filter_plugins"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout + result.stderr
