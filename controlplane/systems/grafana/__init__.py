"""Grafana: what health asks of it."""
