# What has been ingested below a collection with the AVU bic:raw = true can only be changed, moved, deleted, or given
# other access, by a member of the group of curators. New data may be added by everybody whom the ACL lets.
# Each condition below asks with errorcode(), so that whatever goes wrong while asking is a refusal; what follows it cannot
# fail.

# Fails for everybody who is no curator.
bicRawDataCurator(*COMM) {
    bicParameter("raw-data", "curators", "bic-curators", *GROUP);
    bicMember(*COMM.user_user_name, *COMM.user_rods_zone, *GROUP, *CURATOR);
    if (*CURATOR == "no") {
        *WHO = *COMM.user_user_name ++ "#" ++ *COMM.user_rods_zone;
        writeLine("serverLog", "raw-data: refused, *WHO is not in the group *GROUP");
        fail(-818000);
    }
}

# Fails where a collection is raw, or may be without our seeing it, unless a curator asks.
bicRawDataPlace(*COMM, *PATH) {
    bicMark(*PATH, "bic:raw", *RAW, *SEEN);
    if (*RAW == "true" || *SEEN == "no") {
        bicRawDataCurator(*COMM);
    }
}

# Fails where a data object is raw and ingested, unless a curator asks. A data object all of whose replicas are still
# written (2), or were left by a transfer that failed (0), is not ingested yet.
bicRawDataObject(*COMM, *PATH) {
    msiSplitPath(*PATH, *COLLECTION, *NAME);
    *INGESTED = "no";
    *CREATED = "0";
    foreach (*ROW in select DATA_REPL_STATUS, DATA_CREATE_TIME where COLL_NAME = '*COLLECTION' and DATA_NAME = '*NAME') {
        *STATUS = *ROW.DATA_REPL_STATUS;
        *CREATED = *ROW.DATA_CREATE_TIME;
        if (*STATUS != "0" && *STATUS != "2") {
            *INGESTED = "yes";
        }
    }
    if (*INGESTED == "yes") {
        bicParameter("raw-data", "grace", "0", *GRACE);
        msiGetIcatTime(*NOW, "unix");
        if (int(*NOW) - int(*CREATED) >= int(*GRACE)) {
            bicRawDataPlace(*COMM, *COLLECTION);
        }
    }
}

# Fails where a path is raw, or a collection has raw ones in it.
bicRawDataTree(*COMM, *PATH) {
    bicRawDataPlace(*COMM, *PATH);
    *BELOW = "no";
    foreach (*ROW in select COLL_NAME where COLL_NAME like '*PATH/%' and META_COLL_ATTR_NAME = 'bic:raw' and META_COLL_ATTR_VALUE = 'true') {
        *BELOW = "yes";
    }
    if (*BELOW == "yes") {
        bicRawDataCurator(*COMM);
    }
}

# As bicRawDataObject where somebody opens to write: the lowest two bits of the flags.
bicRawDataOpen(*COMM, *INPUT) {
    if (int(*INPUT.open_flags) % 4 != 0) {
        bicRawDataObject(*COMM, *INPUT.obj_path);
    }
}

# As bicRawDataCurator, for what administrators do too: access and metadata are what the control plane writes.
bicRawDataKeeper(*COMM) {
    if (*COMM.user_auth_info_auth_flag != "5") {
        bicRawDataCurator(*COMM);
    }
}

# Fails where a rule or a JSON text, which we do not take apart, could write the mark: it names the mark, or spells
# letters as codes, which no library does of itself.
bicRawDataText(*COMM, *TEXT) {
    if (*TEXT like "*" ++ "bic:raw" ++ "*" || *TEXT like regex ".*[\\\\]u00[2-7].*") {
        bicRawDataKeeper(*COMM);
    }
}

# Changes of a collection's metadata: the mark belongs to the curators, and with it all changes that choose AVUs by
# pattern or number.
bicRawDataAvu(*COMM, *INPUT) {
    if (*INPUT.arg1 == "-C" || *INPUT.arg1 == "-c") {
        bicKey(*INPUT, "arg3", *ATTRIBUTE);
        *OPERATION = *INPUT.arg0;
        if (*ATTRIBUTE == "bic:raw") {
            bicRawDataKeeper(*COMM);
        }
        if (*OPERATION == "rmw" || *OPERATION == "rmi" || *OPERATION == "mod") {
            bicMark(*INPUT.arg2, "bic:raw", *RAW, *SEEN);
            if (*RAW == "true" || *SEEN == "no") {
                bicRawDataKeeper(*COMM);
            }
        }
    }
}

# Changes of access: those of ingested data, and of the collections that they are in.
bicRawDataAccess(*COMM, *INPUT) {
    if (*COMM.user_auth_info_auth_flag != "5") {
        if (*INPUT.recursive_flag == "0") {
            bicRawDataPlace(*COMM, *INPUT.path);
        } else {
            bicRawDataTree(*COMM, *INPUT.path);
        }
    }
}

# The catalogue's entry of a data object. Servers write it for each other while they serve somebody: then the account
# that speaks is an administrator's and not the one it speaks for, and the first server has asked already.
bicRawDataEntry(*COMM, *INPUT) {
    if (*COMM.proxy_auth_info_auth_flag != "5" || *COMM.proxy_user_name == *COMM.user_user_name) {
        bicRawDataObject(*COMM, *INPUT.logical_path);
    }
}

