"""A stand-in for the iRODS 5.0.2 server: its protocol, files and package names, none of its code.

It answers what BioImage Cloud asks of iRODS as the real server does, and everything else with the
protocol's own error. Only the standard library is used at run time; the packaged server adds
python3-pyodbc (setup and the watch of PostgreSQL) and python3-jsonschema (validation of
server_config.json).
"""
