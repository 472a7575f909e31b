"""What a write costs PostgreSQL, and a page a user with many tasks, at two revisions of the schema."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import UUID

import psycopg
from uuid_utils.compat import uuid7

from bench.load import Sample
from bench.parts import Options
from bench.processes import cpu_seconds
from bench.results import Part
from persistence import migrations, tasks
from persistence.admin.embedded import embedded_server
from persistence.migrations import runner
from persistence.postgres.database import Database
from persistence.postgres.statement import Statement
from persistence.users import Owner

_REVISIONS: Final = {"0004": "before", "head": "after"}
_USERS, _EACH = 2_000, 100
_LARGE: Final = {1_000: "one-thousand", 10_000: "ten-thousand"}
_WRITES, _PAGES = 2_000, 21
_SETTINGS: Final = ("autovacuum = off", "checkpoint_timeout = '1h'", "max_wal_size = '16GB'")
# In the order in which tasks are created: those of one user are far apart.
_FILL: Final = """
    INSERT INTO tasks (user_id, id, title, title_key, description, completed, created_at, updated_at)
    SELECT owner, gen_random_uuid(), 'Task number ' || n, convert_to('task number ' || n, 'UTF8'),
           CASE WHEN n %% 3 = 0 THEN 'What is to be done, and until when.' END, n %% 4 = 0, at, at
    FROM (SELECT owner, n, timestamptz '2026-01-01 00:00Z' + random() * interval '300 days' AS at FROM (
        SELECT md5('user ' || u) AS owner, n FROM generate_series(1, %(users)s) u, generate_series(1, %(each)s) n
        UNION ALL SELECT name, n FROM unnest(%(names)s::text[], %(counts)s::int[]) l (name, c), generate_series(1, c) n
    ) AS wanted ORDER BY random()) AS shuffled
"""
_SIZES: Final = """
    SELECT c.relname, pg_relation_size(c.oid) FROM pg_class c
    WHERE c.oid = 'tasks'::regclass OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'tasks'::regclass)
"""
_COUNTERS: Final = """
    SELECT pg_current_wal_insert_lsn() - '0/0', d.blks_hit + d.blks_read, t.n_tup_upd, t.n_tup_hot_upd
    FROM pg_stat_database d, pg_stat_user_tables t WHERE d.datname = current_database() AND t.relname = 'tasks'