# Operations that only change what is there when they are forced to.
bicRawDataForced(*COMM, *INPUT, *COLLECTION) {
    bicHasKey(*INPUT, "forceFlag", *FORCED);
    if (*FORCED == "yes") {
        bicRawDataPlace(*COMM, *COLLECTION);
    }
}

bicRawDataChecksum(*COMM, *INPUT) {
    bicHasKey(*INPUT, "forceChksum", *FORCED);
    if (*FORCED == "yes") {
        bicRawDataObject(*COMM, *INPUT.obj_path);
    }
}

bicRawDataSync(*COMM, *INPUT) {
    bicRawDataObject(*COMM, *INPUT.obj_path);
    bicKey(*INPUT, "rsyncDestPath", *DESTINATION);
    if (*DESTINATION like "/*") {
        bicRawDataObject(*COMM, *DESTINATION);
    }
}

bicRawDataRegister(*COMM, *INPUT) {
    bicRawDataObject(*COMM, *INPUT.obj_path);
    bicRawDataForced(*COMM, *INPUT, *INPUT.obj_path);
}

# The data object that a JSON text names.
bicRawDataJson(*COMM, *JSON) {
    *TEXT = trimr(*JSON.buf, "\\x00");
    msiStrlen(*TEXT, *SIZE);
    msi_json_parse(*TEXT, int(*SIZE), *HANDLE);
    msi_json_value(*HANDLE, "/logical_path", *PATH);
    msi_json_free(*HANDLE);
    bicRawDataObject(*COMM, *PATH);
}

bicRawDataAcls(*COMM, *JSON) {
    if (*COMM.user_auth_info_auth_flag != "5") {
        *TEXT = trimr(*JSON.buf, "\\x00");
        msiStrlen(*TEXT, *SIZE);
        msi_json_parse(*TEXT, int(*SIZE), *HANDLE);
        msi_json_value(*HANDLE, "/logical_path", *PATH);
        msi_json_free(*HANDLE);
        bicRawDataPlace(*COMM, *PATH);
    }
}

pep_api_data_obj_put_pre(*INSTANCE, *COMM, *INPUT, *BUFFER, *PORTAL) {
    on (errorcode(bicRawDataObject(*COMM, *INPUT.obj_path)) != 0) { -818000; }
}
pep_api_bulk_data_obj_put_pre(*INSTANCE, *COMM, *BULK, *BUFFER) {
    on (errorcode(bicRawDataForced(*COMM, *BULK, *BULK.obj_path)) != 0) { -818000; }
}
pep_api_data_obj_create_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRawDataObject(*COMM, *INPUT.obj_path)) != 0) { -818000; }
}
pep_api_data_obj_create_and_stat_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicRawDataObject(*COMM, *INPUT.obj_path)) != 0) { -818000; }
}
pep_api_data_obj_open_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRawDataOpen(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_data_obj_open_and_stat_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicRawDataOpen(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_replica_open_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicRawDataOpen(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_data_obj_copy_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicRawDataObject(*COMM, *INPUT.dst_obj_path)) != 0) { -818000; }
}
pep_api_data_obj_rsync_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicRawDataSync(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_data_obj_rename_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRawDataTree(*COMM, *INPUT.src_obj_path)) != 0) { -818000; }
}
pep_api_data_obj_unlink_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRawDataPlace(*COMM, *INPUT.obj_path)) != 0) { -818000; }
}
pep_api_rm_coll_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicRawDataTree(*COMM, *INPUT.coll_name)) != 0) { -818000; }
}
pep_api_data_obj_trim_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRawDataPlace(*COMM, *INPUT.obj_path)) != 0) { -818000; }
}
pep_api_data_obj_phymv_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicRawDataPlace(*COMM, *INPUT.obj_path)) != 0) { -818000; }
}
pep_api_data_obj_truncate_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRawDataObject(*COMM, *INPUT.obj_path)) != 0) { -818000; }
}
pep_api_replica_truncate_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicRawDataObject(*COMM, *INPUT.obj_path)) != 0) { -818000; }
}
pep_api_touch_pre(*INSTANCE, *COMM, *JSON) {
    on (errorcode(bicRawDataJson(*COMM, *JSON)) != 0) { -818000; }
}
pep_api_data_obj_chksum_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicRawDataChecksum(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_mod_data_obj_meta_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRawDataEntry(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_data_object_modify_info_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRawDataEntry(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_phy_path_reg_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRawDataRegister(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_struct_file_ext_and_reg_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRawDataForced(*COMM, *INPUT, *INPUT.collection_path)) != 0) { -818000; }
}
pep_api_mod_access_control_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRawDataAccess(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_atomic_apply_acl_operations_pre(*INSTANCE, *COMM, *JSON, *OUT) {
    on (errorcode(bicRawDataAcls(*COMM, *JSON)) != 0) { -818000; }
}
pep_api_mod_avu_metadata_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicRawDataAvu(*COMM, *INPUT)) != 0) { -818000; }
}
pep_api_atomic_apply_metadata_operations_pre(*INSTANCE, *COMM, *JSON, *OUT) {
    on (errorcode(bicRawDataText(*COMM, *JSON.buf)) != 0) { -818000; }
}
# Microservices work below these enforcement points, so rules that people bring along are for those who may change
# raw data anyway.
pep_api_exec_my_rule_pre(*INSTANCE, *COMM, *INPUT, *OUT) {
    on (errorcode(bicRawDataKeeper(*COMM)) != 0) { -818000; }
}
