"""Rate limits: the policies, and where the requests are counted (in memory or in Redis)."""
