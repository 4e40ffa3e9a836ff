"""The reference of all metrics, from their declarations."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import ModuleType

from controlplane.exporter import run
from controlplane.exporter.families import LABELS, Family, declared

_INTRODUCTION = """\
# Metrics

What `bic exporter` offers on port 9887, from the declarations in the code: `bic metrics -o docs/metrics.md`
writes this page, and a test holds it up to date. Collectors read in the background, each on its own schedule
and within its budget; what a collector found is offered for three of its intervals.

No label holds a person, a path or anything else that somebody wrote, so the number of samples follows from
the inventory. Prometheus scrapes more: node_exporter with what roles write for its textfile collector,
postgres_exporter, Authentik, Prometheus and Alertmanager (`monitoring/metrics/`).
"""


def families(modules: Iterable[ModuleType]) -> dict[str, list[Family]]:
    """All families by where they come from: the exporter itself, then each system by its folder's name."""
    own = {"exporter": declared(run)}
    return own | {module.__name__.split(".")[-2]: declared(module) for module in modules}


def reference(found: Mapping[str, Sequence[Family]]) -> str:
    """The reference as Markdown."""
    return "".join(f"{line}\n" for line in _lines(found))


def _lines(found: Mapping[str, Sequence[Family]]) -> Iterator[str]:
    yield from _INTRODUCTION.splitlines()
    for source, some in found.items():
        yield from ("", f"## {source}", "", "| metric | type | labels | what it is |", "|---|---|---|---|")
        for family in sorted(some, key=lambda family: family.exposed):
            labels = ", ".join(f"`{label}`" for label in family.labels)
            yield f"| `{family.exposed}` | {family.type} | {labels} | {family.documentation} |"
    yield from ("", "## Labels", "", "| label | what its values are |", "|---|---|")
    used = {label for some in found.values() for family in some for label in family.labels}
    for label in sorted(used):
        yield f"| `{label}` | {LABELS[label]} |"
