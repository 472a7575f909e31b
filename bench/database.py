"""The database that all contenders share: an embedded PostgreSQL with migrated, filled tables."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from bench.operations import (
    IDS_OF_USER_BITS,
    OPERATIONS,
    TASKS_OF_OTHERS,
    USER_PREFIX,
    USERS,
    WITNESS,
    task_id,
    user_id,
)
from bench.processes import ProcessTree
from persistence import migrations
from persistence.admin.embedded import embedded_server

# A checkpoint in the middle of one contender's block would be charged to it. Commits still wait for the disk.
_SETTINGS = {"checkpoint_timeout": "1h", "max_wal_size": "16GB"}

# The key is what `persistence.collation.title_key` makes of a title in ASCII.
_INSERT = """
    INSERT INTO tasks (user_id, id, title, title_key, description, completed, created_at, updated_at)
    SELECT owner.name,
           (%(prefix)s || lpad(to_hex((owner.number << %(shift)s) + task.number), 12, '0'))::uuid,
           'Task number ' || task.number,
           convert_to('task number ' || task.number, 'UTF8'),
           CASE WHEN task.number %% 3 > 0 THEN 'What is to be done, and until when, in some eighty characters.' END,
           task.number %% 4 = 0,
           timestamptz '2026-01-01 00:00:00Z' + task.number * interval '1 minute',
           timestamptz '2026-01-01 00:00:00Z' + task.number * interval '1 minute'
    FROM (SELECT number, %(name)s || number FROM generate_series(%(first)s::bigint, %(last)s) AS number)
             AS owner (number, name),
         generate_series(0, %(count)s::bigint - 1) AS task (number)
"""
_INSERT_USERS = """
    INSERT INTO users (id)
    SELECT %(name)s || number FROM generate_series(%(first)s::bigint, %(last)s) AS number
    ON CONFLICT DO NOTHING
"""
_CROWD = "crowd-"
_CROWD_FROM = 1000


@dataclass(frozen=True, slots=True)
class Explained:
    """The median execution time of a statement, and the plan of its last execution."""

    milliseconds: float
    plan: str


class BenchmarkDatabase:
    """A running PostgreSQL at `url` with the benchmark's users and their tasks."""

    def __init__(self, url: str) -> None:
        self.url = url
        # psycopg's own prepared statements end with a transaction that is undone, and take ours with them.
        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=None, options="-c TimeZone=UTC")
        self.processes = ProcessTree(_postmaster(Path(self.show("data_directory"))))

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def show(self, setting: str) -> str:
        """The value of a setting of the server."""
        row = self._connection.execute(SQL("SHOW {}").format(Identifier(setting))).fetchone()
        return str(row[0]) if row else ""

    def prepare(self) -> None:
        """Settle the server, and make all users and their tasks."""
        for setting, value in _SETTINGS.items():
            self._connection.execute(SQL("ALTER SYSTEM SET {} = {}").format(Identifier(setting), value))
        self._connection.execute("SELECT pg_reload_conf()")
        # The peers know nothing of the key that our lists by title are ordered by.
        self._connection.execute(r"ALTER TABLE tasks ALTER COLUMN title_key SET DEFAULT '\x01'")
        self._connection.execute(_INSERT_USERS, {"name": USER_PREFIX, "first": 0, "last": USERS - 1})
        counts = {operation.user: operation.tasks for operation in OPERATIONS}
        for user in range(USERS):
            self._insert(USER_PREFIX, user, user, counts.get(user, TASKS_OF_OTHERS))
        self._connection.execute("VACUUM ANALYZE")

    def fill(self, user: int, count: int) -> None:
        """Let the user have these tasks and no others: those with the numbers 0 to `count - 1`, as they were made."""
        self._connection.execute("DELETE FROM tasks WHERE user_id = %s", [user_id(user)])
        self._insert(USER_PREFIX, user, user, count)
        self._connection.execute("VACUUM tasks")

    def empty(self) -> None:
        """Remove all tasks but the one that tells that a server is ready."""
        self._connection.execute("TRUNCATE tasks")
        self.fill(WITNESS, 1)

    def fill_crowd(self, users: int, tasks: int) -> None:
        """Add so many users with so many tasks each, of whom no requests are made."""
        last = _CROWD_FROM + users - 1
        self._connection.execute(_INSERT_USERS, {"name": _CROWD, "first": _CROWD_FROM, "last": last})
        with self._without_indexes():
            self._insert(_CROWD, _CROWD_FROM, last, tasks)
        self._connection.execute("VACUUM ANALYZE tasks")
        self._connection.execute("CHECKPOINT")

    @contextlib.contextmanager
    def another(self, name: str) -> Iterator["BenchmarkDatabase"]:
        """A second database of the same server, filled like the first."""
        self._connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        with _migrated(urlsplit(self.url)._replace(path=f"/{name}").geturl()) as database:
            yield database

    def explain(self, statement: bytes, values: Sequence[Any], times: int) -> Explained:
        """How PostgreSQL runs a statement with `$1` and so on for its values. What it changed is undone."""
        self._connection.execute(b"PREPARE explained AS " + statement)
        call = SQL("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) EXECUTE explained ({})").format(
            SQL(", ").join(Literal(value) for value in values)
        )
        try:
            plans = [self._plan(call) for _ in range(times)]
        finally:
            self._connection.execute("DEALLOCATE explained")
        return Explained(median(_execution_ms(plan) for plan in plans), "\n".join(plans[-1]))

    def _plan(self, call: Composed) -> list[str]:
        with self._connection.transaction(force_rollback=True):
            return [line for (line,) in self._connection.execute(call)]

    @contextlib.contextmanager
    def _without_indexes(self) -> Iterator[None]:
        """Sorting all rows once is many times faster than putting each into its places."""
        indexes = self._connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'tasks' AND indexname NOT LIKE 'pk%'"
        ).fetchall()
        for name, _ in indexes:
            self._connection.execute(SQL("DROP INDEX {}").format(Identifier(name)))
        # The foreign key, too, is checked row by row.
        self._connection.execute("SET session_replication_role = replica; SET maintenance_work_mem = '1GB'")
        yield
        for _, definition in indexes:
            self._connection.execute(definition)
        self._connection.execute("RESET session_replication_role; RESET maintenance_work_mem")

    def _insert(self, name: str, first: int, last: int, count: int) -> None:
        prefix = str(task_id(0, 0))[:-12]
        parameters = {"prefix": prefix, "shift": IDS_OF_USER_BITS, "name": name, "first": first, "last": last}
        self._connection.execute(_INSERT, {**parameters, "count": count})


@contextlib.contextmanager
def benchmark_database() -> Iterator[BenchmarkDatabase]:
    """A new database with everything in it, gone afterwards."""
    with tempfile.TemporaryDirectory() as name, database_in(Path(name, "postgres")) as database:
        yield database


@contextlib.contextmanager
def database_in(directory: Path) -> Iterator[BenchmarkDatabase]:
    """A new database with everything in it, whose data are kept in the directory."""
    with embedded_server(directory) as url, _migrated(url) as database:
        yield database


@contextlib.contextmanager
def _migrated(url: str) -> Iterator[BenchmarkDatabase]:
    migrations.upgrade(url)
    with contextlib.closing(BenchmarkDatabase(url)) as database:
        database.prepare()
        yield database


def _execution_ms(plan: Sequence[str]) -> float:
    (line,) = (line for line in plan if line.startswith("Execution Time: "))
    return float(line.split()[2])


def _postmaster(data: Path) -> int:
    return int((data / "postmaster.pid").read_text().splitlines()[0])
