"""The artifact mirror: what a data centre that is cut off from the internet has, for one fleet.

It listens on the fleet's bridge only, is a caching proxy for Debian packages, and serves folders of packages
and wheels.
"""
