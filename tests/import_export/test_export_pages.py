"""The pages of an export: bounded by their size, and all tasks once."""

import orjson
import pytest

from persistence.export import PAGE_BYTES, Export
from persistence.postgres.database import Database
from server.formats.strict_json import ORJSON_OPTIONS
from tests.support.types import Connection, NewUser

ROWS = {
    "short": [("t", None)] * 2_000,
    "long": [("t" * 200, "d" * 1_000)] * 500,
    "escaped": [("\x01" * 200, '\x02"\\' * 333)] * 100,
    "four bytes a character": [("\N{GRINNING FACE}" * 200, "\N{GRINNING FACE}" * 1_000)] * 100,
    "short, then long": [("t", None)] * 600 + [("t", "d" * 1_000)] * 600,
    "beyond a page each": [("t", "\x01" * 30_000)] * 3,
    "none": [],
}


async def _pages(database_url: str, user_id: str) -> list[list[dict[str, object]]]:
    database = Database(size=1)
    await database.open(database_url)
    try:
        return [page async for page in Export(database, user_id, status="all")]
    finally:
        await database.close()


@pytest.mark.anyio
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.usefixtures("service")
async def test_pages_are_bounded_by_their_size(
    database_url: str, connection: Connection, new_user: NewUser, rows: list[tuple[str, str | None]]
) -> None:
    """At most 128 KiB as JSON, if there is more than one task on a page, and few pages."""
    subject = new_user('ada "\N{SNOWMAN}"')
    connection.execute("INSERT INTO users (id) VALUES (%s)", [subject])
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO tasks (user_id, id, title, title_key, description, created_at) "
            "VALUES (%s, gen_random_uuid(), %s, '\\x01', %s, now() + %s * interval '1 microsecond')",
            [(subject, *row, number) for number, row in enumerate(rows)],
        )
    pages = await _pages(database_url, subject)
    found = [(task["title"], task["description"]) for page in pages for task in page]
    assert found == rows
    sizes = [sum(len(orjson.dumps(task, option=ORJSON_OPTIONS)) + 1 for task in page) for page in pages]
    assert all(size <= PAGE_BYTES or len(page) == 1 for size, page in zip(sizes, pages, strict=True))
    assert len(pages) <= 4 + 2 * sum(sizes) / PAGE_BYTES
