"""Logging in: flows and their pages, sessions, the OpenID Connect provider, other providers as sources."""
