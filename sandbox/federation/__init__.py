"""The world outside the platform: institutions with people, and the federations that vouch for them.

`control` starts and stops it, publishes feeds, and registers the platform's metadata with the institutions.
"""
