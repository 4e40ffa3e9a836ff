"""How the demo and the tests run Ansible: our configuration, and one interpreter per host."""

from pathlib import Path

import ansible_mitogen

from sandbox.mirror.artifacts import REPOSITORY


def environment() -> dict[str, str]:
    """The environment variables for Ansible's programs.

    Mitogen's strategy runs a host's tasks in one Python process instead of starting one for each, which takes
    half the time on a machine that is all hosts at once. What tasks do, and in which order, stays the same.
    Ansible says of every strategy of somebody else's that it is deprecated, so no deprecation is shown here.
    """
    plugins = Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"
    return {
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": str(plugins),
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
    }
