"""Facilities' buffer servers: the accounts, groups and folders by which people deliver data there."""
