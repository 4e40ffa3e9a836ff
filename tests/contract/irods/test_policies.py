"""Policy enforcement points, met by a client: what rules refuse, see, and do beside an operation."""

import contextlib
from pathlib import Path

import pytest
from irods.access import iRODSAccess
from irods.exception import (
    CAT_NO_ACCESS_PERMISSION,
    CAT_SQL_ERR,
    RULE_FAILED_ERR,
    SYS_DELETE_DISALLOWED,
    SYS_RESC_QUOTA_EXCEEDED,
    iRODSException,
)
from irods.meta import AVUOperation, iRODSMeta
from irods.models import Collection, DataObject
from irods.session import iRODSSession
from policy_zone import HOME, USER, Zone, policy_zone, put

from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Endpoint, explain

READ_ONLY = """
bicRaw(*PATH, *RAW) {
    *RAW = "no";
    msiSplitPath(*PATH, *COLLECTION, *NAME);
    foreach (*ROW in select META_COLL_ATTR_VALUE where COLL_NAME = '*COLLECTION'
             and META_COLL_ATTR_NAME = 'raw') {
        *RAW = *ROW.META_COLL_ATTR_VALUE;
    }
}
bicKeep(*COMM, *PATH) {
    bicRaw(*PATH, *RAW);
    if (*RAW == "yes" && *COMM.user_auth_info_auth_flag != "5") {
        failmsg(-818000, "*PATH is raw data");
    }
}
bicOpen(*COMM, *INPUT) {
    msiSplitPath(*INPUT.obj_path, *COLLECTION, *NAME);
    *THERE = 0;
    foreach (*ROW in select count(DATA_ID) where COLL_NAME = '*COLLECTION' and DATA_NAME = '*NAME') {
        *THERE = int(*ROW.DATA_ID);
    }
    if (*THERE > 0 && int(*INPUT.open_flags) % 4 != 0) { bicKeep(*COMM, *INPUT.obj_path); }
}
pep_api_data_obj_open_pre(*INSTANCE, *COMM, *INPUT) { bicOpen(*COMM, *INPUT); }
pep_api_data_obj_unlink_pre(*INSTANCE, *COMM, *INPUT) { bicKeep(*COMM, *INPUT.obj_path); }
pep_api_data_obj_rename_pre(*INSTANCE, *COMM, *INPUT) { bicKeep(*COMM, *INPUT.src_obj_path); }
"""


def code_of(zone: Zone, rules_call: str) -> int:
    """The code that a rule which a client sends fails with, or 0."""
    with zone.session() as session:
        try:
            calls.run_rule(session, rules_call)
        except (iRODSException, KeyError) as error:
            return explain(Endpoint("", 0, "", "", "", Path()), error).code
    return 0


def checksum(session: iRODSSession, path: str) -> str | None:
    return session.data_objects.get(path).replicas[0].checksum


def test_raw_data_are_read_only_but_for_administrators(tmp_path: Path) -> None:
    with policy_zone(tmp_path, READ_ONLY) as zone, zone.session() as ada, zone.session("rods") as rods:
        ada.collections.get(HOME).metadata.add("raw", "yes")
        put(ada, f"{HOME}/image.tif", b"ingested")
        with pytest.raises(CAT_NO_ACCESS_PERMISSION):
            put(ada, f"{HOME}/image.tif", b"changed")
        with pytest.raises(CAT_NO_ACCESS_PERMISSION):
            ada.data_objects.unlink(f"{HOME}/image.tif", force=True)
        with pytest.raises(CAT_NO_ACCESS_PERMISSION):
            ada.data_objects.move(f"{HOME}/image.tif", f"{HOME}/other.tif")
        with ada.data_objects.open(f"{HOME}/image.tif", "r") as file:
            assert file.read() == b"ingested"
        rods.acls.set(iRODSAccess("own", f"{HOME}/image.tif", "rods", "tempZone"), admin=True)
        rods.data_objects.unlink(f"{HOME}/image.tif", force=True)
        assert not ada.data_objects.exists(f"{HOME}/image.tif")


