"""Running the demo: its steps in order, each of which may be killed and run again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controlplane.health.net import fetch
from controlplane.health.port import CheckFailedError
from controlplane.model import Platform
from controlplane.model.platform import service_name
from sandbox.demo import ansible
from sandbox.demo.overview import refresh
from sandbox.demo.summary import summary
from sandbox.federation import control as outside
from sandbox.fleet import fleet as fleets
from sandbox.fleet import prerequisites
from sandbox.fleet.spec import SandboxError, fleet_of
from sandbox.mirror.artifacts import REPOSITORY

#: How the durations of the tasks were distributed when the demo was last measured.
FIRST_RECORD = Path(__file__).with_name("task_seconds.json")


@dataclass(frozen=True)
class Step:
    """One step: a title, and what does it; it raises `SandboxError` when it fails."""

    title: str
    action: Callable[[], None]


def steps(platform: Platform, say: Callable[[str], None]) -> list[Step]:
    """The demo's steps for a platform that has a `sandbox:` section."""
    fleet = fleet_of(platform)
    inventory = ["--inventory", str(platform.root)]

    def bic(*words: str) -> None:
        _run([_program("bic"), *inventory, *words], {})

    def deploy() -> None:
        environment = {
            **ansible.environment(),
            "ANSIBLE_STDOUT_CALLBACK": "bic_progress",
            "BIC_PROGRESS_RECORD": str(platform.state_dir / "task_seconds.json"),
            "BIC_PROGRESS_FIRST_RECORD": str(FIRST_RECORD),
        }
        playbook = str(REPOSITORY / "site.yml")
        _run([_program("ansible-playbook"), "-i", str(platform.root / "platform.yml"), playbook], environment)

    def roll_out() -> None:
        # The inventory may be a copy elsewhere, as in the tests.
        bic("rules", "deploy", "--yes", "--rules", str(REPOSITORY / "rules"))

    def introduce() -> None:
        name = service_name("federation_proxy", platform.domain)
        try:
            metadata = fetch(f"https://{name}/metadata/sp.xml", platform.ca_file, platform.service_addresses)
        except CheckFailedError as error:
            raise SandboxError(str(error)) from error
        outside.register(fleet, metadata.content)

    def prove() -> None:
        bic("plan")
        # What the monitoring knows was compared before the facilities came on board.
        bic("drift")

    introduction = (
        [Step("tell the institutions outside of the platform", introduce)] if fleet.federated else []
    )
    return [
        Step("check the inventory", lambda: bic("check")),
        Step(f"make the {len(fleet.hosts)} hosts of the fleet", lambda: fleets.up(fleet, [], say)),
        Step("deploy the services on the hosts (site.yml)", deploy),
        *introduction,
        Step(f"bring {len(platform.facilities)} facilities on board", lambda: bic("apply", "--yes")),
        Step("roll out the rule bases, server by server", roll_out),
        Step("prove that nothing is left to do (bic plan, bic drift)", prove),
        Step(
            "check the health of all systems, and send synthetic data and a synthetic person on their ways",
            lambda: bic("health", "--journeys", "--wait", "120"),
        ),
        Step("let the monitoring read all anew", lambda: refresh(platform, fleet)),
    ]


def run(platform: Platform, say: Callable[[str], None]) -> None:
    """Run all steps and print the summary.

    Raises `PrerequisiteError` before anything is made when this machine cannot run a fleet, and
    `SandboxError` naming the step that failed; the next run starts over and skips by itself what is done.
    """
    prerequisites.require()
    todo = steps(platform, say)
    started = time.monotonic()
    for number, step in enumerate(todo, 1):
        say(f"step {number} of {len(todo)}: {step.title}")
        begun = time.monotonic()
        try:
            step.action()
        except SandboxError as error:
            raise SandboxError(
                f"step {number} of {len(todo)} failed: {step.title}\n{error}\n"
                "After mending the cause, run `make demo` again: it goes on from what is there."
            ) from error
        say(f"step {number} of {len(todo)} took {time.monotonic() - begun:.0f} s")
    print(summary(platform, time.monotonic() - started))


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _run(command: list[str], environment: dict[str, str]) -> None:
    """Run a command whose output the person sees; ends it when this process is interrupted."""
    sys.stdout.flush()
    code = subprocess.run(command, cwd=REPOSITORY, env={**os.environ, **environment}, check=False).returncode
    if code:
        raise SandboxError(f"`{Path(command[0]).name} {' '.join(command[1:])}` ended with exit code {code}")
