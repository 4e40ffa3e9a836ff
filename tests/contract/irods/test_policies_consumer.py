"""Policies of a zone with two servers: those of the server that the client is on, and of the provider."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from irods.exception import CAT_NO_ACCESS_PERMISSION, SYS_RESC_QUOTA_EXCEEDED
from policy_zone import HOME, USER, Zone, policy_zone, put

from controlplane.systems.irods import calls
from sandbox.standins.irods import grid

REFUSE_MARK = """
acPreProcForModifyAVUMetadata(*op, *type, *item, *attr, *value, *unit) {
    if (*attr == "%s") { fail(-818000); }
}
"""
CONSUMER = (
    REFUSE_MARK % "consumer's"
    + """
pep_api_data_obj_unlink_pre(*I, *C, *IN) {
    *KEEP = "no";
    msiSplitPath(*IN.obj_path, *COLLECTION, *NAME);
    foreach (*ROW in select META_COLL_ATTR_VALUE where COLL_NAME = '*COLLECTION') { *KEEP = "yes"; }
    if (*KEEP == "yes" && *C.user_user_name == "ada") { fail(-818000); }
}
acPostProcForPut { msiDataObjChksum($objPath, "", *SUM); }
acRescQuotaPolicy { msiSetRescQuotaPolicy("on"); }
onlyHere(*PATH) { msiModAVUMetadata("-C", *PATH, "add", "done", "1", ""); }
"""
)
PROVIDER = REFUSE_MARK % "provider's" + "pep_api_data_obj_rename_pre(*I, *C, *IN) { fail(-818000); }"


@dataclass(frozen=True)
class Servers:
    """The same zone by its provider and by a consumer."""

    provider: Zone
    consumer: Zone


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with ExitStack() as stack:
        provider = stack.enter_context(policy_zone(tmp_path / "provider", PROVIDER, delay_server_seconds=0.1))
        port = provider.server.port
        consumer = policy_zone(
            tmp_path / "consumer",
            CONSUMER,
            host="consumer.test",
            provider=("localhost", port),
            delay_server_seconds=0.1,
        )
        yield Servers(provider, stack.enter_context(consumer))


def test_each_server_has_its_own_rules(servers: Servers) -> None:
    with servers.provider.session() as there, servers.consumer.session() as here:
        there.collections.get(HOME).metadata.add("any", "1")
        for name in ("one", "two"):
            put(there, f"{HOME}/{name}")
        there.data_objects.unlink(f"{HOME}/one", force=True)
        with pytest.raises(CAT_NO_ACCESS_PERMISSION):
            here.data_objects.unlink(f"{HOME}/two", force=True)
        assert here.data_objects.exists(f"{HOME}/two")


def test_what_the_provider_does_as_a_whole_meets_both_servers_rules(servers: Servers) -> None:
    with servers.provider.session() as there, servers.consumer.session() as here:
        for session, refused in ((there, {"provider's"}), (here, {"provider's", "consumer's"})):
            home = session.collections.get(HOME)
            for name in ("provider's", "consumer's"):
                if name in refused:
                    with pytest.raises(CAT_NO_ACCESS_PERMISSION):
                        home.metadata.add(name, "1")
                else:
                    home.metadata.add(name, "1")
            put(session, f"{HOME}/x")
            with pytest.raises(CAT_NO_ACCESS_PERMISSION):
                session.data_objects.move(f"{HOME}/x", f"{HOME}/y")


def test_data_policies_run_where_the_client_is(servers: Servers) -> None:
    with servers.provider.session() as there, servers.consumer.session() as here:
        put(there, f"{HOME}/there")
        put(here, f"{HOME}/here")
        assert there.data_objects.get(f"{HOME}/there").replicas[0].checksum in (None, "")
        assert there.data_objects.get(f"{HOME}/here").replicas[0].checksum.startswith("sha2:")


def test_quotas_are_enforced_on_the_servers_whose_rules_say_so(servers: Servers) -> None:
    with servers.provider.session("rods") as rods:
        rods.groups.create("team")
        rods.groups.addmember("team", USER)
        with servers.provider.session() as there:
            put(there, f"{HOME}/first", b"x" * 20)
            rods.groups.set_quota("team", 10)
            calls.administer(rods, "calculate-usage")
            put(there, f"{HOME}/second")
        with servers.consumer.session() as here, pytest.raises(SYS_RESC_QUOTA_EXCEEDED):
            put(here, f"{HOME}/third")


def test_a_consumer_that_leads_runs_the_delayed_rules_with_its_own(servers: Servers) -> None:
    catalogue = servers.provider.server.state.catalogue
    assert catalogue is not None
    with catalogue.write() as tx:
        grid.store(tx, grid.DELAY_SERVER, "leader", "consumer.test")
    catalogue.close_thread()
    with servers.provider.session() as there:
        calls.run_rule(there, f'*P = "{HOME}"; delay("<PLUSET>0s</PLUSET>") {{ onlyHere(*P); }}')
        end = time.monotonic() + 60
        while not there.collections.get(HOME).metadata.get_all("done"):
            assert time.monotonic() < end
            time.sleep(0.05)
