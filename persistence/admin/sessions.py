"""Whether the service uses a database: its sessions there, by the name that it gives them."""

import psycopg

from persistence.errors import MigrationError
from persistence.migrations import runner

_CONNECT_TIMEOUT = 10
# Every role may see these columns of every session. A command of the operator, such as a backup, counts too.
_SESSIONS = """
    SELECT coalesce(host(client_addr), 'a socket') FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'tasks-api' AND pid <> pg_backend_pid()
"""


def service_sessions(url: str) -> list[str]:
    """Where the service's connections to the database at `url` come from, one entry for each.

    A running service has one at least, also when it is idle. A pooler keeps those of a service that has stopped, and
    is itself what they come from. Raises `MigrationError` if the database cannot be asked.
    """
    try:
        with psycopg.connect(url, connect_timeout=_CONNECT_TIMEOUT, prepare_threshold=None) as connection:
            return [str(row[0]) for row in connection.execute(_SESSIONS)]
    except psycopg.Error as error:
        raise MigrationError(runner.reason(error)) from error
