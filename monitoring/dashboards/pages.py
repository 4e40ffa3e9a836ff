"""The six dashboards."""

from monitoring.dashboards.panels import Query, choice, lines, new, number, page, rows, share

HERE = 'environment="$environment"'
ZONE = f'{HERE}, zone="$zone"'
FACILITY = f'{HERE}, facility="$facility"'
FILES = 'fstype!~"tmpfs|ramfs|squashfs|iso9660"'

overview = page(
    new("bic-overview", "National overview", "Whether people can work, and what needs somebody now."),
    (
        "Now",
        [
            number(
                "Critical alerts",
                f'count(ALERTS{{{HERE}, alertstate="firing", severity="critical"}}) or vector(0)',
                bad_above=1,
            ),
            number(
                "Warnings",
                f'count(ALERTS{{{HERE}, alertstate="firing", severity="warning"}}) or vector(0)',
                bad_above=1,
            ),
            number(
                "Hosts that do not answer", f'count(up{{job="node", {HERE}}} == 0) or vector(0)', bad_above=1
            ),
            number(
                "iRODS servers down",
                f"count(max by (zone, host) (bic_irods_server_up{{{HERE}}}) == 0) or vector(0)",
                bad_above=1,
            ),
            number(
                "Data",
                f"sum(max by (zone, storage_resource, state) (bic_irods_replica_bytes{{{HERE}}}))",
                "bytes",
            ),
            number("People", f'max(bic_authentik_people{{{HERE}, active="true"}})'),
            rows("Alerts", f'ALERTS{{{HERE}, alertstate="firing", alertname!="Watchdog"}}', span=24),
        ],
    ),
    (
        "Promises: 99.5 % of logins, reads and writes",
        [
            lines(
                "Failures, of an hour",
                Query(f"operation:failures:ratio_rate1h{{{HERE}}}", "{{operation}} {{zone}}"),
                unit="percentunit",
            ),
            share(
                "Budget of 30 days that is spent",
                Query(f"operation:failures:ratio_rate30d{{{HERE}}} / 0.005", "{{operation}} {{zone}}"),
            ),
        ],
    ),
    (
        "Data",
        [
            lines(
                "Bytes by facility",
                Query(f"sum by (facility) (bic_irods_facility_replica_bytes{{{HERE}}})", "{{facility}}"),
                unit="bytes",
            ),
            lines(
                "Replicas that are not good",
                Query(
                    f'sum by (zone, state) (bic_irods_replicas{{{HERE}, state!="good"}})',
                    "{{zone}} {{state}}",
                ),
            ),
        ],
    ),
)

facility = page(
    new("bic-facility", "Facility", "What a facility stores, its quotas and its own hosts.").with_variable(
        choice("facility", 'label_values(bic_irods_facility_replicas{environment="$environment"}, facility)')
    ),
    (
        "Data",
        [
            number("Replicas", f"sum(bic_irods_facility_replicas{{{FACILITY}}})"),
            number("Bytes", f"sum(bic_irods_facility_replica_bytes{{{FACILITY}}})", "bytes"),
            number(
                "Stale replicas",
                f'sum(bic_irods_facility_replicas{{{FACILITY}, state="stale"}}) or vector(0)',
                bad_above=1,
            ),
            number(
                "Storage resources down",
                f"count(bic_irods_storage_resource_up{{{FACILITY}}} == 0) or vector(0)",
                bad_above=1,
            ),
            lines(
                "Bytes by storage resource",
                Query(
                    f"sum by (storage_resource) (bic_irods_facility_replica_bytes{{{FACILITY}}})",
                    "{{storage_resource}}",
                ),
                unit="bytes",
            ),
            lines(
                "Growth a day",
                Query(f"sum(delta(bic_irods_facility_replica_bytes{{{FACILITY}}}[1d]))", "bytes a day"),
                unit="bytes",
            ),
            lines(
                "Free space",
                Query(f"bic_irods_storage_resource_free_bytes{{{FACILITY}}}", "{{storage_resource}}"),
                unit="bytes",
            ),
            share(
                "Quotas used",
                Query(
                    f"bic_irods_quota_usage_bytes{{{FACILITY}}} / bic_irods_quota_limit_bytes{{{FACILITY}}}",
                    "{{group}} {{storage_resource}}",
                ),
            ),
        ],
    ),
    (
        "Hosts of the facility",
        [
            share(
                "File systems in use",
                Query(
                    f"1 - node_filesystem_avail_bytes{{{FACILITY}, {FILES}}} / node_filesystem_size_bytes",
                    "{{host}} {{mountpoint}}",
                ),
            ),
            lines(
                "Load by processor",
                Query(
                    f"node_load5{{{FACILITY}}} / on (host) count by (host)"
                    f' (node_cpu_seconds_total{{{FACILITY}, mode="idle"}})',
                    "{{host}}",
                ),
            ),
        ],
    ),
)

