"""The PostgreSQL driver: connections, the pool, statements. Knows no table."""
