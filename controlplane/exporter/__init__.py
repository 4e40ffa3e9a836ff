"""Metrics of every system on `/metrics`: read in the background, answered from memory."""