def test_every_put_and_copy_gets_a_checksum(tmp_path: Path) -> None:
    rules = """
        acPostProcForPut { msiDataObjChksum($objPath, "forceChksum=", *SUM); }
        acPostProcForCopy { on ($objPath like "*.tif") { msiDataObjChksum($objPath, "", *SUM); } }
    """
    with policy_zone(tmp_path, rules) as zone, zone.session() as ada:
        put(ada, f"{HOME}/image.tif")
        first = checksum(ada, f"{HOME}/image.tif")
        assert first is not None
        assert first.startswith("sha2:")
        with ada.data_objects.open(f"{HOME}/image.tif", "r") as file:
            file.read()
        put(ada, f"{HOME}/image.tif", b"other data")
        assert checksum(ada, f"{HOME}/image.tif") not in (first, None, "")
        ada.data_objects.copy(f"{HOME}/image.tif", f"{HOME}/copy.tif")
        ada.data_objects.copy(f"{HOME}/image.tif", f"{HOME}/copy.raw")
        assert checksum(ada, f"{HOME}/copy.tif") == checksum(ada, f"{HOME}/image.tif")
        assert not checksum(ada, f"{HOME}/copy.raw")


def test_quotas_are_enforced_by_a_rule_and_no_other_way(tmp_path: Path) -> None:
    rules = 'acRescQuotaPolicy { on ($userNameClient == "ada") { msiSetRescQuotaPolicy("on"); } }'
    with policy_zone(tmp_path, rules) as zone, zone.session("rods") as rods, zone.session() as ada:
        rods.groups.create("team")
        for member in (USER, "rods"):
            rods.groups.addmember("team", member)
        put(ada, f"{HOME}/first", b"x" * 20)
        rods.groups.set_quota("team", 10)
        calls.administer(rods, "calculate-usage")
        with pytest.raises(SYS_RESC_QUOTA_EXCEEDED):
            put(ada, f"{HOME}/second", b"x")
        put(rods, "/tempZone/home/rods/second", b"x")


def test_what_a_rule_refuses_has_its_code_and_does_nothing(tmp_path: Path) -> None:
    rules = """
        pep_api_coll_create_pre(*I, *C, *IN) { on (*IN.coll_name like "*/number") { -806000; } }
        pep_api_coll_create_pre(*I, *C, *IN) { on (*IN.coll_name like "*/fail") { fail(-806000); } }
        pep_api_coll_create_pre(*I, *C, *IN) { on (*IN.coll_name like "*/unknown") { msiNoSuchThing; } }
        pep_api_coll_create_pre(*I, *C, *IN) { on (*IN.coll_name not like "*/none") { } }
    """
    with policy_zone(tmp_path, rules) as zone, zone.session() as ada:
        with pytest.raises(CAT_SQL_ERR):
            ada.collections.create(f"{HOME}/number")
        # One that fails gives way to the next rule of its name, which lets it through.
        ada.collections.create(f"{HOME}/fail")
        ada.collections.create(f"{HOME}/unknown")
        ada.collections.create(f"{HOME}/other")
        # No rule applies: that refuses too.
        with pytest.raises(RULE_FAILED_ERR):
            ada.collections.create(f"{HOME}/none")
        names = {row[Collection.name] for row in ada.query(Collection.name)}
        assert names >= {f"{HOME}/fail", f"{HOME}/unknown", f"{HOME}/other"}
        assert not names & {f"{HOME}/number", f"{HOME}/none"}


