"""A complete server_config.json for tests of the iRODS stand-in."""

from typing import Any


def configuration(**changes: Any) -> dict[str, Any]:
    """Return a consumer's configuration that the schema accepts, with top-level keys replaced."""
    levels = ("agent", "server")
    numbers = (
        "checksum_read_buffer_size_in_bytes",
        "default_number_of_transfer_threads",
        "default_temporary_password_lifetime_in_seconds",
        "delay_server_sleep_time_in_seconds",
        "maximum_size_for_single_buffer_in_megabytes",
        "maximum_size_of_delay_queue_in_bytes",
        "maximum_temporary_password_lifetime_in_seconds",
        "migrate_delay_server_sleep_time_in_seconds",
        "number_of_concurrent_delay_rule_executors",
        "stacktrace_file_processor_sleep_time_in_seconds",
        "transfer_buffer_size_for_parallel_transfer_in_megabytes",
        "transfer_chunk_size_for_parallel_transfer_in_megabytes",
    )
    cache = {
        "cache_clearer_sleep_time_in_seconds": 600,
        "eviction_age_in_seconds": 3600,
        "shared_memory_size_in_bytes": 5000000,
    }
    document = {
        "schema_name": "server_config",
        "schema_version": "v5",
        "advanced_settings": dict.fromkeys(numbers, 1)
        | {"delay_rule_executors": [], "dns_cache": cache, "hostname_cache": cache},
        "catalog_provider_hosts": ["icat.test"],
        "catalog_service_role": "consumer",
        "client_server_policy": "CS_NEG_REFUSE",
        "connection_pool_refresh_time_in_seconds": 300,
        "controlled_user_connection_list": {"control_type": "denylist", "users": []},
        "default_dir_mode": "0750",
        "default_file_mode": "0600",
        "default_hash_scheme": "SHA256",
        "encryption": {"algorithm": "AES-256-CBC", "key_size": 32, "num_hash_rounds": 16, "salt_size": 8},
        "environment_variables": {},
        "federation": [],
        "graceful_shutdown_timeout_in_seconds": 30,
        "host": "res.test",
        "host_access_control": {"access_entries": []},
        "host_resolution": {"host_entries": []},
        "log_level": dict.fromkeys(levels, "info"),
        "match_hash_policy": "compatible",
        "negotiation_key": "32_byte_server_negotiation_key__",
        "plugin_configuration": {
            "authentication": {},
            "network": {},
            "resource": {},
            "rule_engines": [
                {
                    "instance_name": "rules",
                    "plugin_name": "rules",
                    "plugin_specific_configuration": {"re_rulebase_set": ["core"]},
                }
            ],
        },
        "rule_engine_namespaces": [""],
        "server_port_range_start": 20000,
        "server_port_range_end": 20199,
        "zone_auth_scheme": "native",
        "zone_key": "TEMPORARY_ZONE_KEY",
        "zone_name": "tempZone",
        "zone_port": 1247,
        "zone_user": "rods",
    }
    return document | changes
