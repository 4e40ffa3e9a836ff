"""What is measured in a zone, held against what is in it."""

import time
from collections.abc import Iterable
from dataclasses import replace

import pytest
from facility_site import Site
from irods.access import iRODSAccess
from irods.models import Collection, RuleExec, User
from irods.rule import Rule
from prometheus_client.core import Metric
from zone_under_test import open_session

from controlplane.exporter.families import declared
from controlplane.model import Platform
from controlplane.systems.irods import amounts, calls, metrics
from controlplane.systems.irods.client import Client, Endpoint, IrodsError


def samples(found: Iterable[Metric]) -> dict[tuple[str, ...], float]:
    """The values of a reading, by name and labels' values in their order."""
    return {
        (sample.name, *sample.labels.values()): sample.value for metric in found for sample in metric.samples
    }


def unreachable(platform: Platform) -> Platform:
    """The platform with a zone at whose port nobody listens."""
    zones = {name: replace(zone, port=1) for name, zone in platform.zones.items()}
    return replace(platform, zones=zones)


def store(site: Site, name: str, content: bytes) -> str:
    """A data object in the facility's collection."""
    home = site.home(site.id)
    with open_session(site.server) as session:
        session.acls.set(iRODSAccess("own", home, site.server.user, site.server.zone), admin=True)
        with session.data_objects.open(f"{home}/{name}", "w") as file:
            file.write(content)
    return f"{home}/{name}"


def test_accounts_and_collections_are_counted(site: Site) -> None:
    site.settle()
    with open_session(site.server) as session:
        groups = len(list(session.query(User.id).filter(User.type == "rodsgroup")))
        collections = len(list(session.query(Collection.id)))
    with Client(site.endpoint) as client:
        counts = amounts.counts(client)
    assert counts["groups"] == groups
    assert counts["collections"] == collections
    assert counts["users"] >= 5


def test_what_a_facility_holds_is_told_by_storage_resource_and_state(site: Site) -> None:
    site.settle()
    path = store(site, "sized", b"x" * 1234)
    (collector,) = [c for c in metrics.collectors(site.platform) if isinstance(c, metrics.Usage)]
    zone = site.server.zone
    with open_session(site.server) as session:
        (replica,) = session.data_objects.get(path).replicas
        place = (zone, site.id, replica.resource_name)
        found = samples(collector.collect())
        assert found["bic_irods_facility_replicas", *place, "good"] == 1
        assert found["bic_irods_facility_replica_bytes", *place, "good"] == 1234
        whole = found["bic_irods_replica_bytes", zone, replica.resource_name, "good"]
        assert whole >= 1234
        # A second replica, which is stale when the data object is written to again.
        calls.replicate(session, path, f"{site.id}-raw")
    found = samples(collector.collect())
    assert found["bic_irods_facility_replicas", zone, site.id, f"{site.id}-raw", "good"] == 1
    store(site, "sized", b"y" * 2000)
    found = samples(collector.collect())
    assert found["bic_irods_facility_replicas", zone, site.id, f"{site.id}-raw", "stale"] == 1
    assert found["bic_irods_replicas", zone, f"{site.id}-raw", "stale"] == 1
    assert found["bic_irods_facility_replica_bytes", *place, "good"] == 2000


def test_quotas_are_told_for_the_groups_of_the_inventory_alone(site: Site) -> None:
    site.settle()
    team = f"{site.id}-cells"
    (collector,) = [c for c in metrics.collectors(site.platform) if isinstance(c, metrics.Quotas)]
    before = time.time()
    store(site, "kept", b"x" * 100)
    with open_session(site.server) as session:
        calls.administer(session, "set-quota", "group", team, "total", "5000")
        # Of a group that is not in the inventory.
        calls.administer(session, "set-quota", "group", "public", "total", "777")
        calls.administer(session, "calculate-usage")
    try:
        found = samples(collector.collect())
    finally:
        with open_session(site.server) as session:
            calls.administer(session, "set-quota", "group", team, "total", "0")
            calls.administer(session, "set-quota", "group", "public", "total", "0")
    labels = (site.server.zone, site.id, team, "")
    assert found["bic_irods_quota_limit_bytes", *labels] == 5000
    # Nobody of the team owns anything: the administrator wrote.
    assert found["bic_irods_quota_usage_bytes", *labels] == 0
    assert found["bic_irods_accounting_timestamp_seconds", site.server.zone] >= int(before)
    assert not any("public" in key for key in found)


