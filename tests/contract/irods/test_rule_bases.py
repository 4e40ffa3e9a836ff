"""The shipped rule bases: what they refuse is refused, what they allow goes on, and without them all goes on.

On a stand-in the rule bases stand in its rule engine; a real zone that is named must have them installed.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from irods.exception import CAT_INVALID_ARGUMENT, CAT_NO_ACCESS_PERMISSION
from irods.meta import AVUOperation, iRODSMeta
from irods.models import Collection, RuleExec, User
from zone_under_test import VARIABLE, IrodsServer, named_server, standin_server

from controlplane.rules import case_site
from controlplane.rules.case_site import CaseSite
from controlplane.rules.cases import Case, load_cases
from controlplane.rules.jobs import jobs_of, settle_jobs
from controlplane.rules.manifest import RuleBase, load_rule_bases, order
from controlplane.rules.run_cases import CaseResult, run_cases
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Client, Endpoint, IrodsError, open_session

RULES = Path(__file__).parents[3] / "rules"
SHIPPED = load_rule_bases(RULES)
CASES = {name: load_cases(rule_base) for name, rule_base in SHIPPED.items()}
NO_SUCH_API = "SYS_UNMATCHED_API_NUM"


def entrance(server: IrodsServer) -> Endpoint:
    if server.ca_file is None:
        pytest.skip("the control plane enters a zone only over TLS, which the server under test does not use")
    return Endpoint(server.host, server.port, server.zone, server.user, server.password, server.ca_file)


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A zone in which all shipped rule bases are in force."""
    if value := os.environ.get(VARIABLE):
        yield entrance(named_server(value))
        return
    chain = tuple((found.name, found.text) for found in order(SHIPPED))
    with standin_server(tmp_path_factory.mktemp("protected"), rule_bases=chain) as server:
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
            killed.setattr(case_site, "remove", lambda client, path: None)
            with case_site.case_site(client, {"user", "curator"}, "bic_case_keepers") as left:
                calls.set_mark(left.admin, calls.COLLECTION, left.path, ("bic:raw", "true", ""))
                with open_session(left.accounts["user"]) as session:
                    session.data_objects.create(f"{left.path}/image.tif")
        assert len(accounts() - before) == 3
        case_site.remove_left(client)
        assert len(accounts() - before) == 3, "a run that is at work must be left alone"
        case_site.remove_left(client, now=time.time() + case_site.OLD + 60)
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


def test_a_zone_that_is_not_there_is_named(tmp_path: Path) -> None:
    nobody = Endpoint("127.0.0.1", 9, "tempZone", "rods", "x", tmp_path / "ca.crt")
    with pytest.raises(IrodsError):
        run_cases(nobody, SHIPPED["common"], [])
