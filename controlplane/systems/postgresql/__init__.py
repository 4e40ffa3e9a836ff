"""PostgreSQL, which holds catalogues of zones, the login server and the store."""
