"""GenQuery1's columns and how its tables hang together.

Numbers, tables and links are those of iRODS 5.0.2; columns of tables that the stand-in does not have are left
out, so that a query for one is refused as unknown.
"""

_COLUMNS: dict[str, dict[int, str]] = {
    "r_zone_main": {
        101: "zone_id", 102: "zone_name", 103: "zone_type_name", 104: "zone_conn_string", 105: "r_comment",
        106: "create_ts", 107: "modify_ts",
    },
    "r_user_main": {
        201: "user_id", 202: "user_name", 203: "user_type_name", 204: "zone_name", 206: "user_info",
        207: "r_comment", 208: "create_ts", 209: "modify_ts",
    },
    "r_user_auth": {
        1600: "user_id", 1601: "user_auth_name",
    },
    "r_resc_main": {
        301: "resc_id", 302: "resc_name", 303: "zone_name", 304: "resc_type_name", 305: "resc_class_name",
        306: "resc_net", 307: "resc_def_path", 308: "free_space", 309: "resc_info", 310: "r_comment",
        311: "create_ts", 312: "modify_ts", 313: "resc_status", 314: "free_space_ts", 315: "resc_children",
        316: "resc_context", 317: "resc_parent", 318: "resc_parent_context", 319: "modify_ts_millis",
        409: "resc_name",
    },
    "r_data_main": {
        401: "data_id", 402: "coll_id", 403: "data_name", 404: "data_repl_num", 405: "data_version",
        406: "data_type_name", 407: "data_size", 410: "data_path", 411: "data_owner_name",
        412: "data_owner_zone", 413: "data_is_dirty", 414: "data_status", 415: "data_checksum",
        416: "data_expiry_ts", 417: "data_map_id", 418: "r_comment", 419: "create_ts", 420: "modify_ts",
        421: "data_mode", 423: "resc_id", 424: "access_ts",
    },
    "r_coll_main": {
        500: "coll_id", 501: "coll_name", 502: "parent_coll_name", 503: "coll_owner_name",
        504: "coll_owner_zone", 505: "coll_map_id", 506: "coll_inheritance", 507: "r_comment",
        508: "create_ts", 509: "modify_ts", 510: "coll_type", 511: "coll_info1", 512: "coll_info2",
    },
    "r_data_meta_main": {
        600: "meta_attr_name", 601: "meta_attr_value", 602: "meta_attr_unit", 603: "meta_id",
        604: "create_ts", 605: "modify_ts", 621: "meta_namespace",
    },
    "r_coll_meta_main": {
        610: "meta_attr_name", 611: "meta_attr_value", 612: "meta_attr_unit", 613: "meta_id",
        614: "create_ts", 615: "modify_ts", 620: "meta_namespace",
    },
    "r_resc_meta_main": {
        622: "meta_namespace", 630: "meta_attr_name", 631: "meta_attr_value", 632: "meta_attr_unit",
        633: "meta_id", 634: "create_ts", 635: "modify_ts",
    },
    "r_user_meta_main": {
        623: "meta_namespace", 640: "meta_attr_name", 641: "meta_attr_value", 642: "meta_attr_unit",
        643: "meta_id", 644: "create_ts", 645: "modify_ts",
    },
    "r_data_access": {
        700: "access_type_id", 703: "user_id", 704: "object_id",
    },
    "r_data_tokn_accs": {
        701: "token_name", 702: "token_namespace",
    },
    "r_coll_access": {
        710: "access_type_id", 713: "user_id", 714: "object_id",
    },
    "r_coll_tokn_accs": {
        711: "token_name", 712: "token_namespace",
    },
    "r_user_group": {
        900: "group_user_id",
    },
    "r_group_main": {
        901: "user_name",
    },
    "r_rule_exec": {
        1000: "rule_exec_id", 1001: "rule_name", 1002: "rei_file_path", 1003: "user_name",
        1004: "exe_address", 1005: "exe_time", 1006: "exe_frequency", 1007: "priority",
        1008: "estimated_exe_time", 1009: "notification_addr", 1010: "last_exe_time", 1011: "exe_status",
        1012: "exe_context", 1013: "lock_host", 1014: "lock_host_pid", 1015: "lock_ts",
    },
    "r_tokn_main": {
        1100: "token_namespace", 1101: "token_id", 1102: "token_name", 1103: "token_value",
        1104: "token_value2", 1105: "token_value3", 1106: "r_comment", 1107: "create_ts", 1108: "modify_ts",
    },
    "r_coll_user_main": {
        1300: "user_name", 1301: "zone_name",
    },
    "r_data_user_main": {
        1310: "user_name", 1311: "zone_name",
    },
    "r_quota_main": {
        2000: "user_id", 2001: "resc_id", 2002: "quota_limit", 2003: "quota_over", 2004: "modify_ts",
    },
    "r_quota_usage": {
        2010: "user_id", 2011: "resc_id", 2012: "quota_usage", 2013: "modify_ts",
    },
    "r_quota_user_main": {
        2021: "user_name", 2022: "zone_name",
    },
    "r_quota_resc_main": {
        2020: "resc_name",
    },
    "r_ticket_main": {
        2200: "ticket_id", 2201: "ticket_string", 2202: "ticket_type", 2203: "user_id", 2204: "object_id",
        2205: "object_type", 2206: "uses_limit", 2207: "uses_count", 2208: "ticket_expiry_ts",
        2209: "create_ts", 2210: "modify_ts", 2211: "write_file_count", 2212: "write_file_limit",
        2213: "write_byte_count", 2214: "write_byte_limit",
    },
}

