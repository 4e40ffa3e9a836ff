"""The catalogue's tables and what a fresh zone holds.

Tables and columns have the names of iRODS's own catalogue, because GenQuery2 shows them to its users.
Times are eleven-digit seconds since 1970 as text, as iRODS stores them.
"""

import sqlite3

from .release import CATALOGUE_SCHEMA

ACCESS_TYPES = {
    "null": 1000,
    "execute": 1010,
    "read_annotation": 1020,
    "read_system_metadata": 1030,
    "read_metadata": 1040,
    "read_object": 1050,
    "write_annotation": 1060,
    "create_metadata": 1070,
    "modify_metadata": 1080,
    "delete_metadata": 1090,
    "administer_object": 1100,
    "create_object": 1110,
    "modify_object": 1120,
    "delete_object": 1130,
    "create_token": 1140,
    "delete_token": 1150,
    "curate": 1160,
    "own": 1200,
}
USER_TYPES = ("rodsadmin", "groupadmin", "rodsuser")

TABLES = """
create table r_objectid (last integer not null);
create table r_grid_configuration (namespace text, option_name text, option_value text, primary key
    (namespace, option_name));
create table r_zone_main (zone_id integer primary key, zone_name text unique, zone_type_name text,
    zone_conn_string text default '', r_comment text default '', create_ts text, modify_ts text);
create table r_user_main (user_id integer primary key, user_name text, user_type_name text, zone_name
    text, user_info text default '', r_comment text default '', create_ts text, modify_ts text, unique
    (user_name, zone_name));
create table r_user_group (group_user_id integer, user_id integer, create_ts text, modify_ts text, primary
    key (group_user_id, user_id)) without rowid;
create index idx_user_group on r_user_group (user_id);
create table r_user_password (user_id integer primary key, rcat_password text, create_ts text, modify_ts
    text);
create table r_user_pam_password (user_id integer primary key, rcat_password text, pass_expiry_ts integer,
    create_ts text, modify_ts text);
create table r_user_auth (user_id integer, user_auth_name text, create_ts text);
create table r_resc_main (resc_id integer primary key, resc_name text unique, zone_name text,
    resc_type_name text, resc_class_name text default 'cache', resc_net text, resc_def_path text,
    free_space text default '', free_space_ts text default '', resc_info text default '', r_comment text
    default '', resc_status text default '', create_ts text, modify_ts text, modify_ts_millis text default
    '000', resc_children text default '', resc_context text default '', resc_parent text default '',
    resc_parent_context text default '');
create table r_coll_main (coll_id integer primary key, coll_name text unique, parent_coll_name text,
    coll_owner_name text, coll_owner_zone text, coll_map_id integer default 0, coll_inheritance text
    default '', coll_type text default '', coll_info1 text default '', coll_info2 text default '',
    r_comment text default '', create_ts text, modify_ts text);
create index idx_coll_parent on r_coll_main (parent_coll_name);
create table r_data_main (data_id integer, coll_id integer, data_name text, data_repl_num integer,
    data_version text default '', data_type_name text default 'generic', data_size integer, resc_id
    integer, data_path text, data_owner_name text, data_owner_zone text, data_is_dirty integer,
    data_status text default '', data_checksum text default '', data_expiry_ts text default '00000000000',
    data_map_id integer default 0, data_mode text default '', r_comment text default '', create_ts text,
    modify_ts text, access_ts text, primary key (data_id, data_repl_num));
create unique index idx_data_name on r_data_main (coll_id, data_name, data_repl_num);
create index idx_data_resc on r_data_main (resc_id);
create index idx_data_owner on r_data_main (data_owner_name, data_owner_zone);
create table r_objt_access (object_id integer, user_id integer, access_type_id integer, create_ts text,
    modify_ts text, primary key (object_id, user_id)) without rowid;
create index idx_access_user on r_objt_access (user_id);
create table r_meta_main (meta_id integer primary key, meta_namespace text default '', meta_attr_name
    text, meta_attr_value text, meta_attr_unit text default '', create_ts text, modify_ts text, unique
    (meta_attr_name, meta_attr_value, meta_attr_unit));
create table r_objt_metamap (object_id integer, meta_id integer, create_ts text, modify_ts text, primary
    key (object_id, meta_id)) without rowid;
create index idx_metamap_meta on r_objt_metamap (meta_id);
create table r_tokn_main (token_namespace text, token_id integer, token_name text, token_value text
    default '', token_value2 text default '', token_value3 text default '', r_comment text default '',
    create_ts text, modify_ts text, primary key (token_namespace, token_id));
create table r_quota_main (user_id integer, resc_id integer, quota_limit integer, quota_over integer,
    modify_ts text, primary key (user_id, resc_id));
create table r_quota_usage (user_id integer, resc_id integer, quota_usage integer, modify_ts text, primary
    key (user_id, resc_id));
create table r_rule_exec (rule_exec_id integer primary key, rule_name text, rei_file_path text, user_name
    text, exe_address text, exe_time text, exe_frequency text, priority text, estimated_exe_time text,
    notification_addr text, last_exe_time text, exe_status text, exe_context text,
    lock_host text default '', lock_host_pid text default '', lock_ts text default '');
create table r_ticket_main (ticket_id integer primary key, ticket_string text, ticket_type text, user_id
    integer, object_id integer, object_type text, uses_limit integer, uses_count integer, ticket_expiry_ts
    text, restrictions text, create_ts text, modify_ts text, write_file_count integer, write_file_limit
    integer, write_byte_count integer, write_byte_limit integer);
"""

