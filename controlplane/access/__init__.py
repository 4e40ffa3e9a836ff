"""Who can reach what, as every system says it, and where they differ from each other."""