zone = page(
    new("bic-zone", "Zone", "The servers, data and queue of an iRODS zone.").with_variable(
        choice("zone", 'label_values(bic_irods_users{environment="$environment"}, zone)')
    ),
    (
        "Servers",
        [
            number("Servers up", f"sum(max by (host) (bic_irods_server_up{{{ZONE}}}))"),
            number("Users", f"max(bic_irods_users{{{ZONE}}})"),
            number("Groups", f"max(bic_irods_groups{{{ZONE}}})"),
            number("Collections", f"max(bic_irods_collections{{{ZONE}}})"),
            number(
                "Queue is late by",
                f"max(bic_irods_delay_queue_overdue_seconds{{{ZONE}}})",
                "s",
                bad_above=3600,
            ),
            number(
                "Quotas computed",
                f"time() - max(bic_irods_accounting_timestamp_seconds{{{ZONE}}})",
                "s",
                bad_above=6 * 3600,
            ),
            lines("Agents", Query(f"bic_irods_agents{{{ZONE}}}", "{{host}}")),
            lines(
                "How long an operation takes",
                Query(f"bic_irods_operation_duration_seconds{{{ZONE}}}", "{{operation}}"),
                unit="s",
            ),
            lines(
                "Failures, of five minutes",
                Query(f"operation:failures:ratio_rate5m{{{ZONE}}}", "{{operation}}"),
                unit="percentunit",
            ),
            rows("Versions", f"bic_irods_server_info{{{ZONE}}}"),
            rows(
                "Certificates expire in",
                f"bic_irods_server_certificate_not_after_timestamp_seconds{{{ZONE}}} - time()",
                "s",
            ),
        ],
    ),
    (
        "Data",
        [
            lines("Replicas by state", Query(f"sum by (state) (bic_irods_replicas{{{ZONE}}})", "{{state}}")),
            lines(
                "Replicas that are missing",
                Query(f"bic_irods_replicas_missing{{{ZONE}}}", "{{storage_resource}}"),
            ),
            lines(
                "Bytes by storage resource",
                Query(
                    f"sum by (storage_resource) (bic_irods_replica_bytes{{{ZONE}}})", "{{storage_resource}}"
                ),
                unit="bytes",
            ),
            lines(
                "Free space",
                Query(f"bic_irods_storage_resource_free_bytes{{{ZONE}}}", "{{storage_resource}}"),
                unit="bytes",
            ),
            lines(
                "Delay queue",
                Query(f"bic_irods_delay_queue_rules{{{ZONE}}}", "rules"),
                Query(f"bic_irods_delay_queue_overdue_rules{{{ZONE}}}", "overdue"),
            ),
        ],
    ),
    (
        "Catalogue",
        [
            lines(
                "Connections to PostgreSQL",
                Query(f"sum by (host) (pg_stat_activity_count{{{HERE}}})", "{{host}}"),
                Query(f"pg_settings_max_connections{{{HERE}}}", "limit on {{host}}"),
            ),
            lines(
                "Age of the newest backup",
                Query(
                    f"time() - bic_postgresql_backup_last_success_timestamp_seconds{{{HERE}}}",
                    "{{database}} on {{host}}",
                ),
                unit="s",
            ),
        ],
    ),
)

USED = f"max by (zone, facility, group, storage_resource) (bic_irods_quota_usage_bytes{{{HERE}}})"
LIMIT = f"max by (zone, facility, group, storage_resource) (bic_irods_quota_limit_bytes{{{HERE}}})"

quotas = page(
    new("bic-quotas", "Quotas", "Who is near a limit, and what is promised beside what there is."),
    (
        "Groups",
        [
            number("Groups over 90 %", f"count({USED} / {LIMIT} > 0.9) or vector(0)", bad_above=1),
            number("Groups that are full", f"count({USED} >= {LIMIT}) or vector(0)", bad_above=1),
            number("Promised", f"sum({LIMIT})", "bytes"),
            number("Used of it", f"sum({USED})", "bytes"),
            share(
                "Nearest to their limit",
                Query(f"topk(20, {USED} / {LIMIT})", "{{group}} {{storage_resource}}"),
            ),
            rows(
                "Full in 30 days, at the rate of the last week",
                f"predict_linear(bic_irods_quota_usage_bytes{{{HERE}}}[7d], 30 * 86400)"
                f" > bic_irods_quota_limit_bytes{{{HERE}}}",
                "bytes",
            ),
        ],
    ),
    (
        "Storage resources",
        [
            rows("Capacity", f"bic_irods_storage_resource_capacity_bytes{{{HERE}}}", "bytes"),
            lines(
                "Free",
                Query(f"bic_irods_storage_resource_free_bytes{{{HERE}}}", "{{storage_resource}}"),
                unit="bytes",
            ),
            lines(
                "Since free space was measured",
                Query(
                    f"time() - bic_irods_storage_resource_free_measured_timestamp_seconds{{{HERE}}}",
                    "{{storage_resource}}",
                ),
                unit="s",
            ),
        ],
    ),
)

