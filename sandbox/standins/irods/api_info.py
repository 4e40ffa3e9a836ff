"""The APIs that tell about the server and the zone."""

import json
import os
import platform

from .api import Reply, api
from .config import API_VERSION, RELEASE
from .resources import COORDINATING_TYPES, STORAGE_TYPES
from .session import Session
from .wire import Message, element, leaf

# The features of iRODS 5.0.2's libraries, with the version (as date) of their introduction.
FEATURES = {
    "IRODS_HAS_API_ENDPOINT_CHECK_AUTH_CREDENTIALS": 202307,
    "IRODS_HAS_API_ENDPOINT_SWITCH_USER": 202211,
    "IRODS_HAS_FEATURE_PROXY_USER_SUPPORT_FOR_CLIENT_CONNECTION_LIBRARIES": 202306,
    "IRODS_HAS_LIBRARY_SYSTEM_ERROR": 202301,
    "IRODS_HAS_LIBRARY_TICKET_ADMINISTRATION": 202209,
    "IRODS_HAS_LIBRARY_ZONE_ADMINISTRATION": 202210,
    "IRODS_LIBRARY_FEATURE_CHECK_AUTH_CREDENTIALS": 202307,
    "IRODS_LIBRARY_FEATURE_CLIENT_CONNECTION_LIBRARIES_SUPPORT_PROXY_USERS": 202306,
    "IRODS_LIBRARY_FEATURE_DELAY_RULE_LOCKING": 202411,
    "IRODS_LIBRARY_FEATURE_GENQUERY2": 202404,
    "IRODS_LIBRARY_FEATURE_REPLICA_TRUNCATE": 202403,
    "IRODS_LIBRARY_FEATURE_SWITCH_USER": 202211,
    "IRODS_LIBRARY_FEATURE_SYSTEM_ERROR": 202301,
    "IRODS_LIBRARY_FEATURE_TICKET_ADMINISTRATION": 202209,
    "IRODS_LIBRARY_FEATURE_ZONE_ADMINISTRATION": 202210,
}
_POLICIES = ("acPreConnect", "acRescQuotaPolicy", "acSetRescSchemeForCreate")


def _bytes_buffer(document: object) -> Reply:
    raw = json.dumps(document, indent=4, sort_keys=True)
    return Reply(body=element("BytesBuf_PI", leaf("buflen", len(raw.encode())), leaf("buf", raw)))


def _plugins() -> list[dict[str, str]]:
    stored = sorted((*STORAGE_TYPES, *COORDINATING_TYPES))
    kinds = [("resource", name) for name in stored] + [("authentication", "native"), ("database", "postgres")]
    return [{"checksum_sha256": "", "name": name, "type": kind, "version": ""} for kind, name in kinds]


@api(10215, "CLIENT_HINTS_AN")
def client_hints(session: Session, _message: Message) -> Reply:
    """Tell clients how to compute checksums and what the server has."""
    return _bytes_buffer(
        {
            "hash_scheme": session.config.hash_scheme,
            "match_hash_policy": session.config.match_hash_policy,
            "plugins": _plugins(),
            "rules": sorted({rule.name for rule in session.rules.rules} | set(_POLICIES)),
            "specific_queries": [],
            "strict_acls": "on",
        }
    )


@api(801, "GET_LIBRARY_FEATURES_AN")
def library_features(_session: Session, _message: Message) -> Reply:
    """Tell which features the server's libraries have."""
    return Reply(body=element("STR_PI", leaf("myStr", json.dumps(FEATURES, separators=(",", ":")))))


@api(700, "GET_MISC_SVR_INFO_AN")
def server_info(session: Session, _message: Message) -> Reply:
    """Tell version, zone, role and start of the server."""
    body = element(
        "MiscSvrInfo_PI",
        leaf("serverType", 1 if session.config.provider else 0),
        leaf("serverBootTime", int(session.state.started)),
        leaf("relVersion", RELEASE),
        leaf("apiVersion", API_VERSION),
        leaf("rodsZone", session.config.zone),
        element("BinBytesBuf_PI", leaf("buflen", 0)),
    )
    return Reply(body=body)


def _server_report(session: Session) -> dict[str, object]:
    config = session.config
    with session.catalogue.read() as tx:
        found = tx.rows(
            "select resc_name, resc_type_name, resc_net, resc_def_path, resc_status, free_space, resc_context"
            " from r_resc_main order by resc_id"
        )
    stored = [
        {
            "name": row[0],
            "type": row[1],
            "host_name": row[2],
            "vault_path": row[3],
            "status": row[4],
            "free_space": row[5],
            "context_string": row[6],
        }
        for row in found
        if session.state.is_local(row[2])
    ]
    return {
        "host_system_information": {
            "hostname": config.host,
            "os_distribution_name": platform.system(),
            "os_distribution_version": platform.release(),
            "service_account_user_id": str(os.geteuid()),
        },
        "plugins": _plugins(),
        "resources": stored,
        "server_config": {
            "catalog_service_role": "provider" if config.provider else "consumer",
            "zone_name": config.zone,
            "zone_port": config.port,
            "default_hash_scheme": config.hash_scheme,
        },
        "version": {"irods_version": RELEASE.removeprefix("rods"), "catalog_schema_version": 13},
    }


@api(10204, "SERVER_REPORT_AN", admin=True)
def server_report(session: Session, _message: Message) -> Reply:
    """Describe this server to an administrator, without secrets."""
    return _bytes_buffer(_server_report(session))


@api(10205, "ZONE_REPORT_AN", admin=True)
def zone_report(session: Session, _message: Message) -> Reply:
    """Describe the zone to an administrator: coordinating resources, and the catalog provider as server."""
    with session.catalogue.read() as tx:
        rows = tx.rows(
            "select resc_name, resc_type_name from r_resc_main where resc_net = 'EMPTY_RESC_HOST'"
            " order by resc_id"
        )
    coordinating = [{"name": row[0], "type": row[1]} for row in rows]
    zone = {"coordinating_resources": coordinating, "servers": [_server_report(session)]}
    return _bytes_buffer({"schema_version": "v5", "zones": [zone]})
