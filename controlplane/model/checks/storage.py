"""Storage resources: their names, hosts and folders, and the trees that they form."""

from collections.abc import Iterator, Mapping

from controlplane.model.checks.paths import Folders
from controlplane.model.checks.zones import Node, by_zone, nodes
from controlplane.model.documents import Documents
from controlplane.model.layout import Arrangement
from controlplane.model.problems import Problem, suggestion

# Names that every iRODS zone has from its setup on, whoever runs it.
RESERVED_STORAGE_RESOURCES = ("bundleResc",)

Zone = Mapping[str, Node]
"""The storage resources of one zone by name."""


def check(documents: Documents) -> Iterator[Problem]:
    """What is wrong with storage resources."""
    zones = {name: storage.names for name, storage in by_zone(documents).items()}
    yield from _names(documents, zones)
    yield from _hosts(documents)
    known = Arrangement(documents.platform.data).zones if documents.platform else {}
    for name, zone in zones.items():
        if name not in known:
            continue  # An unknown zone is one problem, not one for each of its trees.
        parents: dict[str, str] = {}
        for node in zone.values():
            yield from _children(documents, node, zone, parents)
        for node in zone.values():
            yield from _parent(documents, node, zones, parents)
        yield from _cycles(zone, parents)
        yield from _families(documents, zone, parents)


def _names(documents: Documents, zones: Mapping[str, Zone]) -> Iterator[Problem]:
    for node in nodes(documents):
        if node.name in RESERVED_STORAGE_RESOURCES:
            yield node.spot.problem(f"the storage resource name {node.name!r} is taken by iRODS itself")
        first = zones[node.zone][node.name]
        # Nodes are made anew by each reading of the documents; the entries are the files' own.
        if first.entry is not node.entry:
            yield node.spot.problem(
                f"the storage resource {node.name!r} of zone {node.zone} is already described at {first.spot}"
            )


def _hosts(documents: Documents) -> Iterator[Problem]:
    """A leaf is on a server of its zone, and no vault lies in another one of the same host."""
    folders: dict[tuple[str, str], Folders] = {}
    platform = documents.platform
    arrangement = Arrangement(platform.data) if platform else None
    for node in nodes(documents):
        host, vault = node.entry.host, node.entry.vault
        if host is None or vault is None:
            continue
        if platform and arrangement and not platform.may_hold(host):
            known = node.zone in arrangement.zones
            if host not in platform.data.hosts:
                yield node.at("host").unknown("host", host, platform.data.hosts)
            elif known and platform.complete and host not in (servers := arrangement.servers(node.zone)):
                yield node.at("host").problem(
                    f"the host {host!r} is not a server of the zone {node.zone}; "
                    f"{suggestion(host, servers, noun='its servers')}"
                )
        bucket = node.entry.s3
        place = ("s3", bucket.endpoint) if bucket else ("host", host)
        where = f"at {bucket.endpoint}" if bucket else "on the same host"
        yield from folders.setdefault(place, Folders("vault")).add(vault, node.at("vault"), where)


def _children(documents: Documents, node: Node, zone: Zone, parents: dict[str, str]) -> Iterator[Problem]:
    """`children` name storage resources of the same file, each of which has one parent.

    Adds to `parents` who is whose.
    """
    for index, child in enumerate(node.entry.children):
        spot = node.at("children", index)
        found = zone.get(child)
        if child in node.entry.children[:index]:
            yield spot.problem(f"the child {child!r} is listed twice")
        elif found is None:
            if not documents.may_hold(child):
                beside = [name for name, other in zone.items() if _same_file(node, other)]
                yield spot.unknown("storage resource", child, beside, noun="described beside this one")
        elif not _same_file(node, found):
            yield spot.problem(
                f"the storage resource {child!r} is described in another file, at {found.spot}; "
                f"write 'parent: {node.name}' there instead"
            )
        elif other := parents.get(child):
            yield spot.problem(f"the storage resource {child!r} is already a child of {other!r}")
        elif found.entry.parent not in (None, node.name):
            yield spot.problem(
                f"the storage resource {child!r} says at {found.at('parent')} that its parent is "
                f"{found.entry.parent!r}; it can have only one"
            )
        else:
            parents[child] = node.name


