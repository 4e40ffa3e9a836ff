"""A server that stands in for Grafana: it reads its configuration and provisioning files and answers its API.

It serves what the platform's role and tests ask of Grafana: health, data sources, dashboards and metrics. It
draws nothing and logs nobody in but Grafana's own administrator.
"""