"""
_OWNER: Final = Owner("").parameters()
_OPERATIONS: Final[dict[str, tuple[str, Statement]]] = {
    "create": ("Create", tasks._INSERT),  # noqa: SLF001  the statements are what is measured
    "toggle": ("Toggle", tasks._TOGGLE.unconditional),  # noqa: SLF001
    "update": ("Update of a title", tasks._UPDATE[frozenset({"title"})].unconditional),  # noqa: SLF001
    "soft_delete": ("Delete, to the trash", tasks._SOFT_DELETE.unconditional),  # noqa: SLF001
    "restore": ("Restore", tasks._RESTORE),  # noqa: SLF001
    "delete": ("Delete permanently", tasks._DELETE.unconditional),  # noqa: SLF001
}


def database(options: Options) -> Part:
    """WAL, CPU, buffers and HOT updates of each write, bytes on disk, and the time of pages, at both revisions."""
    samples: list[Sample] = []
    for number in range(options.rounds):
        for revision, schema in _REVISIONS.items():
            with _filled(revision) as (url, connection):
                samples += ({"kind": schema, "round": number, **found} for found in _measured(url, connection))
    titles = {name: title for name, (title, _) in _OPERATIONS.items()}
    about = {"users": _USERS, "each": _EACH, "operations": titles, "large": list(_LARGE)}
    return Part(about, samples)


@contextlib.contextmanager
def _filled(revision: str) -> Iterator[tuple[str, psycopg.Connection[Any]]]:
    with tempfile.TemporaryDirectory() as directory, embedded_server(Path(directory, "postgres")) as url:
        with runner.exclusive(url) as migrating:
            runner.move(migrating, migrations.head() if revision == "head" else revision)
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
            for setting in _SETTINGS:
                connection.execute(f"ALTER SYSTEM SET {setting}".encode())
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(
                "INSERT INTO users (id) SELECT md5('user ' || u) FROM generate_series(1, %s) u", [_USERS]
            )
            connection.execute("INSERT INTO users (id) SELECT unnest(%s::text[])", [list(_LARGE.values())])
            sizes = {"names": list(_LARGE.values()), "counts": list(_LARGE)}
            connection.execute(_FILL, {"users": _USERS, "each": _EACH, **sizes})
            connection.execute("VACUUM (ANALYZE) tasks")
            yield url, connection


def _measured(url: str, connection: psycopg.Connection[Any]) -> Iterator[Sample]:
    total = _USERS * _EACH + sum(_LARGE)
    for name, size in connection.execute(_SIZES).fetchall():
        yield {"relation": name, "bytes": round(size / total, 1)}
    yield from asyncio.run(_pages(url, connection))
    for images in (False, True):
        connection.execute(f"ALTER SYSTEM SET full_page_writes = {'on' if images else 'off'}".encode())
        connection.execute("SELECT pg_reload_conf()")
        chosen = connection.execute(
            "SELECT user_id, id FROM tasks WHERE length(user_id) = 32 ORDER BY random() LIMIT %s", [_WRITES]
        ).fetchall()
        for name, (_, statement) in _OPERATIONS.items():
            connection.execute("CHECKPOINT")
            yield {"operation": name, "images": images, **_block(url, connection, statement, chosen)}


def _block(
    url: str, reader: psycopg.Connection[Any], statement: Statement, chosen: list[tuple[str, UUID]]
) -> dict[str, float | None]:
    """Run the statement on each of the tasks, and return the costs of one."""
    given = {**_OWNER, "title": "Buy oat milk", "title_key": b"buy oat milk", "description": None, "completed": False}
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        cursor = psycopg.RawCursor(connection)
        before, cpu = reader.execute(_COUNTERS).fetchone() or (), cpu_seconds(connection.info.backend_pid)
        for user, task in chosen:
            new = uuid7() if statement.label == "create_task" else task
            values = {**given, "new_title": f"Changed {task}", "user_id": user, "id": new}
            cursor.execute(statement.text, statement.values(values))
        cpu = cpu_seconds(connection.info.backend_pid) - cpu
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.execute("SELECT 1")
    after = reader.execute(_COUNTERS).fetchone() or ()
    wal, buffers, updates, hot = (new - old for old, new in zip(before, after, strict=True))
    count = len(chosen)
    return {
        "wal_bytes": round(float(wal) / count),
        "cpu_us": round(cpu / count * 1e6, 1),
        "buffers": round(buffers / count, 1),
        "hot": round(hot / updates, 3) if updates else None,
    }


async def _pages(url: str, reader: psycopg.Connection[Any]) -> list[Sample]:
    """The milliseconds of CPU time for a page: in PostgreSQL, and for its rows in Python."""
    access = Database(size=1)
    await access.open(url)
    await tasks.page(access, "", tasks.PageRequest("all", "created", 1))
    backend = "SELECT pid FROM pg_stat_activity WHERE application_name = 'tasks-api' AND pid <> pg_backend_pid()"
    ((pid,),) = reader.execute(backend).fetchall()
    # The clock of a process on Linux (clock_getcpuclockid).
    clock = (~pid << 3) | 2
    found: list[Sample] = []
    for count, user in _LARGE.items():
        for sort in ("created", "title", "updated"):
            for limit in (20, 1_000):
                times = []
                for _ in range(_PAGES):
                    begun = time.clock_gettime(clock) + time.process_time()
                    await tasks.page(access, user, tasks.PageRequest("all", sort, limit))
                    times.append(time.clock_gettime(clock) + time.process_time() - begun)
                found.append({"sort": sort, "limit": limit, "tasks": count, "ms": round(median(times) * 1e3, 3)})
    await access.close()
    return found
