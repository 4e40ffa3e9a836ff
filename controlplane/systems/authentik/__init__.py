"""The login server: groups of the platform, facilities, teams and roles, who is in them, and what they may
do."""
