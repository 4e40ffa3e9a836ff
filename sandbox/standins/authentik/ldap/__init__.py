"""Authentik's LDAP outpost: an LDAP server that asks Authentik over HTTP who may bind and what is to be seen.

It binds and searches directly, so every answer is fresh; cached modes are not carried out, and it says so. It
asks for its providers every few seconds instead of keeping a websocket open.
"""
