-- STAND-IN for OMERO.server. GENERATED %(TIME)s from %(DIR)s; psql omero < %(SCRIPT)s
BEGIN;
