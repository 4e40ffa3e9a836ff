"""Is the platform well? Probes of every system, run at the same time within a deadline."""
