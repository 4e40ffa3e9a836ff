"""What we know of the gateways in front of zones: WebDAV and the iRODS HTTP API behind nginx."""