def test_all_phases_see_their_operation(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    phases = "\n".join(
        f'pep_api_data_obj_unlink_{phase}(*I, *C, *IN) {{ writeLine("serverLog", "{phase} *I"'
        " ++ *IN.obj_path ++ *C.user_user_name ++ *C.client_addr); }"
        for phase in ("pre", "post", "except", "finally")
    )
    with policy_zone(tmp_path, phases) as zone, zone.session() as ada:
        put(ada, f"{HOME}/x")
        ada.data_objects.unlink(f"{HOME}/x", force=True)
        with contextlib.suppress(iRODSException):
            ada.data_objects.unlink(f"{HOME}/x", force=True)
    said = [
        line.split("inString = ")[1] for line in capfd.readouterr().out.splitlines() if "inString" in line
    ]
    words = [line.split()[0] for line in said]
    assert words == ["pre", "post", "finally", "pre", "except", "finally"]
    assert said[0].startswith(f"pre api_instance{HOME}/xada127.0.0.1")


def test_removing_a_collection_comes_to_the_policy_of_each_data_object(tmp_path: Path) -> None:
    rules = (
        'acDataDeletePolicy { on ($objPath like "*.keep") { msiDeleteDisallowed; } }\nacDataDeletePolicy { }'
    )
    with policy_zone(tmp_path, rules) as zone, zone.session() as ada:
        ada.collections.create(f"{HOME}/set")
        put(ada, f"{HOME}/set/a.keep")
        for force in (True, False):
            with pytest.raises(SYS_DELETE_DISALLOWED):
                ada.collections.remove(f"{HOME}/set", recurse=True, force=force)
        ada.data_objects.move(f"{HOME}/set/a.keep", f"{HOME}/set/a")
        ada.collections.remove(f"{HOME}/set", recurse=True, force=True)
        assert not ada.collections.exists(f"{HOME}/set")


def test_a_rule_can_do_without_trash(tmp_path: Path) -> None:
    with policy_zone(tmp_path, "acTrashPolicy { msiNoTrashCan; }") as zone, zone.session() as ada:
        put(ada, f"{HOME}/x")
        ada.data_objects.unlink(f"{HOME}/x")
        assert list(ada.query(DataObject.name)) == []


def test_metadata_and_access_have_policies_with_their_words(tmp_path: Path) -> None:
    rules = """
        acPreProcForModifyAVUMetadata(*op, *type, *item, *attr, *value, *unit) {
            if (*attr == "locked" && *op == "add") { failmsg(-818000, "no"); }
        }
        acPreProcForModifyAccessControl(*recursive, *level, *user, *zone, *path) {
            if (*level == "own") { fail(-818000); }
        }
    """
    with policy_zone(tmp_path, rules) as zone, zone.session() as ada:
        home = ada.collections.get(HOME)
        home.metadata.add("open", "1")
        with pytest.raises(CAT_NO_ACCESS_PERMISSION):
            home.metadata.add("locked", "1")
        assert [avu.name for avu in home.metadata.items()] == ["open"]
        with pytest.raises(CAT_NO_ACCESS_PERMISSION):
            ada.acls.set(iRODSAccess("own", HOME, "rods", "tempZone"))


def test_rules_work_in_the_name_of_the_client(tmp_path: Path) -> None:
    rules = """
        bicSee(*COUNT) {
            *COUNT = 0;
            foreach (*ROW in select DATA_NAME where DATA_NAME = 'hidden') { *COUNT = *COUNT + 1; }
        }
        pep_api_coll_create_post(*I, *C, *IN) {
            bicSee(*COUNT);
            msiAddKeyVal(*KV, "seen", str(*COUNT));
            msiAssociateKeyValuePairsToObj(*KV, *IN.coll_name, "-C");
        }
    """
    with policy_zone(tmp_path, rules) as zone, zone.session() as ada, zone.session("rods") as rods:
        put(rods, "/tempZone/home/rods/hidden")
        ada.collections.create(f"{HOME}/made")
        rods.collections.create("/tempZone/home/rods/made")
        assert ada.collections.get(f"{HOME}/made").metadata.get_one("seen").value == "0"
        assert rods.collections.get("/tempZone/home/rods/made").metadata.get_one("seen").value == "1"


def test_more_rows_than_a_page_are_gone_through(tmp_path: Path) -> None:
    rules = """
        bicCount(*N) { *N = 0; foreach (*ROW in select META_COLL_ATTR_VALUE) { *N = *N + 1; } }
    """
    with policy_zone(tmp_path, rules) as zone, zone.session() as ada:
        home = ada.collections.get(HOME)
        home.metadata.apply_atomic_operations(
            *(AVUOperation(operation="add", avu=iRODSMeta("n", str(n))) for n in range(1200))
        )
        assert code_of(zone, "bicCount(*N); fail(-*N);") == -1200
        paged = """
            msiMakeGenQuery("META_COLL_ATTR_VALUE", "COLL_NAME = '/tempZone/home/ada'", *Q);
            msiExecGenQuery(*Q, *OUT);
            msiGetContInxFromGenQueryOut(*OUT, *MORE);
            *N = 0;
            foreach (*ROW in *OUT) { *N = *N + 1; }
            while (*MORE > 0) {
                msiGetMoreRows(*Q, *OUT, *MORE);
                foreach (*ROW in *OUT) { *N = *N + 1; }
            }
            msiExecStrCondQuery("select count(META_COLL_ATTR_ID) where COLL_NAME = '/tempZone/home/ada'", *C);
            foreach (*ROW in *C) { *N = *N + int(*ROW.META_COLL_ATTR_ID); }
            fail(-*N);
        """
        assert code_of(zone, paged) == -2400
