# A collection with the AVU bic:retain-until = 2030-12-31 keeps all that is below it: until that day has come, nobody
# deletes it or moves it away, and only administrators change the date. Trash is emptied by the delay queue.

# Fails where a path is to be kept, or may be without our seeing it.
bicRetentionPlace(*PATH) {
    bicMark(*PATH, "bic:retain-until", *UNTIL, *SEEN);
    *TODAY = timestrf(time(), "%Y-%m-%d");
    if (*SEEN == "no") {
        writeLine("serverLog", "retention: refused, a collection above *PATH cannot be read by who asks");
        fail(-818000);
    }
    if (*UNTIL != "") {
        if (*TODAY < *UNTIL) {
            writeLine("serverLog", "retention: refused, *PATH is kept until *UNTIL");
            fail(-818000);
        }
    }
}

# Fails where a path is to be kept, or a collection has such in it.
bicRetentionTree(*PATH) {
    bicRetentionPlace(*PATH);
    *TODAY = timestrf(time(), "%Y-%m-%d");
    *LATEST = "";
    foreach (*ROW in select COLL_NAME, META_COLL_ATTR_VALUE where COLL_NAME like '*PATH/%' and META_COLL_ATTR_NAME = 'bic:retain-until') {
        if (*LATEST < *ROW.META_COLL_ATTR_VALUE) {
            *LATEST = *ROW.META_COLL_ATTR_VALUE;
        }
    }
    if (*TODAY < *LATEST) {
        writeLine("serverLog", "retention: refused, part of *PATH is kept until *LATEST");
        fail(-818000);
    }
}

# Fails for everybody who is no administrator.
bicRetentionKeeper(*COMM) {
    if (*COMM.user_auth_info_auth_flag != "5") {
        writeLine("serverLog", "retention: refused, only administrators change bic:retain-until");
        fail(-818000);
    }
}

bicRetentionAvu(*COMM, *INPUT) {
    if (*INPUT.arg1 == "-C" || *INPUT.arg1 == "-c") {
        bicKey(*INPUT, "arg3", *ATTRIBUTE);
        *OPERATION = *INPUT.arg0;
        if (*ATTRIBUTE == "bic:retain-until") {
            bicRetentionKeeper(*COMM);
        }
        if (*OPERATION == "rmw" || *OPERATION == "rmi" || *OPERATION == "mod") {
            bicMark(*INPUT.arg2, "bic:retain-until", *UNTIL, *SEEN);
            if (*UNTIL != "" || *SEEN == "no") {
                bicRetentionKeeper(*COMM);
            }
        }
    }
}

# A JSON text, which we do not take apart, that names the date, or spells letters as codes, which no library does.
bicRetentionText(*COMM, *TEXT) {
    if (*TEXT like "*" ++ "bic:retain-until" ++ "*" || *TEXT like regex ".*[\\\\]u00[2-7].*") {
        bicRetentionKeeper(*COMM);
    }
}

pep_api_data_obj_unlink_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRetentionPlace(*INPUT.obj_path)) != 0) { -818000; }
}
pep_api_rm_coll_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicRetentionTree(*INPUT.coll_name)) != 0) { -818000; }
}
pep_api_data_obj_rename_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRetentionTree(*INPUT.src_obj_path)) != 0) { -818000; }
}
pep_api_mod_avu_metadata_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRetentionAvu(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_atomic_apply_metadata_operations_pre(*INSTANCE, *COMM, *JSON, *OUT) {
    on (errorcode(bicRetentionText(*COMM, *JSON.buf)) != 0) { -818000; }
}

# A job of the delay queue, run as an administrator: deletes what has been in the trash for long enough. The time of a
# data object's modification is that of its deletion when it was deleted by itself; one that went with a collection
# keeps its time, but that collection, or one below the trash that it was moved into, has the time of the deletion.
bicRetentionEmptyTrash {
    bicParameter("retention", "trash", "7776000", *TRASH);
    bicParameter("retention", "batch", "500", *BATCH);
    msiGetIcatTime(*NOW, "unix");
    *BEFORE = "0" ++ str(int(*NOW) - int(*TRASH));
    *LEFT = int(*BATCH);
    *FAILED = 0;
    foreach (*ROW in select COLL_NAME, DATA_NAME where COLL_NAME like '/%/trash/%' and DATA_MODIFY_TIME < '*BEFORE' and DATA_REPL_NUM = '0') {
        if (*LEFT > 0) {
            *COLLECTION = *ROW.COLL_NAME;
            *NAME = *ROW.DATA_NAME;
            bicRetentionOld(*COLLECTION, *BEFORE, *OLD);
            if (*OLD == "yes") {
                *LEFT = *LEFT - 1;
                *CODE = errorcode(msiDataObjUnlink("objPath=*COLLECTION/*NAME++++forceFlag=++++irodsAdminRmTrash=", *STATUS));
                if (*CODE != 0) {
                    *FAILED = *FAILED + 1;
                }
            }
        }
    }
    *DELETED = int(*BATCH) - *LEFT - *FAILED;
    writeLine("serverLog", "retention: *DELETED data objects deleted from the trash, *FAILED could not be");
    bicState("retention", "trash_deleted", str(*DELETED));
    bicState("retention", "trash_failed", str(*FAILED));
}

# Whether no collection on the way from the trash to this one was changed lately.
bicRetentionOld(*COLLECTION, *BEFORE, *OLD) {
    *OLD = "yes";
    *UPPER = "";
    *DEPTH = 0;
    foreach (*PART in split(*COLLECTION, "/")) {
        *UPPER = *UPPER ++ "/" ++ *PART;
        *DEPTH = *DEPTH + 1;
        if (*DEPTH > 4) {
            foreach (*ROW in select COLL_MODIFY_TIME where COLL_NAME = '*UPPER') {
                if (*ROW.COLL_MODIFY_TIME >= *BEFORE) {
                    *OLD = "no";
                }
            }
        }
    }
}
