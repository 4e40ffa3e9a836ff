# An audit trail: one line in the server's log for each access that somebody asks for below a collection with the AVU
# bic:audit = true, before it is decided. "bic-audit " comes before the JSON. What cannot be written down is refused.
# Where somebody may not read a collection above, the mark cannot be seen: then the access is written down too.

# A text as JSON has it, between quotes.
bicAuditText(*TEXT, *OUT) {
    *OUT = *TEXT;
    if (*TEXT like "*\"*" || *TEXT like regex ".*[\\\\].*") {
        *OUT = "";
        *LENGTH = strlen(*TEXT);
        for (*I = 0; *I < *LENGTH; *I = *I + 1) {
            *LETTER = substr(*TEXT, *I, *I + 1);
            if (*LETTER == "\"" || *LETTER == "\\") {
                *OUT = *OUT ++ "\\";
            }
            *OUT = *OUT ++ *LETTER;
        }
    }
}

bicAuditWrite(*WHAT, *COMM, *PATH, *TO) {
    bicMark(*PATH, "bic:audit", *MARKED, *SEEN);
    if (*MARKED == "true" || *SEEN == "no") {
        bicAuditText(*PATH, *QUOTED);
        bicAuditText(*TO, *QUOTED_TO);
        *USER = *COMM.user_user_name ++ "#" ++ *COMM.user_rods_zone;
        *PROXY = *COMM.proxy_user_name ++ "#" ++ *COMM.proxy_rods_zone;
        *ADDRESS = *COMM.client_addr;
        msiGetIcatTime(*NOW, "unix");
        *SECONDS = int(*NOW);
        *LINE = "{\"time\":" ++ str(*SECONDS) ++ ",\"operation\":\"" ++ *WHAT ++ "\",\"user\":\"" ++ *USER ++ "\",\"proxy\":\"" ++ *PROXY ++ "\",\"address\":\"" ++ *ADDRESS ++ "\",\"path\":\"" ++ *QUOTED ++ "\"";
        if (*TO != "") {
            *LINE = *LINE ++ ",\"to\":\"" ++ *QUOTED_TO ++ "\"";
        }
        writeLine("serverLog", "bic-audit " ++ *LINE ++ "}");
    }
}

# What a copy or rename takes counts, and where it brings it to.
bicAuditBoth(*WHAT, *COMM, *INPUT) {
    bicAuditWrite(*WHAT, *COMM, *INPUT.src_obj_path, *INPUT.dst_obj_path);
    bicAuditWrite(*WHAT ++ "_in", *COMM, *INPUT.dst_obj_path, "");
}

bicAuditOpen(*COMM, *INPUT) {
    *WHAT = "read";
    if (int(*INPUT.open_flags) % 4 != 0) {
        *WHAT = "write";
    }
    bicAuditWrite(*WHAT, *COMM, *INPUT.obj_path, "");
}

pep_api_data_obj_get_pre(*INSTANCE, *COMM, *INPUT, *PORTAL, *BUFFER) {
    on (errorcode(bicAuditWrite("read", *COMM, *INPUT.obj_path, "")) != 0) { -818000; }
}
pep_api_data_obj_put_pre(*INSTANCE, *COMM, *INPUT, *BUFFER, *PORTAL) {
    on (errorcode(bicAuditWrite("write", *COMM, *INPUT.obj_path, "")) != 0) { -818000; }
}
pep_api_data_obj_open_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicAuditOpen(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_data_obj_open_and_stat_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicAuditOpen(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_replica_open_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicAuditOpen(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_data_obj_copy_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicAuditBoth("copy", *COMM, *INPUT)) != 0) { -818000; }
}
pep_api_data_obj_rename_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicAuditBoth("move", *COMM, *INPUT)) != 0) { -818000; }
}
pep_api_data_obj_unlink_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicAuditWrite("delete", *COMM, *INPUT.obj_path, "")) != 0) { -818000; }
}
pep_api_rm_coll_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicAuditWrite("delete", *COMM, *INPUT.coll_name, "")) != 0) { -818000; }
}
pep_api_mod_access_control_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicAuditWrite("access", *COMM, *INPUT.path, "")) != 0) { -818000; }
}
