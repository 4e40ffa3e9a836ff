"""What a zone holds, read in bulk.

A fixed number of queries, several at a time, reads all accounts, groups, quotas, storage resources and zones;
a few more read tickets, and look into the homes of groups and the storage resources that nobody wants any
more, if there are any. Everything is read or an error is raised: half an answer would look like deletions.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial

from irods.column import Column, Criterion, In, Like
from irods.models import Collection as CollectionModel
from irods.models import DataObject
from irods.session import iRODSSession

from controlplane.model.sizes import format_size
from controlplane.state import Key, State
from controlplane.systems.irods import calls
from controlplane.systems.irods.calls import Row
from controlplane.systems.irods.client import Client
from controlplane.systems.irods.contents import Zone, compile_state, join, last
from controlplane.systems.irods.queries import TICKETS, Query, queries
from controlplane.systems.irods.resources import GROUP, STORAGE_RESOURCE

CONNECTIONS = 3
"""Queries at a time; the server gives each connection a process of its own."""

PATIENCE = 5.0
"""Seconds to go on trying while the server or its catalogue may come back."""

HOMES_AT_ONCE = 20
"""Paths in one condition; the server limits a condition's length."""


def observe(
    client: Client,
    platform: str,
    wanted: State,
    erasable: Collection[str],
    progress: Callable[[int, int], None],
    *,
    genquery2: bool | None = None,
) -> State:
    """The accounts, groups, storage resources and remote zones of a zone, ours and others'.

    `wanted` tells which groups are not wanted any more and whose tickets may stay, and `erasable` which of
    those may be deleted with their data. `progress` is called after each query. `genquery2` chooses the
    language of the queries; None takes what the server has. Raises IrodsError.
    """
    reader = _Reader(client, progress)
    zone = join(reader.read(genquery2), client.server.zone, platform)
    strays = [
        name
        for name, (kind, number) in zone.accounts.items()
        if kind == "rodsgroup"
        and Key(GROUP, name) not in wanted
        and zone.is_of(platform, zone.account_marks.get(number), Key(GROUP, name))
    ]
    reader.look_into(zone, strays, erasable)
    reader.count_on(
        zone,
        [
            name
            for name in zone.storage
            if Key(STORAGE_RESOURCE, name) not in wanted
            and zone.is_of(platform, zone.storage_marks.get(name), Key(STORAGE_RESOURCE, name))
        ],
    )
    return compile_state(zone, platform, client.server.user, erasable, wanted)


class _Reader:
    """Asks a zone, several queries at a time."""

    def __init__(self, client: Client, progress: Callable[[int, int], None]) -> None:
        self.client = client
        self.progress = progress
        self.done = 0
        self.total = 0

    def _all(self, works: Iterable[Callable[[iRODSSession], list[Row]]]) -> list[list[Row]]:
        """The rows of each work, in order."""
        planned = list(works)
        self.total += len(planned)
        workers = ThreadPoolExecutor(min(CONNECTIONS, self.client.connections), thread_name_prefix="observe")
        try:
            running = [workers.submit(self.client.call, work, patience=PATIENCE) for work in planned]
            for future in as_completed(running):
                future.result()
                self.done += 1
                self.progress(self.done, self.total)
        finally:
            workers.shutdown(cancel_futures=True)
        return [future.result() for future in running]

    def read(self, genquery2: bool | None) -> dict[str, list[Row]]:
        if genquery2 is None:
            genquery2 = self.client.call(calls.has_genquery2, patience=PATIENCE)
        wanted = queries(self.client.server.zone, genquery2=genquery2)
        answers = self._ask(wanted, genquery2=genquery2)
        if answers["ticketed"]:
            answers |= self._ask(TICKETS, genquery2=genquery2)
        return answers

    def _ask(self, wanted: Mapping[str, Query], *, genquery2: bool) -> dict[str, list[Row]]:
        answers = self._all(partial(query.rows, genquery2=genquery2) for query in wanted.values())
        return dict(zip(wanted, answers, strict=True))

    def look_into(self, zone: Zone, groups: Iterable[str], erasable: Collection[str]) -> None:
        """Find out which of the groups' home collections are not empty, and what erasable ones hold."""
        homes = [f"/{self.client.server.zone}/home/{name}" for name in groups if name in zone.homes]
        if not homes:
            return
        parent, name, data = CollectionModel.parent_name, CollectionModel.name, DataObject.id
        works = []
        for start in range(0, len(homes), HOMES_AT_ONCE):
            some = homes[start : start + HOMES_AT_ONCE]
            works.append(_asking((parent,), In(parent, some)))
            works.append(_asking((name,), In(name, some), data > 0))
        full = sorted({last(row[0]) for rows in self._all(works) for row in rows})
        zone.holdings = dict.fromkeys(full, "data")
        counted = [group for group in full if group in erasable]
        amounts = self._all(
            partial(_amount_below, home=f"/{self.client.server.zone}/home/{group}") for group in counted
        )
        for group, [(objects, size)] in zip(counted, amounts, strict=True):
            zone.holdings[group] = _shown(int(objects), int(size))

    def count_on(self, zone: Zone, storage_resources: Sequence[str]) -> None:
        """Find out which of the storage resources hold data, and how much."""
        amounts = self._all(partial(_amount_on, storage_resource=name) for name in storage_resources)
        for name, [(replicas, size)] in zip(storage_resources, amounts, strict=True):
            if int(replicas):
                zone.stored[name] = _shown(int(replicas), int(size))


def _shown(replicas: int, size: int) -> str:
    return f"{replicas:,} replica{'' if replicas == 1 else 's'} of data objects, {format_size(size)}"


def _asking(columns: tuple[Column, ...], *where: Criterion) -> Callable[[iRODSSession], list[Row]]:
    return partial(calls.rows, columns=columns, where=where)


def _amount_on(session: iRODSSession, storage_resource: str) -> list[Row]:
    replicas, size = calls.amount(session, DataObject.resource_name == storage_resource)
    return [(str(replicas), str(size))]


def _amount_below(session: iRODSSession, home: str) -> list[Row]:
    here = calls.amount(session, CollectionModel.name == home)
    below = calls.amount(session, Like(CollectionModel.name, f"{home}/%"))
    return [(str(here[0] + below[0]), str(here[1] + below[1]))]
