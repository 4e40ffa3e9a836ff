"""What Prometheus, Alertmanager and Grafana are given: rules, metrics that exist, and dashboards."""
