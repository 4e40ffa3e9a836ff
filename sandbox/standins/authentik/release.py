"""The release of Authentik whose behaviour this is."""

VERSION = "2026.8.5"
