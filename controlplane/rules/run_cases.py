"""Carrying out rule bases' tests against a running zone, as the people they are about."""

import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from irods.access import iRODSAccess
from irods.exception import iRODSException
from irods.keywords import DATA_SIZE_KW
from irods.models import Collection, DataObject, User, UserMeta
from irods.session import iRODSSession

from controlplane.model.cases_file import REFUSED, SUCCESS, Actor, AvuEntry, StepEntry
from controlplane.rules.case_site import CaseSite, case_site, remove_left
from controlplane.rules.cases import Case, code_of
from controlplane.rules.manifest import RuleBase
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import (
    LIBRARY_ERRORS,
    Client,
    Endpoint,
    IrodsError,
    explain,
    nominal,
    open_session,
)
from controlplane.systems.irods.resources import POLICY_GROUP, parameter_attribute

CURATORS = "curators"
"""The parameter that names the group that the actor `curator` is in."""

SMALL = 64
"""Bytes that a step writes where it names no size."""

PAUSE = 0.5
"""Seconds between two attempts of a step that may take a while."""


@dataclass(frozen=True)
class CaseResult:
    """How a test came out."""

    case: Case
    passed: bool
    text: str
    """What came of it: which step came out otherwise than expected, or what was done."""
    seconds: float


def run_cases(
    server: Endpoint,
    rule_base: RuleBase,
    cases: Iterable[Case],
    watch: Callable[[CaseResult], None] = lambda _: None,
) -> tuple[CaseResult, ...]:
    """Carry out tests on a server, entered as the zone's administrator; `watch` is told each result.

    Each test works in a collection and with accounts of its own, which are removed afterwards; what a killed
    run left is removed before. A test that could not be carried out has not passed. Raises IrodsError when
    the server cannot be entered.
    """
    results = []
    with Client(server, 2) as client:
        remove_left(client)
        curators = _curators(client, rule_base)
        for case in cases:
            begun = time.monotonic()
            try:
                with case_site(client, _actors(case), curators) as site:
                    wrong = _Run(site).steps(case.steps)
            except IrodsError as error:
                wrong = f"could not be carried out: {error}"
            done = f"{len(case.steps)} step{'s' if len(case.steps) != 1 else ''} as expected"
            result = CaseResult(case, not wrong, wrong or done, time.monotonic() - begun)
            watch(result)
            results.append(result)
    return tuple(results)


def _actors(case: Case) -> set[Actor]:
    """Everybody whom a test needs."""
    actors: set[Actor] = {"user"}
    for step in case.steps:
        actors.add(step.who)
        if step.chmod:
            actors.add(step.chmod.account)
    return actors


def _curators(client: Client, rule_base: RuleBase) -> str:
    """The group of curators that the rule base means now; a name of our own where it has none."""
    parameter = rule_base.parameters.get(CURATORS)
    if parameter is None:
        return "bic_case_curators"
    attribute = parameter_attribute(rule_base.name, CURATORS)
    rows = client.rows(UserMeta.value, where=(User.name == POLICY_GROUP, UserMeta.name == attribute))
    return rows[0][0] if rows else parameter.default


