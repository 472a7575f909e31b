"""The embedded PostgreSQL of all contenders, with migrated and filled tables."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from psycopg.sql import SQL, Literal

from bench.operations import DEFAULT_TASKS, OPERATIONS, READINESS_USER, USER_BITS, USERS, task_id, user_id
from persistence.admin.embedded import embedded_server
from persistence.migrations import runner

_CROWD = 1000  # the number of the first user to whom no requests are sent
_PREPARE = r"""
    -- A checkpoint would be charged to the contender that is measured. Commits still wait for the disk.
    ALTER SYSTEM SET checkpoint_timeout = '1h';
    ALTER SYSTEM SET max_wal_size = '16GB';
    SELECT pg_reload_conf();
    -- The peers do not fill the column by which the service orders titles.
    ALTER TABLE tasks ALTER COLUMN title_key SET DEFAULT '\x01';
"""
_INSERT_USERS = """
    INSERT INTO users (id) SELECT 'bench-' || number FROM generate_series(%(first)s::bigint, %(last)s) AS number
    ON CONFLICT DO NOTHING
"""
# `title_key` is what `persistence.collation.title_key` returns for an ASCII title.
_INSERT_TASKS = """
    INSERT INTO tasks (user_id, id, title, title_key, description, completed, created_at, updated_at)
    SELECT 'bench-' || owner,
           (%(prefix)s || lpad(to_hex((owner << %(shift)s) + task), 12, '0'))::uuid,
           'Task number ' || task,
           convert_to('task number ' || task, 'UTF8'),
           CASE WHEN task %% 3 > 0 THEN 'What is to be done, and until when, in some eighty characters.' END,
           task %% 4 = 0,
           timestamptz '2026-01-01 00:00:00Z' + task * interval '1 minute',
           timestamptz '2026-01-01 00:00:00Z' + task * interval '1 minute'
    FROM generate_series(%(first)s::bigint, %(last)s) AS owner, generate_series(0, %(count)s::bigint - 1) AS task
"""


class BenchmarkDatabase:
    """A database with the users and tasks of the benchmark."""

    def __init__(self, url: str, connection: psycopg.Connection) -> None:
        """Apply the migrations and fill the tables of the database at `url`."""
        self.url = url
        self._connection = connection
        runner.upgrade(url)
        file = self._connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
        self.pid = int(str(file and file[0]).splitlines()[0])
        for statement in _PREPARE.split(";"):
            self._connection.execute(statement.encode())
        self._connection.execute(_INSERT_USERS, {"first": 0, "last": USERS - 1})
        counts = {operation.user: operation.tasks for operation in OPERATIONS.values()}
        for user in range(USERS):
            self._insert(user, user, counts.get(user, DEFAULT_TASKS))
        self._connection.execute("VACUUM ANALYZE")

    def fill(self, user: int, count: int) -> None:
        """Give the user the tasks with the numbers 0 to `count - 1`, as they were created, and no others."""
        self._connection.execute("DELETE FROM tasks WHERE user_id = %s", [user_id(user)])
        self._insert(user, user, count)
        self._connection.execute("VACUUM tasks")

    def replace_tasks(self, users: int, each: int) -> None:
        """Replace all tasks by those of so many users to whom no requests are sent, and the readiness task."""
        last = _CROWD + users - 1
        self._connection.execute("TRUNCATE tasks")
        self._connection.execute(_INSERT_USERS, {"first": _CROWD, "last": last})
        # Without triggers, and so without the checks of the foreign key, it takes two thirds of the time.
        self._connection.execute("SET session_replication_role = replica")
        self._insert(_CROWD, last, each)
        self._connection.execute("RESET session_replication_role")
        self.fill(READINESS_USER, 1)
        self._connection.execute("VACUUM ANALYZE tasks")
        self._connection.execute("CHECKPOINT")

    def explain(self, statement: bytes, values: Sequence[Any], times: int) -> tuple[float, str]:
        """The median execution time (ms) of a statement with `$1` and so on, and its last plan. Changes are undone."""
        self._connection.execute(b"PREPARE explained AS " + statement)
        call = SQL("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) EXECUTE explained ({})").format(
            SQL(", ").join(Literal(value) for value in values)
        )
        durations, plan = [], [""]
        for _ in range(times):
            with self._connection.transaction(force_rollback=True):
                plan = [line for (line,) in self._connection.execute(call)]
            durations.append(float(plan[-1].split()[2]))
        self._connection.execute("DEALLOCATE explained")
        return median(durations), "\n".join(plan)

    def _insert(self, first: int, last: int, count: int) -> None:
        parameters = {"prefix": str(task_id(0, 0))[:-12], "shift": USER_BITS}
        self._connection.execute(_INSERT_TASKS, {**parameters, "first": first, "last": last, "count": count})


@contextlib.contextmanager
def benchmark_database(directory: Path | None = None) -> Iterator[BenchmarkDatabase]:
    """A new database on an embedded PostgreSQL with its data in `directory`, by default a temporary one."""
    with contextlib.ExitStack() as stack:
        directory = directory or Path(stack.enter_context(tempfile.TemporaryDirectory()), "postgres")
        url = stack.enter_context(embedded_server(directory))
        # psycopg would prepare statements by itself and lose them in a rollback.
        connection = psycopg.connect(url, autocommit=True, prepare_threshold=None, options="-c TimeZone=UTC")
        yield BenchmarkDatabase(url, stack.enter_context(connection))
