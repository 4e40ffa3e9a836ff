"""What one server knows of others: remote zones, storage resources made meanwhile, rules run elsewhere."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from irods.exception import SYS_NO_API_PRIV, PycommandsException, iRODSException
from irods.models import Collection
from irods.session import iRODSSession
from throwaway_pki import create_authority, issue
from zone_under_test import IrodsServer, open_session

from controlplane.systems.irods import calls, client, hosts
from controlplane.systems.irods.client import Endpoint, explain
from sandbox.standins.irods import server as standin_server
from sandbox.standins.irods import session as standin_session
from sandbox.standins.irods.config import TlsClient
from sandbox.standins.irods.launcher import Options, running

CONSUMER = "127.0.0.2"


def code_of(session: iRODSSession, *words: str) -> int:
    """The code that an administrator's call is refused with, or 0."""
    try:
        calls.administer(session, *words)
    except (iRODSException, PycommandsException, KeyError) as error:
        return explain(Endpoint("", 0, "", "", "", Path()), error).code
    return 0


@pytest.fixture
def session(irods_server: IrodsServer) -> Iterator[iRODSSession]:
    with open_session(irods_server) as made:
        yield made


def test_remote_zones_are_refused_as_the_real_server_does(
    irods_server: IrodsServer, session: iRODSSession
) -> None:
    name = f"z{uuid4().hex[:8]}"
    assert code_of(session, "add", "zone", name, "local", "icat.example:1247", "") == -816000
    assert code_of(session, "add", "zone", f"{name} x", "remote", "icat.example:1247", "") == -130000
    assert code_of(session, "add", "zone", name, "remote", "icat.example:0", "") == -816000
    assert code_of(session, "modify", "zone", name, "comment", "x") == -828000
    assert code_of(session, "rm", "zone", name) == -828000
    assert code_of(session, "rm", "zone", irods_server.zone) == -816000
    assert code_of(session, "add", "zone", name, "remote", "icat.example:1247", "one") == 0
    try:
        assert f"/{name}" in top_collections(session)
        assert code_of(session, "add", "zone", name, "remote", "icat.example:1247", "") == -809000
        assert code_of(session, "modify", "zone", name, "comment", "") == -816000
        assert code_of(session, "modify", "zone", name, "colour", "red") == -816000
        assert code_of(session, "modify", "zone", name, "conn", "icat.example:1300") == 0
    finally:
        assert code_of(session, "rm", "zone", name) == 0
    assert f"/{name}" not in top_collections(session)


def top_collections(session: iRODSSession) -> set[str]:
    """What stands beside the zone's own collection; a question about one of them would go to its zone."""
    found = session.query(Collection.name).filter(Collection.parent_name == "/")
    return {row[Collection.name] for row in found}


def test_an_agent_knows_the_storage_resources_of_its_beginning(
    irods_server: IrodsServer, session: iRODSSession
) -> None:
    parent, child = f"p{uuid4().hex[:8]}", f"c{uuid4().hex[:8]}"
    empty = f"{calls.EMPTY_HOST}:{calls.EMPTY_VAULT}"
    try:
        for name in (parent, child):
            assert code_of(session, "add", "resource", name, "passthru", empty, "", "") == 0
        assert code_of(session, "add", "childtoresc", parent, child, "") == -1804000
        with open_session(irods_server) as fresh:
            assert code_of(fresh, "add", "childtoresc", parent, child, "") == 0
            assert code_of(fresh, "add", "childtoresc", child, parent, "") == -1803000
            assert code_of(fresh, "add", "childtoresc", parent, parent, "") == -1803000
        assert code_of(session, "rm", "childfromresc", parent, child) == -78000
    finally:
        with open_session(irods_server) as fresh:
            code_of(fresh, "rm", "childfromresc", parent, child)
            for name in (child, parent):
                assert code_of(fresh, "rm", "resource", name) == 0


def test_a_rule_runs_where_it_is_told_to(irods_server: IrodsServer, session: iRODSSession) -> None:
    own = "icat.example" if irods_server.is_standin else irods_server.host
    calls.run_on(session, own)
    with pytest.raises((iRODSException, KeyError)) as error:
        calls.run_on(session, "no-such-host.invalid")
    assert explain(Endpoint("", 0, "", "", "", Path()), error.value).code == -21000


@pytest.fixture
def two_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Endpoint]]:
    """A zone of two stand-ins on one port and two addresses; each takes only its own as local."""
    monkeypatch.setattr(standin_server.State, "is_local", lambda self, host: host == self.config.host)
    authority = create_authority(tmp_path / "pki")
    common = {
        "policy": "CS_NEG_REQUIRE",
        "tls_server": issue(authority, tmp_path / "pki"),
        "tls_client": TlsClient("cert", str(authority.ca_file)),
    }
    with ExitStack() as stack:
        provider = stack.enter_context(running(Options(tmp_path / "provider", **common)))
        consumer = Options(
            tmp_path / "consumer",
            host=CONSUMER,
            address=CONSUMER,
            port=provider.port,
            provider=("localhost", provider.port),
            **common,
        )
        # The provider was given a free port; what it connects to others with is in its configuration.
        state = provider.state
        object.__setattr__(state.config, "port", provider.port)
        stack.enter_context(running(consumer))
        yield {
            "icat": Endpoint("localhost", provider.port, "tempZone", "rods", "rods", authority.ca_file, 10.0),
            "disks": Endpoint(CONSUMER, provider.port, "tempZone", "rods", "rods", authority.ca_file, 10.0),
        }


def test_every_server_is_asked_for_every_host(two_servers: dict[str, Endpoint]) -> None:
    assert hosts.unknown_hosts(two_servers, ["localhost", CONSUMER]) == {}
    found = hosts.unknown_hosts(two_servers, ["localhost", "ghost.invalid", "127.0.0.3"])
    assert found["ghost.invalid"] == "; ".join(
        f"the server {name} cannot resolve the host ghost.invalid, which would slow every login there"
        for name in ("icat", "disks")
    )
    assert found["127.0.0.3"].startswith("the server icat does not reach an iRODS server on 127.0.0.3: ")
    assert set(found) == {"ghost.invalid", "127.0.0.3"}


def test_one_server_that_cannot_resolve_a_host_is_named(
    two_servers: dict[str, Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = standin_session.Session.remote

    def remote_but_not_from_consumer(self: standin_session.Session, host: str, message: object) -> object:
        return remote(self, "ghost.invalid" if self.config.host == CONSUMER else host, message)

    monkeypatch.setattr(standin_session.Session, "remote", remote_but_not_from_consumer)
    assert hosts.unknown_hosts(two_servers, ["localhost"]) == {
        "localhost": "the server disks cannot resolve the host localhost, which would slow every login there"
    }


def test_a_rule_of_somebody_who_has_not_logged_in_is_not_run(two_servers: dict[str, Endpoint]) -> None:
    for server in two_servers.values():
        session = client.open_session(server)
        try:
            with session.pool.no_auto_authenticate(), pytest.raises(SYS_NO_API_PRIV):
                calls.run_on(session, server.host)
        finally:
            session.cleanup()


def test_a_server_without_catalogue_tells_its_own_agents(two_servers: dict[str, Endpoint]) -> None:
    provider, consumer = two_servers.values()
    with client.Client(consumer, connections=2) as ours, client.Client(provider) as theirs:
        with ours.session() as one, ours.session():
            assert calls.agents(one) == 2
        with theirs.session() as session:
            # Its own, and those by which the other server serves its two clients.
            assert calls.agents(session) >= 3