@dataclass
class _Run:
    """One test that is being carried out."""

    site: CaseSite
    _opened: ExitStack = field(default_factory=ExitStack)
    _sessions: dict[Actor, iRODSSession] = field(default_factory=dict)

    def steps(self, steps: Iterable[StepEntry]) -> str:
        """What came out otherwise than expected; empty when nothing did."""
        with self._opened:
            for number, step in enumerate(steps, start=1):
                if wrong := self._step(step):
                    return f"step {number}, {describe(step)}: {wrong}"
        return ""

    def _step(self, step: StepEntry) -> str:
        end = time.monotonic() + (step.within or 0)
        while True:
            came = self._outcome(step)
            if _as_expected(step.expect, came):
                return ""
            if time.monotonic() >= end:
                return f"expected {step.expect}, came {came}"
            time.sleep(PAUSE)

    def _outcome(self, step: StepEntry) -> str:
        """`success`, the name or number of an error, or what else went wrong."""
        try:
            return getattr(self, f"_{step.operation}")(self._session(step), step) or SUCCESS
        except LIBRARY_ERRORS as error:
            return _named(self.site.server, error)
        except IrodsError as error:
            return str(error)

    def _session(self, step: StepEntry) -> iRODSSession:
        if step.who == "admin":
            return self.site.admin
        if step.who not in self._sessions:
            session = open_session(self.site.accounts[step.who])
            self._opened.callback(session.cleanup)
            self._sessions[step.who] = session
        return self._sessions[step.who]

    def _path(self, path: str | None) -> str:
        return self.site.path if path in (".", None) else f"{self.site.path}/{path}"

    def _connect(self, _: iRODSSession, step: StepEntry) -> None:
        account = self.site.accounts[step.who]
        encrypted = open_session(account)
        plain = iRODSSession(
            host=account.host,
            port=account.port,
            user=account.user,
            password=account.password,
            zone=account.zone,
            client_server_negotiation="request_server_negotiation",
            client_server_policy="CS_NEG_REFUSE",
            connection_timeout=account.timeout,
        )
        with encrypted if step.connect == "tls" else plain as session, session.pool.get_connection():
            pass

    def _mkdir(self, session: iRODSSession, step: StepEntry) -> None:
        session.collections.create(self._path(step.mkdir), recurse=False)

    def _rmcoll(self, session: iRODSSession, step: StepEntry) -> None:
        session.collections.remove(self._path(step.rmcoll), recurse=True, force=True)

    def _put(self, session: iRODSSession, step: StepEntry) -> None:
        self._write(session, self._path(step.put), step)

    def _overwrite(self, session: iRODSSession, step: StepEntry) -> None:
        self._write(session, self._path(step.overwrite), step)

    def _write(self, session: iRODSSession, path: str, step: StepEntry) -> None:
        content = secrets.token_bytes(step.size or SMALL)
        # Quotas are held against what a client says that it will write.
        with session.data_objects.open(path, "w", **{DATA_SIZE_KW: str(len(content))}) as data_object:
            data_object.write(content)

    def _get(self, session: iRODSSession, step: StepEntry) -> None:
        with session.data_objects.open(self._path(step.get), "r") as data_object:
            data_object.read()

    def _list(self, session: iRODSSession, step: StepEntry) -> None:
        found = session.collections.get(self._path(step.list))
        list(found.data_objects)
        list(found.subcollections)

    def _remove(self, session: iRODSSession, step: StepEntry) -> None:
        session.data_objects.unlink(self._path(step.remove), force=True)

    def _trash(self, session: iRODSSession, step: StepEntry) -> None:
        session.data_objects.unlink(self._path(step.trash))

    def _touch(self, session: iRODSSession, step: StepEntry) -> None:
        session.data_objects.touch(self._path(step.touch), no_create=True)

    def _checksum(self, session: iRODSSession, step: StepEntry) -> None:
        session.data_objects.chksum(self._path(step.checksum), forceChksum="")

    def _rename(self, session: iRODSSession, step: StepEntry) -> None:
        if step.rename:
            source = self._path(step.rename.path)
            manager = session.collections if self._is_collection(source) else session.data_objects
            manager.move(source, self._path(step.rename.to))

    def _copy_over(self, session: iRODSSession, step: StepEntry) -> None:
        if step.copy_over:
            source, target = self._path(step.copy_over.path), self._path(step.copy_over.to)
            session.data_objects.copy(source, target, forceFlag="")

    def _chmod(self, session: iRODSSession, step: StepEntry) -> None:
        if step.chmod:
            account = self.site.accounts[step.chmod.account]
            path, level = self._path(step.chmod.path), step.chmod.level
            access = iRODSAccess(level, path, account.user, account.zone)
            session.acls.set(access, recursive=self._is_collection(path))

    def _avu(self, session: iRODSSession, step: StepEntry) -> None:
        if step.avu:
            self._change_avu(session, "add", step.avu)

    def _remove_avu(self, session: iRODSSession, step: StepEntry) -> None:
        if step.remove_avu:
            self._change_avu(session, "rm", step.remove_avu)

    def _change_avu(self, session: iRODSSession, verb: str, entry: AvuEntry) -> None:
        path = self._path(entry.path)
        kind = calls.COLLECTION if self._is_collection(path) else calls.DATA_OBJECT
        calls.change_avu(session, verb, kind, path, (entry.attribute, entry.value, ""))

    def _replicate(self, session: iRODSSession, step: StepEntry) -> None:
        if step.replicate:
            session.data_objects.replicate(self._path(step.replicate.path), resource=step.replicate.to)

    def _quota(self, session: iRODSSession, step: StepEntry) -> None:
        group = self.site.path.rpartition("/")[2] + "_group"
        calls.administer(session, "add", "user", group, "rodsgroup", "", "", "")
        member = self.site.accounts["user"].user
        calls.administer(session, "modify", "group", group, "add", member, session.zone)
        calls.administer(session, "set-quota", "group", group, "total", str(step.quota))

    def _rule(self, session: iRODSSession, step: StepEntry) -> None:
        calls.run_rule(session, step.rule or "")

    def _job(self, session: iRODSSession, step: StepEntry) -> None:
        calls.run_rule(session, f"{step.job};")

    def _has(self, _: iRODSSession, step: StepEntry) -> str:
        entry = step.has
        if entry is None:
            return ""
        path = self._path(entry.path)
        collection, _, name = path.rpartition("/")
        checksums = calls.rows(
            self.site.admin,
            (DataObject.replica_number, DataObject.checksum),
            (Collection.name == collection, DataObject.name == name, DataObject.replica_status == "1"),
        )
        there = bool(checksums) or self._is_collection(path)
        complete = bool(checksums) and all(checksum for _, checksum in checksums)
        if entry.exists is not None and entry.exists != there:
            return f"{entry.path} {'is' if there else 'is not'} there"
        if entry.checksum is not None and entry.checksum != complete:
            return f"{entry.path} has {'a' if complete else 'no'} checksum"
        return ""

    def _is_collection(self, path: str) -> bool:
        return bool(calls.rows(self.site.admin, (Collection.id,), (Collection.name == path,)))


def describe(step: StepEntry) -> str:
    """A step in a few words: who does what to what."""
    given: object = getattr(step, step.operation)
    path = getattr(given, "path", given)
    return f"{step.who} {step.operation.replace('_', ' ')} {path}"


def _as_expected(expected: str, came: str) -> bool:
    return came == expected or (expected == REFUSED and came != SUCCESS)


def _named(server: Endpoint, error: Exception) -> str:
    """An error of the client library by the name that `expect` has for it, where it has one."""
    reason = explain(server, error)
    name = type(error).__name__
    if isinstance(error, iRODSException) and reason.code and code_of(name) == nominal(reason.code):
        return name
    return str(reason)
