"""What the files of an inventory must agree on, across all of them.

Every check takes time in proportion to the inventory, looks up places only for its messages, and leaves out
what it cannot know because a file has other mistakes.
"""

from collections.abc import Iterator

from controlplane.model.checks import (
    facilities,
    identity,
    names,
    people,
    platform,
    quotas,
    retention,
    rules,
    storage,
)
from controlplane.model.documents import Documents
from controlplane.model.problems import Problem


def check(documents: Documents) -> Iterator[Problem]:
    """All disagreements between the files."""
    for part in (platform, identity, facilities, names, people, storage, quotas, retention, rules):
        yield from part.check(documents)
