"""The federation proxy: what health asks of it."""
