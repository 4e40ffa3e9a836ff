"""Which release of iRODS this stand-in stands for; the package of an older one has another such file."""

VERSION = (5, 0, 2)
#: Version of the catalogue's tables, numbered as upstream numbers them. Upstream's 5.0.1 has the same as
#: 5.0.2; the stand-in's 5.0.1 has the one before, so that its upgrade changes the catalogue and cannot be
#: undone without a restore, as from 4.3 to 5.0.
CATALOGUE_SCHEMA = 12
