"""How the demo and the tests run Ansible: our configuration, and one interpreter per host."""

from pathlib import Path

from sandbox.mirror.artifacts import REPOSITORY


def environment() -> dict[str, str]:
    """The environment variables for Ansible's programs.

    Mitogen's strategy runs a host's tasks in one Python process instead of starting one for each, which takes
    half the time on a machine that is all hosts at once. What tasks do, and in which order, stays the same.
    Ansible says of every strategy of somebody else's that it is deprecated, so no deprecation is shown here.
    """
    return {
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "ANSIBLE_STRATEGY": "mitogen_preloaded",
        "ANSIBLE_STRATEGY_PLUGINS": str(Path(__file__).parent / "strategy"),
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
        # For a module of a collection, Mitogen looks through all collections that there are.
        "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".venv" / "collections"),
        "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "False",
    }
