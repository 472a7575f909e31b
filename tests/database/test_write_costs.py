"""What a change of a task writes: the next version of its row, and no index entry."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from persistence import tasks
from persistence.migrations import runner
from persistence.postgres.database import Database
from persistence.users import Owner
from tests.support.waiting import until

_COUNT = 60
_Change = Callable[[Database, str, str], Awaitable[Any]]
_CHANGES: dict[str, _Change] = {
    "toggle": tasks.toggle,
    "update": lambda database, user, task: tasks.change(database, user, task, {"title": "Buy oat milk"}),
}


async def _changed(url: str, user: str, change: _Change) -> None:
    """Create tasks, which fill some pages, and change each of them once."""
    database = Database(size=1)
    await database.open(url)
    try:
        made = [await tasks.create(database, Owner(user), tasks.NewTask("Buy milk")) for _ in range(_COUNT)]
        for task in made:
            await change(database, user, str(task["id"]))
    finally:
        await database.close()


@pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES)
def test_a_change_needs_no_new_index_entry(empty: str, change: _Change) -> None:
    """PostgreSQL counts it as a HOT update: no index has a column that changes, and the page has room."""
    runner.upgrade(empty)
    asyncio.run(_changed(empty, "ada", change))
    with psycopg.connect(empty, autocommit=True) as connection:
        counted = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'tasks'"
        until(lambda: connection.execute(counted).fetchone() not in [None, (0, 0)])
        row = connection.execute(counted).fetchone()
        assert row is not None
        changed, hot = row
    # The last rows of a page that was filled to the end move to another one.
    assert changed == _COUNT
    assert hot >= changed * 0.9


def test_fewer_indexes_come_without_a_rewrite(empty: str) -> None:
    """Revision 0005 reads and writes no row, and can be undone."""
    indexes = "SELECT indexdef FROM pg_indexes WHERE tablename = 'tasks' ORDER BY 1"
    stored = "SELECT pg_relation_filenode('tasks'), xmin, ctid FROM tasks"
    runner.upgrade(empty)
    runner.downgrade(empty, "0004")
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("INSERT INTO users (id) VALUES ('ada')")
        connection.execute(
            "INSERT INTO tasks (user_id, id, title, title_key) VALUES ('ada', gen_random_uuid(), 't', 't')"
        )
        before, rows = connection.execute(indexes).fetchall(), connection.execute(stored).fetchall()
        assert len(before) == 9
        runner.upgrade(empty)
        assert connection.execute(stored).fetchall() == rows
        assert len(connection.execute(indexes).fetchall()) == 4
        runner.downgrade(empty, "0004")
        assert connection.execute(indexes).fetchall() == before
