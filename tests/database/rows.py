"""Rows that are written and counted without the service."""

from tests.support.types import Connection


def insert_tasks(connection: Connection, user_id: str, count: int, *, trashed_days: int | None = None) -> None:
    """Insert tasks of a user, who is created if missing; in the trash for `trashed_days` if that is given."""
    connection.execute("INSERT INTO users (id) VALUES (%s) ON CONFLICT DO NOTHING", [user_id])
    connection.execute(
        """
        INSERT INTO tasks (user_id, id, title, title_key, deleted_at)
        SELECT %s, gen_random_uuid(), 'title ' || n, '\\x01', now() - make_interval(days => %s)
        FROM generate_series(1, %s) n
        """,
        [user_id, trashed_days, count],
    )


def deadlocks(connection: Connection) -> int:
    """Return how many deadlocks PostgreSQL has counted in this database."""
    row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])
