"""OMERO servers: reading, planning and changing who is in which group, and whose sessions end."""
