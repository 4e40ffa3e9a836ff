# Every replica gets a checksum: at once where the server is told of the whole object (put, copy), and within minutes
# by a job of the delay queue for all other ways in (streams, registrations, bulk transfers). A second job reads all
# data again, a part at a time, and marks what does not match with the AVU bic:checksum:mismatch.

# The data are there already, so that a failure is left to the job.
bicChecksumsNow(*PATH) {
    *CODE = errorcode(msiDataObjChksum(*PATH, "ChksumAll=", *SUM));
    if (*CODE != 0) {
        writeLine("serverLog", "checksums: *PATH has none yet, error *CODE; the job will try again");
    }
}

pep_api_data_obj_put_post(*INSTANCE, *COMM, *INPUT, *BUFFER, *PORTAL) {
    on (errorcode(bicChecksumsNow(*INPUT.obj_path)) == 1) { 0; }
}
pep_api_data_obj_copy_post(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicChecksumsNow(*INPUT.dst_obj_path)) == 1) { 0; }
}

# A job: computes checksums that are missing.
bicChecksumsCompute {
    bicParameter("checksums", "batch", "200", *BATCH);
    *LEFT = int(*BATCH);
    *FAILED = 0;
    foreach (*ROW in select COLL_NAME, DATA_NAME, DATA_REPL_NUM where DATA_CHECKSUM = '' and DATA_REPL_STATUS = '1') {
        if (*LEFT > 0) {
            *LEFT = *LEFT - 1;
            *PATH = *ROW.COLL_NAME ++ "/" ++ *ROW.DATA_NAME;
            *NUMBER = *ROW.DATA_REPL_NUM;
            *CODE = errorcode(msiDataObjChksum(*PATH, "replNum=*NUMBER++++irodsAdmin=", *SUM));
            if (*CODE != 0) {
                *FAILED = *FAILED + 1;
                writeLine("serverLog", "checksums: replica *NUMBER of *PATH cannot be read, error *CODE");
            }
        } else {
            break;
        }
    }
    bicState("checksums", "missing", str(*FAILED));
}

# A job: reads data objects again, in the order of their numbers, from where the last run ended. When all have been
# read, it rests until verify_every has passed since it began.
bicChecksumsVerify {
    bicParameter("checksums", "batch", "200", *BATCH);
    bicParameter("checksums", "verify_every", "15552000", *EVERY);
    bicStateOf("checksums", "cursor", "0", *CURSOR);
    bicStateOf("checksums", "begun", "0", *BEGUN);
    msiGetIcatTime(*NOW, "unix");
    if (*CURSOR == "0" && int(*NOW) - int(*BEGUN) < int(*EVERY)) {
        succeed;
    }
    if (*CURSOR == "0") {
        bicState("checksums", "begun", *NOW);
    }
    *LEFT = int(*BATCH);
    *NEXT = "0";
    *LAST = *CURSOR;
    foreach (*ROW in select order_asc(DATA_ID), COLL_NAME, DATA_NAME where DATA_ID > '*CURSOR' and DATA_REPL_STATUS = '1' and DATA_CHECKSUM like '_%') {
        if (*ROW.DATA_ID != *LAST) {
            if (*LEFT > 0) {
                *LEFT = *LEFT - 1;
                *LAST = *ROW.DATA_ID;
                bicChecksumsRead(*ROW.COLL_NAME ++ "/" ++ *ROW.DATA_NAME);
            } else {
                *NEXT = *LAST;
                break;
            }
        }
    }
    bicState("checksums", "cursor", *NEXT);
    *BAD = 0;
    foreach (*ROW in select count(DATA_ID) where META_DATA_ATTR_NAME = 'bic:checksum:mismatch') {
        *BAD = int(*ROW.DATA_ID);
    }
    bicState("checksums", "mismatches", str(*BAD));
}

# Reads the replicas of a data object and marks it when they do not match; takes the mark away when they do again.
bicChecksumsRead(*PATH) {
    *CODE = errorcode(msiDataObjChksum(*PATH, "verifyChksum=++++ChksumAll=++++irodsAdmin=", *SUM));
    if (*CODE == 0) {
        *MARKED = "no";
        msiSplitPath(*PATH, *COLLECTION, *NAME);
        foreach (*ROW in select META_DATA_ATTR_VALUE where COLL_NAME = '*COLLECTION' and DATA_NAME = '*NAME' and META_DATA_ATTR_NAME = 'bic:checksum:mismatch') {
            *MARKED = *ROW.META_DATA_ATTR_VALUE;
        }
        if (*MARKED != "no") {
            msiModAVUMetadata("-d", *PATH, "rm", "bic:checksum:mismatch", *MARKED, "");
        }
    } else {
        writeLine("serverLog", "checksums: *PATH does not match its checksum, error *CODE");
        msiGetIcatTime(*NOW, "unix");
        msiModAVUMetadata("-d", *PATH, "set", "bic:checksum:mismatch", "*NOW *CODE", "");
    }
}
