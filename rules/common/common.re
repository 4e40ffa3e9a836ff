# What the other rule bases share, and the answer where none of them refuses. It stands after all of them.
#
# The rule engine takes the rules of one name in the order of the chain. One whose condition does not hold is passed
# over. One that fails is passed over too. The first one that succeeds decides, and where it ends with a negative
# integer, the operation is refused with that code. So a rule base that may refuse asks in the condition of its rule,
# by errorcode(), which turns a failing question into a refusal, and ends with a code; what it does not refuse goes on
# to the next rule base, and ends at the empty rules below.

# The value of a parameter that the catalogue has, else the default. Accounts' AVUs may be read by everybody.
bicParameter(*BASE, *NAME, *DEFAULT, *VALUE) {
    *VALUE = *DEFAULT;
    foreach (*ROW in select META_USER_ATTR_VALUE where USER_NAME = 'bic_policy' and META_USER_ATTR_NAME = 'bic:rule:*BASE:*NAME') {
        *VALUE = *ROW.META_USER_ATTR_VALUE;
    }
}

# Whether somebody is a member of a group.
bicMember(*USER, *ZONE, *GROUP, *FOUND) {
    *FOUND = "no";
    foreach (*ROW in select USER_ID where USER_GROUP_NAME = '*GROUP' and USER_NAME = '*USER' and USER_ZONE = '*ZONE') {
        *FOUND = "yes";
    }
}

# The value of an AVU of a collection or of the nearest collection above it that has it; empty where none has.
# *SEEN is "no" when somebody may not read one of these collections, so that an AVU there would not be found: queries
# give people only what they may read. What the homes and the trash are in holds no marks, and not everybody reads it.
bicMark(*PATH, *ATTRIBUTE, *VALUE, *SEEN) {
    *VALUE = "";
    *SEEN = "yes";
    *UPPER = "";
    *DEPTH = 0;
    *SHARED = 2;
    *LAST = size(split(*PATH, "/"));
    foreach (*PART in split(*PATH, "/")) {
        *UPPER = *UPPER ++ "/" ++ *PART;
        *DEPTH = *DEPTH + 1;
        if (*DEPTH == 2 && *PART == "trash") {
            *SHARED = 3;
        }
        if (*DEPTH > *SHARED) {
            foreach (*ROW in select META_COLL_ATTR_VALUE where COLL_NAME = '*UPPER' and META_COLL_ATTR_NAME = '*ATTRIBUTE') {
                *VALUE = *ROW.META_COLL_ATTR_VALUE;
            }
            if (*DEPTH < *LAST) {
                *READ = "no";
                foreach (*ROW in select COLL_ID where COLL_NAME = '*UPPER') {
                    *READ = "yes";
                }
                if (*READ == "no") {
                    *SEEN = "no";
                }
            }
        }
    }
}

# What jobs remember between their runs, and what metrics read: AVUs of the group bic_policy, written by administrators.
bicState(*BASE, *NAME, *VALUE) {
    *CODE = errorcode(msiModAVUMetadata("-u", "bic_policy", "set", "bic:state:*BASE:*NAME", *VALUE, ""));
    if (*CODE != 0) {
        writeLine("serverLog", "*BASE: *NAME = *VALUE cannot be kept, error *CODE; is there a group bic_policy?");
    }
}
bicStateOf(*BASE, *NAME, *DEFAULT, *VALUE) {
    *VALUE = *DEFAULT;
    foreach (*ROW in select META_USER_ATTR_VALUE where USER_NAME = 'bic_policy' and META_USER_ATTR_NAME = 'bic:state:*BASE:*NAME') {
        *VALUE = *ROW.META_USER_ATTR_VALUE;
    }
}

# Whether an input has a key. Many say all by being there, with an empty value.
bicHasKey(*INPUT, *KEY, *FOUND) {
    *FOUND = "no";
    if (errorcode(*_VALUE = *INPUT."*KEY") == 0) {
        *FOUND = "yes";
    }
}

# The value of a key of an input that may not have it; empty where it has not.
bicKey(*INPUT, *KEY, *VALUE) {
    *VALUE = "";
    if (errorcode(*FOUND = *INPUT."*KEY") == 0) {
        *VALUE = *FOUND;
    }
}

pep_api_atomic_apply_acl_operations_pre(*INSTANCE, *COMM, *JSON, *OUT) { }
pep_api_atomic_apply_metadata_operations_pre(*INSTANCE, *COMM, *JSON, *OUT) { }
pep_api_bulk_data_obj_put_post(*INSTANCE, *COMM, *BULK, *BUFFER) { }
pep_api_bulk_data_obj_put_pre(*INSTANCE, *COMM, *BULK, *BUFFER) { }
pep_api_data_obj_chksum_pre(*INSTANCE, *COMM, *INPUT, *OUT) { }
pep_api_data_obj_copy_post(*INSTANCE, *COMM, *INPUT, *OUT) { }
pep_api_data_obj_copy_pre(*INSTANCE, *COMM, *INPUT, *OUT) { }
pep_api_data_obj_create_and_stat_pre(*INSTANCE, *COMM, *INPUT, *OUT) { }
pep_api_data_obj_create_pre(*INSTANCE, *COMM, *INPUT) { }
pep_api_data_obj_get_pre(*INSTANCE, *COMM, *INPUT, *PORTAL, *BUFFER) { }
pep_api_data_obj_open_and_stat_pre(*INSTANCE, *COMM, *INPUT, *OUT) { }
pep_api_data_obj_open_pre(*INSTANCE, *COMM, *INPUT) { }
pep_api_data_obj_phymv_pre(*INSTANCE, *COMM, *INPUT, *OUT) { }
pep_api_data_obj_put_post(*INSTANCE, *COMM, *INPUT, *BUFFER, *PORTAL) { }
pep_api_data_obj_put_pre(*INSTANCE, *COMM, *INPUT, *BUFFER, *PORTAL) { }
pep_api_data_obj_rename_pre(*INSTANCE, *COMM, *INPUT) { }
pep_api_data_obj_rsync_pre(*INSTANCE, *COMM, *INPUT, *OUT) { }
pep_api_data_obj_trim_pre(*INSTANCE, *COMM, *INPUT) { }
pep_api_data_obj_truncate_pre(*INSTANCE, *COMM, *INPUT) { }
pep_api_data_obj_unlink_pre(*INSTANCE, *COMM, *INPUT) { }
pep_api_data_object_modify_info_pre(*INSTANCE, *COMM, *INPUT) { }
pep_api_exec_my_rule_pre(*INSTANCE, *COMM, *INPUT, *OUT) { }
pep_api_mod_access_control_pre(*INSTANCE, *COMM, *INPUT) { }
pep_api_mod_avu_metadata_pre(*INSTANCE, *COMM, *INPUT) { }
pep_api_mod_data_obj_meta_pre(*INSTANCE, *COMM, *INPUT) { }
pep_api_phy_path_reg_pre(*INSTANCE, *COMM, *INPUT) { }
pep_api_replica_open_pre(*INSTANCE, *COMM, *INPUT, *OUT) { }
pep_api_replica_truncate_pre(*INSTANCE, *COMM, *INPUT, *OUT) { }
pep_api_rm_coll_pre(*INSTANCE, *COMM, *INPUT, *OUT) { }
pep_api_struct_file_ext_and_reg_pre(*INSTANCE, *COMM, *INPUT) { }
pep_api_touch_pre(*INSTANCE, *COMM, *JSON) { }
