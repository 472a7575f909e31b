"""Tasks, under `/api/{user_id}/tasks` and `/api/tasks`."""

import re
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from handlers.preconditions import entity_tag, expected_versions, read_idempotency_key
from handlers.types import Answer, Context
from persistence import bulk, idempotency, tasks
from persistence.cursor import Cursor
from persistence.export import Export
from persistence.postgres.statement import Row
from persistence.tasks import NewTask, PageRequest

_DOT_SEGMENT: Final = re.compile(r"/(?:\.|%2[Ee]){1,2}(?=/)")
"""The user ids `.` and `..` in a path. Resolving a reference removes them (RFC 3986, section 5.2.4)."""


async def list_tasks(context: Context, status: str, sort: str, limit: int, cursor: Cursor | None) -> Answer:
    """Return a page of tasks, with a `Link` to the next page (RFC 8288) if there is one."""
    page = await tasks.page(context.database, context.user.id, PageRequest(status, sort, limit, cursor))
    if page.next_cursor is None:
        return Answer(200, page.tasks)
    query = urlencode({"status": status, "sort": sort, "limit": limit, "cursor": page.next_cursor})
    return Answer(200, page.tasks, {"link": f'<{_collection(context)}?{query}>; rel="next"'})


async def create_task(context: Context, body: dict[str, Any], idempotency_key: str | None) -> Answer:
    """Create a task; with an idempotency key that was used before, return the task that it created."""
    new = NewTask(**body)
    key = read_idempotency_key(idempotency_key)
    if key is None:
        task, replayed = await tasks.create(context.database, context.user, new), False
    else:
        task, replayed = await idempotency.create_once(context.database, context.user, new, key)
    headers = {"location": f"{_collection(context)}/{task['id']}", "etag": entity_tag(task["updated_at"])}
    return _replayable(Answer(201, task, headers), replayed=replayed)


async def get_task(context: Context, task_id: str) -> Answer:
    """Return one task."""
    return _tagged(await tasks.get(context.database, context.user.id, task_id))


async def update_task(context: Context, task_id: str, body: dict[str, Any], if_match: str | None) -> Answer:
    """Change the members of the body, and return the task."""
    versions = expected_versions(if_match)
    return _tagged(await tasks.change(context.database, context.user.id, task_id, body, versions))


patch_task = update_task


async def delete_task(context: Context, task_id: str, if_match: str | None, *, permanent: bool) -> Answer:
    """Move a task to the trash, or delete it permanently."""
    delete = tasks.delete_permanently if permanent or not context.services.keeps_trash else tasks.soft_delete
    await delete(context.database, context.user.id, task_id, expected_versions(if_match))
    return Answer(204)


async def toggle_task(context: Context, task_id: str, if_match: str | None) -> Answer:
    """Invert `completed`, and return the task."""
    versions = expected_versions(if_match)
    return _tagged(await tasks.toggle(context.database, context.user.id, task_id, versions))


toggle_task_completion = toggle_task


async def restore_task(context: Context, task_id: str, idempotency_key: str | None) -> Answer:
    """Restore a task from the trash, and return it."""
    key = read_idempotency_key(idempotency_key)
    if key is None:
        return _tagged(await tasks.restore(context.database, context.user.id, task_id))
    task, replayed = await idempotency.restore_once(context.database, context.user, task_id, key)
    return _replayable(_tagged(task), replayed=replayed)


async def complete_all_tasks(context: Context, body: dict[str, Any], idempotency_key: str | None) -> Answer:
    """Complete or reopen all tasks; return the number that changed."""
    key = read_idempotency_key(idempotency_key)
    count, replayed = await bulk.complete_all(context.database, context.user, completed=body["completed"], key=key)
    return _replayable(Answer(200, {"count": count}), replayed=replayed)


async def clear_tasks(context: Context, status: str, idempotency_key: str | None, *, permanent: bool) -> Answer:
    """Delete all completed tasks, or empty the trash; return the number of tasks."""
    permanently = permanent or not context.services.keeps_trash
    key = read_idempotency_key(idempotency_key)
    count, replayed = await bulk.clear(context.database, context.user, status, permanently=permanently, key=key)
    return _replayable(Answer(200, {"count": count}), replayed=replayed)


async def export_tasks(context: Context, format: str, status: str) -> Answer:  # noqa: A002  the parameter's name
    """Return all tasks as a stream of records."""
    pages = Export(context.database, context.user.id, status=status)
    return Answer(200, pages, {"content-disposition": f'attachment; filename="tasks.{format}"'})


async def import_tasks(context: Context, body: list[dict[str, Any]], idempotency_key: str | None) -> Answer:
    """Insert the tasks of the body; return the numbers of new and of existing tasks."""
    key = read_idempotency_key(idempotency_key)
    imported, replayed = await bulk.import_tasks(context.database, context.user, body, key)
    return _replayable(Answer(200, {"imported": imported, "unchanged": len(body) - imported}), replayed=replayed)


def _collection(context: Context) -> str:
    """The path of the user's tasks, without a user id that clients remove as a dot segment."""
    return _DOT_SEGMENT.sub("", context.path)


def _tagged(task: Row) -> Answer:
    return Answer(200, task, {"etag": entity_tag(task["updated_at"])})


def _replayable(answer: Answer, *, replayed: bool) -> Answer:
    """The answer, marked if it repeats that of an earlier request with the same idempotency key."""
    return replace(answer, headers={**answer.headers, "idempotent-replayed": "true"}) if replayed else answer
