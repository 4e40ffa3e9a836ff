"""A stand-in for Authentik: its REST API, blueprints and permissions, on SQLite.

What it does not know, it refuses with Authentik's own error. `login` and `ldap` hold what people meet.
"""
