"""The release of OMERO.server whose behaviour this is, and of the Ice that it is built on."""

VERSION = "5.6.17"
ICE_VERSION = "3.6.5"
