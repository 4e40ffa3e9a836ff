"""The shipped rule bases: what they refuse is refused, what they allow goes on, and without them all goes on.

On a stand-in the rule bases stand in its rule engine; a real zone that is named must have them installed.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from irods.column import Like
from irods.exception import CAT_INVALID_ARGUMENT, CAT_NO_ACCESS_PERMISSION
from irods.meta import AVUOperation, iRODSMeta
from irods.models import Collection, DataObject, Resource, RuleExec, User, UserMeta
from zone_under_test import VARIABLE, IrodsServer, named_server, standin_server

from controlplane.rules import case_site
from controlplane.rules.case_site import CaseSite
from controlplane.rules.cases import Case, load_cases
from controlplane.rules.jobs import jobs_of, settle_jobs
from controlplane.rules.manifest import PYTHON, RuleBase, load_rule_bases, order
from controlplane.rules.rollout.release import release
from controlplane.rules.run_cases import CaseResult, run_cases
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Client, Endpoint, IrodsError, open_session
from controlplane.systems.irods.resources import POLICY_GROUP, parameter_attribute

CLONE = Path(__file__).parents[3]
RULES = CLONE / "rules"
CORE = CLONE / "roles/irods_server/files/core.py"
SHIPPED = load_rule_bases(RULES)
CASES = {name: load_cases(rule_base) for name, rule_base in SHIPPED.items()}
NO_SUCH_API = "SYS_UNMATCHED_API_NUM"


def entrance(server: IrodsServer) -> Endpoint:
    if server.ca_file is None:
        pytest.skip("the control plane enters a zone only over TLS, which the server under test does not use")
    return Endpoint(server.host, server.port, server.zone, server.user, server.password, server.ca_file)


def write_python(folder: Path, modules: Mapping[str, str]) -> None:
    """Put rule bases in Python where a server reads them, as irods-rule-bases does."""
    folder.mkdir(parents=True)
    engine = {
        "plugin_name": "irods_rule_engine_plugin-python",
        "plugin_specific_configuration": {"bic_rule_bases": [*modules]},
    }
    config = {"plugin_configuration": {"rule_engines": [engine]}}
    (folder / "server_config.json").write_text(json.dumps(config))
    (folder / "core.py").write_text(CORE.read_text())
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A zone in which all shipped rule bases are in force."""
    if value := os.environ.get(VARIABLE):
        yield entrance(named_server(value))
        return
    directory = tmp_path_factory.mktemp("protected")
    files = release(order(SHIPPED)).files
    python = [file for file in files if file.engine == PYTHON]
    chain = tuple((file.name, file.text) for file in files if file not in python)
    write_python(directory / "server", {file.name: file.text for file in python})
    with standin_server(directory, rule_bases=chain, python=True) as server:
        yield entrance(server)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A zone in which none of them is, and which takes connections without encryption too."""
    open_door = ("open", 'acPreConnect(*OUT) { *OUT = "CS_NEG_DONT_CARE"; }')
    with standin_server(tmp_path_factory.mktemp("bare"), rule_bases=(open_door,)) as server:
        yield entrance(server)


def run(server: Endpoint, rule_base: RuleBase, case: Case) -> CaseResult:
    (result,) = run_cases(server, rule_base, [case])
    return result


def skip_what_the_standin_lacks(result: CaseResult) -> None:
    if NO_SUCH_API in result.text and not os.environ.get(VARIABLE):
        pytest.skip(f"not executed by the stand-in: {result.text}")


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases], ids=str
)
def test_every_case_comes_out_as_expected(protected: Endpoint, name: str, case: str) -> None:
    result = run(protected, SHIPPED[name], CASES[name][case])
    skip_what_the_standin_lacks(result)
    assert result.passed, result.text


# What the ACL refuses is refused without any rule base as well.
BY_ACL = {("audit", "refused"), ("checksums", "refused"), ("common", "refused"), ("replication", "refused")}
REFUSING = [
    (name, case.name)
    for name, cases in CASES.items()
    for case in cases.values()
    if case.refuses and (name, case.name) not in BY_ACL
]


@pytest.mark.parametrize(("name", "case"), REFUSING, ids=str)
def test_without_the_rule_bases_it_is_not_refused(bare: Endpoint, name: str, case: str) -> None:
    result = run(bare, SHIPPED[name], CASES[name][case])
    skip_what_the_standin_lacks(result)
    assert not result.passed
    assert "came success" in result.text


@pytest.fixture
def place(protected: Endpoint) -> Iterator[CaseSite]:
    with Client(protected, 2) as client, case_site.case_site(client, {"user"}, "bic-curators") as made:
        yield made


def set_avus(place: CaseSite, *avus: tuple[str, str, str]) -> None:
    """Change AVUs of the collection all at once, as `user`: verb, attribute, value."""
    with open_session(place.accounts["user"]) as session:
        operations = [AVUOperation(operation=verb, avu=iRODSMeta(name, value)) for verb, name, value in avus]
        session.metadata.apply_atomic_operations(Collection, place.path, *operations)


def test_marks_are_not_written_by_many_changes_at_once(place: CaseSite) -> None:
    mark = ("bic:raw", "true", "")
    calls.set_mark(place.admin, calls.COLLECTION, place.path, mark)
    with pytest.raises(CAT_NO_ACCESS_PERMISSION):
        set_avus(place, ("remove", "bic:raw", "true"))
    with pytest.raises(CAT_NO_ACCESS_PERMISSION):
        set_avus(place, ("add", "bic:retain-until", "2001-01-01"))
    set_avus(place, ("add", "note", "début à l'été"))


def test_a_dataset_is_published_by_many_changes_at_once_only_when_it_is_complete(place: CaseSite) -> None:
    required = SHIPPED["metadata"].parameters["required"].default.split(",")
    with pytest.raises(CAT_INVALID_ARGUMENT):
        set_avus(place, ("add", "bic:published", "true"))
    set_avus(place, *(("add", name, "given") for name in required))
    set_avus(place, ("add", "bic:published", "true"))
    with pytest.raises(CAT_INVALID_ARGUMENT):
        set_avus(place, ("remove", required[0], "given"))


def test_what_a_killed_run_left_is_removed_by_the_next(
    protected: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def accounts() -> set[str]:
        return {name for (name,) in client.rows(User.name)}

    with Client(protected, 2) as client:
        before = accounts()
        with monkeypatch.context() as killed:
            killed.setattr(case_site, "remove", lambda client, kind, path: None)
            with case_site.case_site(client, {"user", "curator"}, "bic_case_keepers") as left:
                calls.set_mark(left.admin, calls.COLLECTION, left.path, ("bic:raw", "true", ""))
                with open_session(left.accounts["user"]) as session:
                    session.data_objects.create(f"{left.path}/image.tif")
        assert len(accounts() - before) == 3
        case_site.remove_left(client)
        assert len(accounts() - before) == 3, "a run that is at work must be left alone"
        case_site.remove_left(client, now=time.time() + case_site.CASE.old + 60)
        assert accounts() == before
        assert not client.rows(Collection.id, where=(Collection.name == left.path,))


def test_jobs_are_queued_once_and_taken_out_again(bare: Endpoint) -> None:
    foreign = f'delay("<INST_NAME>{calls.RULE_ENGINE}</INST_NAME><PLUSET>1h</PLUSET>") {{ nop; }}'
    jobs = jobs_of(order(SHIPPED))
    assert {"bicChecksumsVerify", "bicRetentionEmptyTrash"} < set(jobs)
    with Client(bare, 1) as client:
        client.call(lambda session: calls.run_rule(session, foreign))
        before = client.rows(RuleExec.id)
        assert sorted(change.name for change in settle_jobs(client, jobs)) == sorted(jobs)
        assert not list(settle_jobs(client, jobs))
        slower = {**jobs, "bicChecksumsVerify": 7200}
        done = [(change.name, change.done) for change in settle_jobs(client, slower)]
        assert done == [
            ("bicChecksumsVerify", "taken out of the queue"),
            ("bicChecksumsVerify", "queued, every 7200 s"),
        ]
        assert len(list(settle_jobs(client, {}))) == len(jobs)
        assert client.rows(RuleExec.id) == before


@pytest.fixture
def policy(protected: Endpoint) -> Iterator[Client]:
    """A client of a zone with a group `bic_policy` to whose AVUs tests may add."""
    with Client(protected, 2) as client:
        there = client.rows(User.id, where=(User.name == POLICY_GROUP,))
        if there:
            pytest.skip("the zone has parameters of its own, which a test must not change")
        client.call(lambda session: calls.administer(session, "add", "group", POLICY_GROUP, "", "", ""))
        yield client
        client.call(lambda session: calls.administer(session, "rm", "group", POLICY_GROUP, ""))


def parameter(client: Client, rule_base: str, name: str, value: str) -> None:
    avu = (parameter_attribute(rule_base, name), value, "")
    client.call(lambda session: calls.set_mark(session, calls.ACCOUNT, POLICY_GROUP, avu))


def state(client: Client) -> dict[str, str]:
    where = (User.name == POLICY_GROUP, Like(UserMeta.name, "bic:state:%"))
    return dict(client.rows(UserMeta.name, UserMeta.value, where=where))  # type: ignore[arg-type]


def run_job(client: Client, name: str) -> None:
    client.call(lambda session: calls.run_rule(session, f"{name};"))


def test_trash_is_emptied_of_what_is_old_enough(policy: Client, place: CaseSite) -> None:
    path = f"{place.path}/image.tif"
    with open_session(place.accounts["user"]) as session:
        session.data_objects.create(path)
        session.data_objects.unlink(path)
    in_trash = (Like(Collection.name, f"/{place.server.zone}/trash/%"), DataObject.name == "image.tif")
    assert policy.rows(DataObject.id, where=in_trash)
    run_job(policy, "bicRetentionEmptyTrash")
    assert policy.rows(DataObject.id, where=in_trash), "90 days have not passed"
    parameter(policy, "retention", "trash", "1")
    time.sleep(2.1)
    run_job(policy, "bicRetentionEmptyTrash")
    assert not policy.rows(DataObject.id, where=in_trash)
    assert state(policy)["bic:state:retention:trash_deleted"] == "1"
    assert state(policy)["bic:state:retention:trash_failed"] == "0"


def test_quotas_are_switched_by_their_parameter(policy: Client) -> None:
    parameter(policy, "quotas", "enforced", "false")
    result = run(policy.server, SHIPPED["quotas"], CASES["quotas"]["above"])
    assert "came success" in result.text
    parameter(policy, "quotas", "enforced", "true")
    assert run(policy.server, SHIPPED["quotas"], CASES["quotas"]["above"]).passed


def test_the_group_of_curators_is_a_parameter_that_needs_no_reload(policy: Client) -> None:
    parameter(policy, "raw-data", "curators", "bic_case_others")
    assert run(policy.server, SHIPPED["raw-data"], CASES["raw-data"]["curators"]).passed
    assert run(policy.server, SHIPPED["raw-data"], CASES["raw-data"]["delete"]).passed


def test_copies_that_are_missing_are_made_and_counted(policy: Client, place: CaseSite) -> None:
    name = f"copies_{place.path.rpartition('_')[2]}"
    storage = policy.rows(Resource.location, Resource.vault_path, where=(Resource.name == "demoResc",))
    location = f"{storage[0][0]}:{storage[0][1]}-{name}"
    policy.call(
        lambda session: calls.administer(session, "add", "resource", name, "unixfilesystem", location, "", "")
    )
    path = f"{place.path}/image.tif"
    copies = (Collection.name == place.path, DataObject.name == "image.tif", DataObject.resource_name == name)
    try:
        with open_session(place.accounts["user"]) as session:
            session.data_objects.create(path)
        run_job(policy, "bicReplicationRun")
        assert not policy.rows(DataObject.id, where=copies), "without the parameter no copies are made"
        parameter(policy, "replication", "to", name)
        with Client(policy.server, 1) as fresh:
            run_job(fresh, "bicReplicationRun")
        assert len(policy.rows(DataObject.id, where=copies)) == 1
        assert state(policy)["bic:state:replication:missing"] == "0"
        parameter(policy, "replication", "to", "no_such_storage_resource")
        run_job(policy, "bicReplicationRun")
        assert int(state(policy)["bic:state:replication:missing"]) >= 1
    finally:
        with open_session(place.accounts["user"]) as session:
            session.data_objects.unlink(path, force=True)
        policy.call(lambda session: calls.administer(session, "rm", "resource", name))


def test_all_data_are_read_again_in_rounds(policy: Client, place: CaseSite) -> None:
    path = f"{place.path}/image.tif"
    with open_session(place.accounts["user"]) as session:
        session.data_objects.create(path)
    run_job(policy, "bicChecksumsCompute")
    run_job(policy, "bicChecksumsVerify")
    found = state(policy)
    assert (found["bic:state:checksums:cursor"], found["bic:state:checksums:mismatches"]) == ("0", "0")
    begun = found["bic:state:checksums:begun"]
    time.sleep(1.1)
    run_job(policy, "bicChecksumsVerify")
    assert state(policy)["bic:state:checksums:begun"] == begun, "a round rests until the next is due"


def test_a_zone_that_is_not_there_is_named(tmp_path: Path) -> None:
    nobody = Endpoint("127.0.0.1", 9, "tempZone", "rods", "x", tmp_path / "ca.crt")
    with pytest.raises(IrodsError):
        run_cases(nobody, SHIPPED["common"], [])