def test_a_rule_is_overdue_when_its_time_has_come(site: Site) -> None:
    with open_session(site.server) as session, Client(site.endpoint) as client:
        before = amounts.delay_queue(client)
        calls.run_rule(
            session,
            f'delay("<INST_NAME>{calls.RULE_ENGINE}</INST_NAME><PLUSET>1h</PLUSET>")'
            ' { writeLine("serverLog", "bic metrics test"); }',
        )
        try:
            after = amounts.delay_queue(client)
            later = amounts.delay_queue(client, time.time() + 3 * 3600)
        finally:
            query = session.query(RuleExec.id, RuleExec.name)
            for row in [row for row in query if "bic metrics test" in row[RuleExec.name]]:
                Rule(session).remove_by_id(row[RuleExec.id])
    assert after.rules == before.rules + 1
    assert after.overdue == before.overdue
    assert later.overdue >= 1
    assert later.age >= 2 * 3600 - 60


def test_every_connection_has_an_agent(site: Site) -> None:
    with open_session(site.server) as one, open_session(site.server) as two:
        alone = calls.agents(one)
        assert alone >= 1
        two.collections.get(f"/{site.server.zone}/home")
        assert calls.agents(one) > alone


def test_servers_tell_version_and_agents_and_one_that_is_gone_is_a_value(site: Site) -> None:
    platform = site.platform
    (collector,) = [c for c in metrics.collectors(platform) if isinstance(c, metrics.Servers)]
    found = samples(collector.collect())
    place = (site.server.zone, site.host)
    assert found["bic_irods_server_up", *place] == 1
    assert found["bic_irods_agents", *place] >= 1
    certificate = found["bic_irods_server_certificate_not_after_timestamp_seconds", *place]
    assert certificate > time.time()
    (gone,) = [c for c in metrics.collectors(unreachable(platform)) if isinstance(c, metrics.Servers)]
    assert samples(gone.collect()) == {("bic_irods_server_up", *place): 0}


def test_operations_count_what_a_user_could_do(site: Site) -> None:
    (collector,) = [c for c in metrics.collectors(site.platform) if isinstance(c, metrics.Operations)]
    zone = site.server.zone
    total = "bic_irods_operations_total"
    begun = time.time()
    for number in (1, 2):
        found = samples(collector.collect())
        for operation in ("login", "write", "read"):
            assert found[total, zone, operation, "success"] == number
            assert found[total, zone, operation, "failure"] == 0
            success = "bic_irods_operation_last_success_timestamp_seconds"
            assert found[success, zone, operation] >= begun
    with open_session(site.server) as session:
        folder = session.collections.get(f"/{zone}/home/{site.server.user}/{metrics.PROBE_COLLECTION}")
        assert len(folder.data_objects) == 1
        folder.remove(force=True)
    # Who cannot log in can neither write nor read.
    collector.zone = replace(collector.zone, port=1)
    found = samples(collector.collect())
    for operation in ("login", "write", "read"):
        assert found[total, zone, operation, "failure"] == 1


def test_the_room_of_storage_resources_is_told_with_when_it_was_measured(site: Site) -> None:
    site.settle()
    raw = f"{site.id}-raw"
    begun = int(time.time())
    with open_session(site.server) as session:
        calls.administer(session, "modify", "resource", raw, "free_space", "4096")
    (collector,) = [c for c in metrics.collectors(site.platform) if isinstance(c, metrics.Contents)]
    found = samples(collector.collect())
    place = (site.server.zone, raw, site.id)
    assert found["bic_irods_storage_resource_up", *place] == 1
    assert found["bic_irods_storage_resource_free_bytes", *place] == 4096
    assert found["bic_irods_storage_resource_free_measured_timestamp_seconds", *place] >= begun


def test_everything_that_is_told_is_declared(site: Site) -> None:
    site.settle()
    families = {family.name: family for family in declared(metrics)}
    found = [metric for collector in metrics.collectors(site.platform) for metric in collector.collect()]
    assert {metric.name for metric in found} <= set(families)
    for metric in found:
        assert metric.documentation == families[metric.name].documentation
        for sample in metric.samples:
            assert tuple(sample.labels) == families[metric.name].labels


@pytest.mark.parametrize("kind", [metrics.Contents, metrics.Usage, metrics.Quotas])
def test_a_zone_that_cannot_be_read_is_an_error(site: Site, kind: type) -> None:
    (collector,) = [c for c in metrics.collectors(unreachable(site.platform)) if isinstance(c, kind)]
    with pytest.raises(IrodsError):
        list(collector.collect())


def test_a_sum_over_many_data_objects_may_take_the_whole_budget(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []

    def client(server: Endpoint, connections: int) -> Client:
        waits.append(server.timeout)
        return Client(server, connections=connections)

    monkeypatch.setattr(metrics, "Client", client)
    (collector,) = [c for c in metrics.collectors(site.platform) if isinstance(c, metrics.Usage)]
    list(collector.collect())
    assert waits == [collector.budget]