def _same_file(node: Node, other: Node) -> bool:
    return node.document is other.document and node.section == other.section


def _parent(
    documents: Documents, node: Node, zones: Mapping[str, Zone], parents: dict[str, str]
) -> Iterator[Problem]:
    """A `parent` is in the same file or among the zone's own, and coordinates. Adds to `parents`."""
    name = node.entry.parent
    if name is None:
        return
    spot = node.at("parent")
    parent = zones[node.zone].get(name)
    if parent is None:
        elsewhere = next((zone for zone, names in zones.items() if name in names), None)
        known = [
            other.name
            for other in zones[node.zone].values()
            if other.facility in ("", node.facility) and not other.is_leaf
        ]
        if elsewhere:
            yield spot.problem(
                f"the storage resource {name!r} is in the zone {elsewhere}, not in {node.zone}; "
                f"{suggestion(name, known, noun='possible parents')}"
            )
        elif not documents.may_hold(name):
            yield spot.unknown("storage resource", name, known, noun="possible parents")
    elif parent.facility not in ("", node.facility):
        yield spot.problem(
            f"the storage resource {name!r} belongs to the facility {parent.facility!r}; "
            "a parent is one of this file or of the zone itself"
        )
    elif parent.is_leaf:
        yield spot.problem(
            f"the storage resource {name!r} is of type {parent.entry.type}, which has no children; "
            f"give it a type that coordinates, at {parent.spot}"
        )
    else:
        parents.setdefault(node.name, name)


def _cycles(zone: Zone, parents: Mapping[str, str]) -> Iterator[Problem]:
    """Says each circle of parents once, at its member that comes first."""
    done: set[str] = set()
    for start in zone:
        line: list[str] = []
        name: str | None = start
        while name is not None and name not in done:
            done.add(name)
            line.append(name)
            name = parents.get(name)
        if name in line:
            circle = line[line.index(name) :]
            shown = " → ".join([*circle, circle[0]])
            yield zone[circle[0]].spot.problem(
                f"the storage resource {circle[0]!r} is its own parent: {shown}"
            )


def _families(documents: Documents, zone: Zone, parents: Mapping[str, str]) -> Iterator[Problem]:
    """What coordinates has as many children as its type needs, and children say what it asks of them."""
    children: dict[str, list[Node]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(zone[child])
    for node in zone.values():
        parent_name = parents.get(node.name)
        compound = parent_name is not None and zone[parent_name].entry.type == "compound"
        if node.entry.parent_context is not None and parent_name is not None and not compound:
            yield node.at("parent_context").problem(
                f"only a child of a compound storage resource has a 'parent_context', "
                f"and {parent_name!r} is of type {zone[parent_name].entry.type}; remove it"
            )
        if compound and node.entry.parent_context is None:
            yield node.spot.problem(
                f"the storage resource {node.name!r} is a child of {parent_name!r}, which is compound; "
                "add 'parent_context', cache or archive"
            )
        if compound and node.entry.parent_context == "cache" and node.entry.s3:
            yield node.at("parent_context").problem(
                f"the storage resource {node.name!r} is a bucket, which cannot be the cache of "
                f"{parent_name!r}: a cache is of type unixfilesystem, or a tree of such"
            )
        if not node.is_leaf and documents.complete:
            yield from _enough(node, children.get(node.name, []))


def _enough(node: Node, children: list[Node]) -> Iterator[Problem]:
    kind = node.entry.type
    if not children:
        yield node.spot.problem(
            f"the storage resource {node.name!r} is of type {kind} and coordinates nothing; "
            "name its children, or a 'type' that holds data itself"
        )
    elif kind == "passthru" and len(children) > 1:
        yield node.spot.problem(
            f"the storage resource {node.name!r} is of type passthru, which has one child, and has "
            f"{len(children)}"
        )
    elif kind == "compound":
        parts = sorted(child.entry.parent_context or "" for child in children)
        if "" not in parts and parts != ["archive", "cache"]:
            yield node.spot.problem(
                f"the storage resource {node.name!r} is of type compound, which has one child as cache and "
                f"one as archive, and has {', '.join(parts)}"
            )
