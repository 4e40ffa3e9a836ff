"""A data set's way through a zone: it enters, is copied, is read by its team and by nobody else, and goes."""

import tempfile
import time
from collections.abc import Iterator
from functools import partial

from irods import keywords as kw
from irods.exception import DataObjectDoesNotExist
from irods.models import Collection, DataObject
from irods.session import iRODSSession

from controlplane.health.journeys.port import LIFETIME, Place, Stage, Traveller
from controlplane.health.port import FindingError, service
from controlplane.model import Platform, Zone
from controlplane.model.facility import StorageResource
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import LIBRARY_ERRORS, Client, Endpoint, endpoint, nominal
from controlplane.systems.irods.synthetic import (
    Kind,
    make_account,
    make_collection,
    make_group,
    remove,
    remove_left,
)

JOURNEY = Kind("bic_journey_", "bic:journey", LIFETIME)

TIMEOUT = 20.0
"""Seconds for one answer of a server."""

COPIED_WITHIN = 60.0
"""Seconds in which rules that copy later must have done so."""

PAUSE = 0.5
"""Seconds between two looks at the catalogue."""

GOOD = "1"
"""The status of a good replica in the catalogue."""

HIDDEN = frozenset(
    {
        -818000,  # CAT_NO_ACCESS_PERMISSION
        -808000,  # CAT_NO_ROWS_FOUND
        -358000,  # OBJ_PATH_DOES_NOT_EXIST
        -310000,  # USER_FILE_DOES_NOT_EXIST
    }
)
"""What a server says of data that somebody may not see."""


def stages(platform: Platform) -> Iterator[Stage]:
    """The stages of one journey through each zone."""
    for zone in platform.zones.values():
        yield from _Way(platform, zone).stages()


