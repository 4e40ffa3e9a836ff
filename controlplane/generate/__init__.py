"""Synthetic nations: inventories of any size, for tests and benchmarks. Pure, except `write`."""
