# Every data object gets a replica on the storage resource that the parameter "to" names: a put or copy queues its own,
# and a job of the delay queue looks through all data, a part at a time, for what has none: what came in as a stream or
# by registration, and what failed. It counts what is missing. Where a replication resource has made the copy already,
# or the storage resource is where the data went in the first place, there is nothing to do.

# Whether a data object has a good replica on a storage resource, or below it.
bicReplicationHas(*PATH, *TO, *FOUND) {
    *FOUND = "no";
    msiSplitPath(*PATH, *COLLECTION, *NAME);
    foreach (*ROW in select DATA_RESC_HIER where COLL_NAME = '*COLLECTION' and DATA_NAME = '*NAME' and DATA_REPL_STATUS = '1') {
        if (";" ++ *ROW.DATA_RESC_HIER ++ ";" like "*;" ++ *TO ++ ";*") {
            *FOUND = "yes";
        }
    }
}

# Queues the replication of what was just put; it is tried again three times. It runs as who put it.
bicReplicationQueue(*PATH) {
    bicParameter("replication", "to", "none", *TO);
    if (*TO != "none") {
        bicReplicationHas(*PATH, *TO, *FOUND);
        if (*FOUND == "no") {
            delay("<INST_NAME>irods_rule_engine_plugin-irods_rule_language-instance</INST_NAME><PLUSET>1s</PLUSET><EF>5m REPEAT UNTIL SUCCESS OR 3 TIMES</EF>") {
                bicReplicationMake(*PATH);
            }
        }
    }
}

# Makes the replica of one data object, or leaves it: what is gone meanwhile needs none.
bicReplicationMake(*PATH) {
    bicParameter("replication", "to", "none", *TO);
    if (*TO != "none") {
        bicReplicationHas(*PATH, *TO, *FOUND);
        if (*FOUND == "no") {
            msiSplitPath(*PATH, *COLLECTION, *NAME);
            *THERE = "no";
            foreach (*ROW in select DATA_ID where COLL_NAME = '*COLLECTION' and DATA_NAME = '*NAME' and DATA_REPL_STATUS = '1') {
                *THERE = "yes";
            }
            if (*THERE == "yes") {
                msiDataObjRepl(*PATH, "destRescName=*TO", *STATUS);
            }
        }
    }
}

# The data are there already, so that a failure is left to the job.
bicReplicationNow(*PATH) {
    *CODE = errorcode(bicReplicationQueue(*PATH));
    if (*CODE != 0) {
        writeLine("serverLog", "replication: *PATH cannot be queued, error *CODE; the job will try again");
    }
}

pep_api_data_obj_put_post(*INSTANCE, *COMM, *INPUT, *BUFFER, *PORTAL) {
    on (errorcode(bicReplicationNow(*INPUT.obj_path)) == 1) { 0; }
}
pep_api_data_obj_copy_post(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicReplicationNow(*INPUT.dst_obj_path)) == 1) { 0; }
}

# A job: looks at the next part of all data objects, in the order of their numbers, and makes the copies that are
# missing. What failed is counted for the round through all data.
bicReplicationRun {
    bicParameter("replication", "to", "none", *TO);
    bicParameter("replication", "batch", "200", *BATCH);
    if (*TO != "none") {
        bicStateOf("replication", "cursor", "0", *CURSOR);
        bicStateOf("replication", "failed", "0", *FAILED);
        *COUNT = int(*FAILED);
        *LEFT = int(*BATCH);
        *NEXT = "0";
        *LAST = *CURSOR;
        foreach (*ROW in select order_asc(DATA_ID), COLL_NAME, DATA_NAME where DATA_ID > '*CURSOR' and DATA_REPL_STATUS = '1') {
            if (*ROW.DATA_ID != *LAST) {
                if (*LEFT > 0) {
                    *LEFT = *LEFT - 1;
                    *LAST = *ROW.DATA_ID;
                    *PATH = *ROW.COLL_NAME ++ "/" ++ *ROW.DATA_NAME;
                    *FOUND = "yes";
                    if (*PATH not like "/*/trash/*") {
                        bicReplicationHas(*PATH, *TO, *FOUND);
                    }
                    if (*FOUND == "no") {
                        *CODE = errorcode(msiDataObjRepl(*PATH, "destRescName=*TO++++irodsAdmin=", *STATUS));
                        if (*CODE != 0) {
                            *COUNT = *COUNT + 1;
                            writeLine("serverLog", "replication: *PATH has no copy on *TO, error *CODE");
                        }
                    }
                } else {
                    *NEXT = *LAST;
                    break;
                }
            }
        }
        bicState("replication", "cursor", *NEXT);
        if (*NEXT == "0") {
            bicState("replication", "missing", str(*COUNT));
            bicState("replication", "failed", "0");
        } else {
            bicState("replication", "failed", str(*COUNT));
        }
    }
}