class _Way:
    """The way through one zone, and who goes it."""

    def __init__(self, platform: Platform, zone: Zone) -> None:
        self.platform, self.zone = platform, zone
        self.copying = copying_resource(platform, zone)
        self.name = f"data in {zone.name}"
        self.path = ""
        self.accounts: dict[str, Endpoint] = {}

    def stages(self) -> Iterator[Stage]:
        stage = partial(
            Stage,
            self.name,
            runbook="README#journeys",
            needs=(service("irods_catalog_provider", self.zone.catalog_provider),),
            serves=frozenset(
                facility.id
                for facility in (
                    *self.platform.facilities_of(self.zone.name),
                    *self.platform.visitors_of(self.zone.name),
                )
            ),
        )
        yield stage(
            Place.BEGIN,
            "prepare",
            self.prepare,
            "No account or team can be made, so nobody new gets access.",
        )
        yield stage(Place.ENTRY, "enter", self.enter, "People cannot bring data into the zone.", timeout=60.0)
        if self.copying:
            yield stage(
                Place.COPIES,
                "copies",
                self.copies,
                "New data are in one data centre alone, and would be lost with it.",
                timeout=COPIED_WITHIN + TIMEOUT,
            )
        yield stage(
            Place.TEAM, "team reads", self.team_reads, "A team cannot read its own data.", timeout=60.0
        )
        yield stage(
            Place.OTHERS,
            "others do not",
            self.others_do_not,
            "A team's data can be read by people of others.",
        )
        yield stage(
            Place.END,
            "clean up",
            self.clean_up,
            "Synthetic data stay until the next journey removes them.",
            timeout=60.0,
        )

    def _server(self, host: str, account: Endpoint | None = None) -> Endpoint:
        """A server of the zone, entered as the administrator or with an account of the journey."""
        entrance = endpoint(self.zone, self.platform.hosts[host], TIMEOUT)
        if account is None:
            return entrance
        return Endpoint(
            entrance.host,
            entrance.port,
            entrance.zone,
            account.user,
            account.password,
            entrance.ca_file,
            TIMEOUT,
        )

    def _admin(self) -> Client:
        return Client(self._server(self.zone.catalog_provider), 2)

    def prepare(self, traveller: Traveller) -> str:
        """Two teams with a person each, and a collection of the one that the other has no access to."""
        with self._admin() as client:
            left = remove_left(client, JOURNEY)
            with client.session() as session:
                path = make_collection(session, JOURNEY, traveller.token)
                self.path = path
                for role in ("member", "stranger"):
                    self.accounts[role] = make_account(session, client.server, path, role)
                team = make_group(session, path, "team", self.accounts["member"].user)
                make_group(session, path, "others", self.accounts["stranger"].user)
                calls.set_access(session, path, (team, self.zone.name), "write")
                calls.set_inheritance(session, path, on=True)
        return "two teams" + (f"; {left} journeys were killed before and are removed" if left else "")

    def enter(self, traveller: Traveller) -> str:
        """A member puts the data set; the catalogue has its checksum."""
        path = f"{self.path}/data-set"
        options = {kw.REG_CHKSUM_KW: ""}
        if self.copying:
            options[kw.DEST_RESC_NAME_KW] = self.copying.name

        def put(session: iRODSSession) -> None:
            with tempfile.NamedTemporaryFile() as file:
                file.write(traveller.content)
                file.flush()
                session.data_objects.put(file.name, path, **options)

        with Client(self._server(self.zone.catalog_provider, self.accounts["member"]), 1) as client:
            client.call(put)
        traveller.where["irods"] = path
        checksums = {checksum for _, _, checksum in self._replicas(path)}
        if checksums != {f"sha2:{traveller.checksum}"}:
            raise FindingError(f"the catalogue has {', '.join(sorted(checksums)) or 'no checksum'} for it")
        return f"{len(traveller.content)} bytes with checksum"

    def copies(self, traveller: Traveller) -> str:
        """Good replicas in more than one data centre, each of which is read and has the checksum."""
        path = traveller.where["irods"]
        end = time.monotonic() + COPIED_WITHIN
        while True:
            replicas = self._replicas(path)
            places = {self._data_centre(resource) for _, resource, _ in replicas}
            if len(places) > 1:
                break
            if time.monotonic() >= end:
                raise FindingError(f"after {COPIED_WITHIN:g} s it is in {', '.join(sorted(places))} alone")
            time.sleep(PAUSE)
        for number, resource, _ in replicas:
            if self._computed(path, number) != f"sha2:{traveller.checksum}":
                raise FindingError(f"its replica on {resource} is not what was put")
        return f"in {' and '.join(sorted(places))}, with checksum"

    def team_reads(self, traveller: Traveller) -> str:
        """A member reads the data set at every server of the zone."""
        for host in self.zone.servers:
            with Client(self._server(host, self.accounts["member"]), 1) as client:
                if client.call(partial(_read, path=traveller.where["irods"])) != traveller.content:
                    raise FindingError(f"what is read through {host} is not what was put")
        return f"read through {len(self.zone.servers)} servers"

    def others_do_not(self, traveller: Traveller) -> str:
        """Somebody of another team can log in, and can neither read nor list the data set."""
        server = self._server(self.zone.catalog_provider, self.accounts["stranger"])
        path = traveller.where["irods"]
        with Client(server, 1) as client:
            # Only who can work there at all proves anything by failing.
            client.call(lambda session: session.collections.get(f"/{server.zone}/home/{server.user}"))
            if client.rows(DataObject.id, where=(Collection.name == self.path,)):
                raise FindingError(f"{server.user}, who is not of the team, sees the data set")
            if not client.call(partial(_is_hidden, path=path)):
                raise FindingError(f"{server.user}, who is not of the team, read the data set")
        return "refused"

    def clean_up(self, traveller: Traveller) -> str:
        """Remove all that was made."""
        if not self.path:
            return "nothing to remove"
        with self._admin() as client:
            remove(client, JOURNEY, self.path)
        return "removed"

    def _replicas(self, path: str) -> list[tuple[str, str, str]]:
        """Number, storage resource and checksum of each good replica."""
        collection, _, name = path.rpartition("/")
        with self._admin() as client:
            rows = client.rows(
                DataObject.replica_number,
                DataObject.resource_name,
                DataObject.checksum,
                where=(
                    Collection.name == collection,
                    DataObject.name == name,
                    DataObject.replica_status == GOOD,
                ),
            )
        return [(number, resource, checksum) for number, resource, checksum in rows]

    def _computed(self, path: str, number: str) -> str:
        """The checksum of a replica, as its server computes it from the disk now."""
        options = {kw.REPL_NUM_KW: number, kw.FORCE_CHKSUM_KW: ""}
        with Client(self._server(self.zone.catalog_provider, self.accounts["member"]), 1) as client:
            return str(client.call(lambda session: session.data_objects.chksum(path, **options)))

    def _data_centre(self, resource: str) -> str:
        for known in self.platform.storage_resources_of(self.zone.name):
            if known.name == resource and known.host:
                return self.platform.hosts[known.host].data_centre
        return f"an unknown place ({resource})"


def copying_resource(platform: Platform, zone: Zone) -> StorageResource | None:
    """The zone's first storage resource that keeps copies in more than one data centre; None without any."""
    resources = platform.storage_resources_of(zone.name)

    def hosts(resource: StorageResource) -> set[str]:
        if resource.host:
            return {platform.hosts[resource.host].data_centre}
        return {place for child in resources if child.parent == resource.name for place in hosts(child)}

    return next(
        (
            resource
            for resource in resources
            if resource.kind == "replication" and resource.parent is None and len(hosts(resource)) > 1
        ),
        None,
    )


def _read(session: iRODSSession, path: str) -> bytes:
    with session.data_objects.open(path, "r") as file:
        return bytes(file.read())


def _is_hidden(session: iRODSSession, path: str) -> bool:
    """Whether reading is refused as it must be; whatever else goes wrong is raised."""
    try:
        _read(session, path)
    except DataObjectDoesNotExist:
        return True
    except LIBRARY_ERRORS as error:
        code = getattr(error, "code", None)
        if isinstance(code, int) and nominal(code) in HIDDEN:
            return True
        raise
    return False
