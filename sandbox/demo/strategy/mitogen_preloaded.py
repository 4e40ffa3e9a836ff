"""Mitogen's linear strategy, whose workers run on any CPU and inherit the filters and tests of templates.

Mitogen pins each of its processes to one CPU, in the order in which a run of Ansible starts them. On a
machine with two CPUs, all workers of all runs then share the second one.

Ansible forks a worker for each task of each host, and a worker loads what its templates use. Only what was
loaded before it was forked, it need not load again.
"""

import ansible_mitogen.affinity
from ansible.plugins.loader import filter_loader, test_loader

ansible_mitogen.affinity.policy = ansible_mitogen.affinity.Policy()

from ansible_mitogen.plugins.strategy.mitogen_linear import StrategyModule  # noqa: E402

__all__ = ["StrategyModule"]

for loader in (filter_loader, test_loader):
    for _plugin in loader.all():
        pass
