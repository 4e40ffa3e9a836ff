"""The OpenID Connect provider: codes, tokens, claims, and the ends of sessions."""
