"""Observe, plan and apply, whatever the system."""
