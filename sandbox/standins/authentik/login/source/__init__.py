"""Other OpenID Connect providers as sources: people who log in there log in here."""
