"""The jobs of rule bases: rules that a zone's delay queue carries out again and again, as its administrator.

A job is an entry of the queue whose rule is nothing but its name, such as `bicChecksumsVerify`. Entries of
other rules and of other accounts are left alone.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from irods.models import RuleExec
from irods.rule import RemoveRuleMessage

from controlplane.model.durations import DURATION_PATTERN, parse_duration
from controlplane.rules.manifest import RuleBase
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Client

FIRST = 60
"""Seconds before a job runs for the first time."""

_NAME = re.compile(r"[\s{]*(bic[A-Z][A-Za-z0-9]*)(?:\(\))?[\s;}]*")


@dataclass(frozen=True, order=True)
class Queued:
    """An entry of the delay queue that is a job."""

    name: str
    number: str
    """The entry's number in the catalogue."""
    every: int
    """Seconds between two runs; 0 where the queue has something else."""


@dataclass(frozen=True)
class JobChange:
    """What is done about a job, for people."""

    name: str
    done: str


def jobs_of(chain: Iterable[RuleBase]) -> dict[str, int]:
    """The jobs of rule bases, with the seconds between two runs."""
    return {name: every for rule_base in chain for name, every in rule_base.jobs.items()}


def job_of(rule: str) -> str | None:
    """The job that a rule of the queue is, or None."""
    match = _NAME.fullmatch(rule)
    return match[1] if match else None


def differences(
    wanted: Mapping[str, int], queued: Iterable[Queued]
) -> tuple[tuple[Queued, ...], tuple[str, ...]]:
    """Which entries have to go, and which jobs have to be queued."""
    kept: set[str] = set()
    gone = []
    for entry in sorted(queued):
        if entry.name not in kept and wanted.get(entry.name) == entry.every:
            kept.add(entry.name)
        else:
            gone.append(entry)
    return tuple(gone), tuple(name for name in wanted if name not in kept)


def settle_jobs(client: Client, wanted: Mapping[str, int]) -> Iterator[JobChange]:
    """Let the delay queue have exactly the wanted jobs. Raises IrodsError."""
    gone, missing = differences(wanted, _queued(client))
    for entry in gone:
        body = RemoveRuleMessage(entry.number)
        client.call(lambda session, body=body: calls.request(session, "RULE_EXEC_DEL_AN", body))  # type: ignore[misc]
        yield JobChange(entry.name, "taken out of the queue")
    for name in missing:
        every = f"<PLUSET>{FIRST}s</PLUSET><EF>{wanted[name]}s</EF>"
        when = f"<INST_NAME>{calls.RULE_ENGINE}</INST_NAME>{every}"
        rule = f'delay("{when}") {{ {name}; }}'
        client.call(lambda session, rule=rule: calls.run_rule(session, rule))  # type: ignore[misc]
        yield JobChange(name, f"queued, every {wanted[name]} s")


def _queued(client: Client) -> list[Queued]:
    rows = client.rows(
        RuleExec.id,
        RuleExec.name,
        RuleExec.frequency,
        where=(RuleExec.user_name == client.server.user,),
    )
    found = []
    for number, rule, frequency in rows:
        if name := job_of(rule):
            plain = re.fullmatch(DURATION_PATTERN, frequency)
            found.append(Queued(name, number, parse_duration(frequency) if plain else 0))
    return found