identity = page(
    new("bic-identity", "Identity", "Logins, the login server and the federation."),
    (
        "Logins",
        [
            number("People", f'max(bic_authentik_people{{{HERE}, active="true"}})'),
            number("Closed accounts", f'max(bic_authentik_people{{{HERE}, active="false"}})'),
            number("Groups", f"max(bic_authentik_groups{{{HERE}}})"),
            number(
                "Outposts down", f"count(bic_authentik_outpost_up{{{HERE}}} == 0) or vector(0)", bad_above=1
            ),
            number(
                "Certificate expires in",
                f"min(bic_authentik_certificate_not_after_timestamp_seconds{{{HERE}}}) - time()",
                "s",
            ),
            number(
                "People followed",
                f"time() - min(max by (system) (bic_sync_last_success_timestamp_seconds{{{HERE}}}))",
                "s",
                bad_above=900,
            ),
            lines(
                "Logins an hour",
                Query(f"sum by (result) (increase(bic_authentik_logins_total{{{HERE}}}[1h]))", "{{result}}"),
            ),
            lines(
                "How long the login page takes",
                Query(f"bic_authentik_operation_duration_seconds{{{HERE}}}", "{{operation}}"),
                unit="s",
            ),
            lines(
                "Since an outpost reported",
                Query(f"time() - bic_authentik_outpost_last_seen_timestamp_seconds{{{HERE}}}", "{{outpost}}"),
                unit="s",
            ),
            lines(
                "Age of the newest backup",
                Query(f"time() - bic_authentik_backup_success_timestamp_seconds{{{HERE}}}", "{{host}}"),
                unit="s",
            ),
        ],
    ),
    (
        "Federation",
        [
            number("Proxies up", f"sum(bic_federation_proxy_up{{{HERE}}})"),
            number(
                "Feeds without a valid copy",
                f"count(bic_federation_feed_in_use{{{HERE}}} == 0) or vector(0)",
                bad_above=1,
            ),
            lines(
                "Metadata is valid for",
                Query(
                    f"bic_federation_feed_valid_until_timestamp_seconds{{{HERE}}} - time()",
                    "{{feed}} on {{host}}",
                ),
                unit="s",
            ),
            lines(
                "Since feeds were looked at",
                Query(f"time() - bic_federation_update_timestamp_seconds{{{HERE}}}", "{{host}}"),
                unit="s",
            ),
        ],
    ),
)

controlplane = page(
    new(
        "bic-controlplane",
        "Control plane",
        "How far the systems are from the inventory, and the machinery itself.",
    ),
    (
        "Inventory and systems",
        [
            number(
                "Objects not as desired",
                f"sum(max by (system, kind, difference) (bic_drift_objects{{{HERE}}}))",
                bad_above=1,
            ),
            number("Latest apply did all", f"max(bic_apply_success{{{HERE}}})"),
            number("Jobs that wait", f'max(bic_queue_jobs{{{HERE}, state="queued"}})'),
            number("Workers", f"max(bic_queue_workers{{{HERE}}})"),
            number("A job has waited", f"max(bic_queue_oldest_wait_seconds{{{HERE}}})", "s", bad_above=3600),
            lines(
                "Drift",
                Query(
                    "sum by (system, difference) (max by (system, kind, difference)"
                    f" (bic_drift_objects{{{HERE}}}))",
                    "{{system}} {{difference}}",
                ),
            ),
            lines(
                "How long it takes",
                Query(f"max by (system) (bic_drift_duration_seconds{{{HERE}}})", "compare {{system}}"),
                Query(f"max(bic_apply_duration_seconds{{{HERE}}})", "latest apply"),
                Query(f"max(bic_sync_duration_seconds{{{HERE}}})", "sync"),
                unit="s",
            ),
            lines(
                "Runs a day", Query(f"max by (result) (increase(bic_runs_total{{{HERE}}}[1d]))", "{{result}}")
            ),
            lines(
                "Changes of the latest apply",
                Query(f"max by (result) (bic_apply_changes{{{HERE}}})", "{{result}}"),
            ),
        ],
    ),
    (
        "Exporter and monitoring",
        [
            rows("Collectors that fail", f"bic_collector_up{{{HERE}}} == 0"),
            lines(
                "Readings: share of the budget",
                Query(
                    f"bic_collector_duration_seconds{{{HERE}}} / bic_collector_budget_seconds{{{HERE}}}",
                    "{{collector}}",
                ),
                unit="percentunit",
            ),
            lines(
                "How long scrapes take",
                Query(f"max by (job) (scrape_duration_seconds{{{HERE}}})", "{{job}}"),
                unit="s",
            ),
            lines("Series in Prometheus", Query(f"prometheus_tsdb_head_series{{{HERE}}}", "{{host}}")),
        ],
    ),
)

DASHBOARDS = (overview, facility, zone, quotas, identity, controlplane)
