"""Authentication: bearer tokens (RFC 6750, 7519) and the keys that verify them (RFC 7517)."""
