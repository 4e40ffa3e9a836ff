"""A WebDAV server for an iRODS zone: WsgiDAV in front, python-irodsclient behind.

Every request is done in the zone as the user who sent it, with that user's own password: the server holds no
account, so the zone's permissions and rules decide everything.
"""
