"""What the role omero_server does on a host beside Ansible: the database, key stores, and a login."""
