"""Prometheus and Alertmanager."""
