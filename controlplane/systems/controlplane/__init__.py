"""The control plane's own exporter."""
