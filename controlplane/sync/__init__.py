"""Letting people and their memberships follow into all systems, once or all the time."""
