"""Tasks, under the path of their owner or of whoever the token names."""

from typing import Any
from urllib.parse import urlencode

from handlers.exchange import Answer, Context
from persistence import tasks


async def list_tasks(context: Context, status: str, sort: str, limit: int, cursor: str | None) -> Answer:
    """A page of tasks, with a `Link` to the next one (RFC 8288) where there is more."""
    page = await tasks.page(
        context.database, context.principal.subject, status=status, sort=sort, limit=limit, cursor=cursor
    )
    if page.next_cursor is None:
        return Answer(200, page.tasks)
    query = urlencode({"status": status, "sort": sort, "limit": limit, "cursor": page.next_cursor})
    return Answer(200, page.tasks, {"link": f'<{context.path}?{query}>; rel="next"'})


async def create_task(context: Context, body: dict[str, Any]) -> Answer:
    """A new task, and where it is."""
    who = context.principal
    task = await tasks.create(
        context.database,
        who.subject,
        email=who.email,
        name=who.name,
        title=body["title"],
        description=body.get("description"),
        completed=body["completed"],
    )
    return Answer(201, task, {"location": f"{context.path}/{task['id']}"})


async def get_task(context: Context, task_id: str) -> Answer:
    """One task."""
    return Answer(200, await tasks.get(context.database, context.principal.subject, task_id))


async def update_task(context: Context, task_id: str, body: dict[str, Any]) -> Answer:
    """The task with the members of the body changed."""
    return Answer(200, await tasks.change(context.database, context.principal.subject, task_id, body))


async def delete_task(context: Context, task_id: str) -> Answer:
    """Nothing, and the task is gone."""
    await tasks.remove(context.database, context.principal.subject, task_id)
    return Answer(204)


async def toggle_task(context: Context, task_id: str) -> Answer:
    """The task with `completed` flipped."""
    return Answer(200, await tasks.toggle(context.database, context.principal.subject, task_id))


list_my_tasks = list_tasks
create_my_task = create_task
get_my_task = get_task
update_my_task = update_task
delete_my_task = delete_task
toggle_my_task = toggle_task