#: The settings of a fresh zone, which are older than the first version here. Setup enters the leader.
_GRID_CONFIGURATION = """
    insert into r_grid_configuration values ('delay_server', 'leader', '');
    insert into r_grid_configuration values ('delay_server', 'successor', '');
    insert into r_grid_configuration values ('authentication', 'password_extend_lifetime', '1');
    insert into r_grid_configuration values ('authentication', 'password_max_time', '1209600');
    insert into r_grid_configuration values ('authentication', 'password_min_time', '121');
    insert into r_grid_configuration values ('access_time', 'queue_name_prefix', 'irods_access_time_queue_');
    insert into r_grid_configuration values ('access_time', 'queue_size', '20000');
    insert into r_grid_configuration values ('access_time', 'batch_size', '20000');
    insert into r_grid_configuration values ('access_time', 'resolution_in_seconds', '86400')
"""
#: The version of the tables above.
_FIRST_VERSION = 11
#: What brings them to each further version. No version lacks what a server of the series answers from.
_MIGRATIONS = {12: "create index idx_rule_exec on r_rule_exec (exe_time)"}


def _run(connection: sqlite3.Connection, statements: str) -> None:
    """Run statements in the caller's transaction, which `executescript` would end."""
    for statement in statements.split(";"):
        if statement.strip():
            connection.execute(statement)


def version(connection: sqlite3.Connection) -> int:
    """Return the version of a catalogue's tables; 0 for one of a stand-in from before there were versions."""
    row = connection.execute(
        "select option_value from r_grid_configuration"
        " where namespace = 'database' and option_name = 'schema_version'"
    ).fetchone()
    return 0 if row is None else int(row[0])


def migrate(connection: sqlite3.Connection, wanted: int) -> None:
    """Bring the tables up to a version, one after the other, in the caller's transaction."""
    for number in range(version(connection) + 1, wanted + 1):
        _run(connection, _MIGRATIONS[number])
        connection.execute(
            "update r_grid_configuration set option_value = ?"
            " where namespace = 'database' and option_name = 'schema_version'",
            (str(number),),
        )


def make_tables(connection: sqlite3.Connection, wanted: int = CATALOGUE_SCHEMA) -> None:
    """Make the empty tables of a version, in the caller's transaction."""
    _run(connection, TABLES)
    connection.execute(
        "insert into r_grid_configuration values ('database', 'schema_version', ?)", (str(_FIRST_VERSION),)
    )
    migrate(connection, wanted)


def create(connection: sqlite3.Connection, zone: str, admin: str, password: str, now: str) -> None:
    """Write the tables and a fresh zone with its administrator into an empty catalogue.

    Must run in a transaction of the caller's. The administrator's password is stored as given: the catalogue
    file is readable by the service account alone.
    """
    make_tables(connection)
    _run(connection, _GRID_CONFIGURATION)
    ids = iter(range(10000, 10100))
    zone_id, public, rods = next(ids), next(ids), next(ids)
    connection.execute(
        "insert into r_zone_main (zone_id, zone_name, zone_type_name, create_ts, modify_ts)"
        " values (?, ?, 'local', ?, ?)",
        (zone_id, zone, now, now),
    )
    for user_id, name, kind in ((public, "public", "rodsgroup"), (rods, admin, "rodsadmin")):
        connection.execute(
            "insert into r_user_main (user_id, user_name, user_type_name, zone_name, create_ts, modify_ts)"
            " values (?, ?, ?, ?, ?, ?)",
            (user_id, name, kind, zone, now, now),
        )
    for group, member in ((public, public), (rods, rods), (public, rods)):
        connection.execute("insert into r_user_group values (?, ?, ?, ?)", (group, member, now, now))
    connection.execute("insert into r_user_password values (?, ?, ?, ?)", (rods, password, now, now))
    for name, token in ACCESS_TYPES.items():
        connection.execute(
            "insert into r_tokn_main (token_namespace, token_id, token_name, create_ts, modify_ts)"
            " values ('access_type', ?, ?, ?, ?)",
            (token, name, now, now),
        )
    top = f"/{zone}"
    collections = (
        ("/", "", rods),
        (top, "/", rods),
        (f"{top}/home", top, rods),
        (f"{top}/trash", top, rods),
        (f"{top}/trash/home", f"{top}/trash", rods),
        (f"{top}/home/public", f"{top}/home", public),
        (f"{top}/trash/home/public", f"{top}/trash/home", public),
        (f"{top}/home/{admin}", f"{top}/home", rods),
        (f"{top}/trash/home/{admin}", f"{top}/trash/home", rods),
    )
    for path, parent, owner in collections:
        coll_id = next(ids)
        connection.execute(
            "insert into r_coll_main (coll_id, coll_name, parent_coll_name, coll_owner_name, coll_owner_zone,"
            " create_ts, modify_ts) values (?, ?, ?, ?, ?, ?, ?)",
            (coll_id, path, parent, "public" if owner == public else admin, zone, now, now),
        )
        connection.execute(
            "insert into r_objt_access values (?, ?, ?, ?, ?)",
            (coll_id, owner, ACCESS_TYPES["own"], now, now),
        )
    connection.execute(
        "insert into r_resc_main (resc_id, resc_name, zone_name, resc_type_name, resc_net, resc_def_path,"
        " create_ts, modify_ts) values (?, 'bundleResc', ?, 'unixfilesystem', 'localhost', '/bundle', ?, ?)",
        (next(ids), zone, now, now),
    )
    connection.execute("insert into r_objectid values (?)", (next(ids) - 1,))
