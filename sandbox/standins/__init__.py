"""Small servers that speak the wire protocols of systems whose packages cannot be had everywhere."""
