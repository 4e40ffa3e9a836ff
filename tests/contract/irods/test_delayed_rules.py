"""The queue of delayed rules and the server that runs them."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from irods.exception import iRODSException
from irods.models import RuleExec
from irods.session import iRODSSession
from policy_zone import HOME, Zone, policy_zone

from controlplane.systems.irods import calls
from sandbox.standins.irods import grid

RULES = """
note(*PATH, *VALUE) { msiModAVUMetadata("-C", *PATH, "add", "said", *VALUE, ""); }
fails(*PATH) {
    *N = 0;
    foreach (*ROW in select META_COLL_ATTR_VALUE where META_COLL_ATTR_NAME = 'said') { *N = *N + 1; }
    note(*PATH, "try *N");
    fail(-1);
}
"""


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it did not come to it"
        time.sleep(0.05)


def said(session: iRODSSession) -> list[str]:
    return sorted(avu.value for avu in session.collections.get(HOME).metadata.get_all("said"))


def queued(session: iRODSSession) -> list[str]:
    return [row[RuleExec.name] for row in session.query(RuleExec.id, RuleExec.name)]


def test_a_block_runs_later_in_the_name_of_who_queued_it(tmp_path: Path) -> None:
    with policy_zone(tmp_path, RULES, delay_server_seconds=0.1) as zone, zone.session() as ada:
        # Nobody runs what is queued until we have looked.
        _lead(zone, "elsewhere.example")
        body = f"""*P = "{HOME}"; *N = 41;
            delay("<INST_NAME>irods_rule_engine_plugin-irods_rule_language-instance</INST_NAME>
                   <PLUSET>1s</PLUSET>") {{ *N = *N + 1; note(*P, "$userNameClient *N"); }}"""
        calls.run_rule(ada, body)
        assert said(ada) == []
        assert len(queued(ada)) == 1
        assert "note(*P" in queued(ada)[0]
        _lead(zone, "elsewhere.example", "localhost")
        wait_for(lambda: said(ada) == ["ada 42"])
        wait_for(lambda: queued(ada) == [])


def test_a_rule_is_repeated_as_it_says(tmp_path: Path) -> None:
    with policy_zone(tmp_path, RULES, delay_server_seconds=0.1) as zone, zone.session() as ada:
        hint = "<PLUSET>0s</PLUSET><EF>1s REPEAT UNTIL SUCCESS OR 3 TIMES</EF>"
        calls.run_rule(ada, f'*P = "{HOME}"; delay("{hint}") {{ fails(*P); }}')
        wait_for(lambda: queued(ada) == [])
        assert said(ada) == ["try 0", "try 1", "try 2"]


@pytest.mark.parametrize("hint", ["<PLUSET>soon</PLUSET>", "<PLUSET>1s", "<EF>1s REPEAT ON SUNDAYS</EF>"])
def test_hints_that_are_none_are_refused(tmp_path: Path, hint: str) -> None:
    with policy_zone(tmp_path, RULES) as zone, zone.session() as ada:
        with pytest.raises((iRODSException, KeyError)):
            calls.run_rule(ada, f'delay("{hint}") {{ nop; }}')
        assert queued(ada) == []


def test_only_the_leader_runs_rules(tmp_path: Path) -> None:
    with policy_zone(tmp_path, RULES, delay_server_seconds=0.1) as zone, zone.session() as ada:
        _lead(zone, "elsewhere.example")
        calls.run_rule(ada, f'*P = "{HOME}"; delay("<PLUSET>0s</PLUSET>") {{ note(*P, "done"); }}')
        time.sleep(0.5)
        assert said(ada) == []
        # Who is named as successor takes over.
        _lead(zone, "elsewhere.example", "localhost")
        wait_for(lambda: said(ada) == ["done"])


def _lead(zone: Zone, leader: str, successor: str = "") -> None:
    catalogue = zone.server.state.catalogue
    assert catalogue is not None
    with catalogue.write() as tx:
        grid.store(tx, grid.DELAY_SERVER, "leader", leader)
        grid.store(tx, grid.DELAY_SERVER, "successor", successor)
    catalogue.close_thread()
