"""A nation on one machine: the fleet of hosts, the artifact mirror, the stand-ins and the demo."""
