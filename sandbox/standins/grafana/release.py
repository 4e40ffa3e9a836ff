"""The release of Grafana whose behaviour this is."""

VERSION = "12.4.10"