# The alias of a column's table and the column's name, by GenQuery1's number.
COLUMNS: dict[int, tuple[str, str]] = {
    number: (alias, column) for alias, columns in _COLUMNS.items() for number, column in columns.items()
}
RESOURCE_HIERARCHY = 422
COLUMNS[RESOURCE_HIERARCHY] = ("r_data_main", "resc_hier")

# Aliases whose table has another name.
TABLES: dict[str, str] = {
    **{f"r_{kind}_meta_main": "r_meta_main" for kind in ("data", "coll", "resc", "user")},
    **{f"r_{kind}_metamap": "r_objt_metamap" for kind in ("data", "coll", "resc", "user")},
    **{f"r_{kind}_access": "r_objt_access" for kind in ("data", "coll")},
    **{f"r_{kind}_tokn_accs": "r_tokn_main" for kind in ("data", "coll")},
    **{f"r_{kind}_user_group": "r_user_group" for kind in ("data", "coll")},
    **{f"r_{kind}_user_main": "r_user_main" for kind in ("data", "coll", "quota")},
    "r_group_main": "r_user_main",
    "r_quota_resc_main": "r_resc_main",
}

_OBJECT_IDS = {
    "data": ("r_data_main", "data_id"),
    "coll": ("r_coll_main", "coll_id"),
    "resc": ("r_resc_main", "resc_id"),
    "user": ("r_user_main", "user_id"),
}

# Pairs of aliases with the columns that link them.
LINKS: list[tuple[str, str, str, str]] = [
    ("r_coll_main", "coll_id", "r_data_main", "coll_id"),
    ("r_resc_main", "resc_id", "r_data_main", "resc_id"),
    ("r_user_main", "user_id", "r_user_group", "user_id"),
    ("r_user_group", "group_user_id", "r_group_main", "user_id"),
    ("r_user_main", "user_id", "r_user_auth", "user_id"),
    ("r_user_main", "user_id", "r_data_access", "user_id"),
    *((table, key, f"r_{kind}_metamap", "object_id") for kind, (table, key) in _OBJECT_IDS.items()),
    *((f"r_{kind}_metamap", "meta_id", f"r_{kind}_meta_main", "meta_id") for kind in _OBJECT_IDS),
    *((*_OBJECT_IDS[kind], f"r_{kind}_access", "object_id") for kind in ("data", "coll")),
    *((f"r_{kind}_access", "access_type_id", f"r_{kind}_tokn_accs", "token_id") for kind in ("data", "coll")),
    *((f"r_{kind}_access", "user_id", f"r_{kind}_user_group", "group_user_id") for kind in ("data", "coll")),
    *((f"r_{kind}_user_group", "user_id", f"r_{kind}_user_main", "user_id") for kind in ("data", "coll")),
    *((f"r_quota_{kind}", "user_id", "r_quota_user_main", "user_id") for kind in ("main", "usage")),
    *((f"r_quota_{kind}", "resc_id", "r_quota_resc_main", "resc_id") for kind in ("main", "usage")),
]
