"""A server that stands in for OMERO.server: it speaks OMERO's wire protocol to OMERO's own client library.

It keeps people, groups, memberships and sessions, and checks passwords as OMERO does, at a directory too. It
holds no images: whatever else is asked of it is refused with the protocol's own errors.
"""
