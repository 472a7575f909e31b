"""Users, as their tokens describe them."""

from handlers.types import Answer, Context
from persistence import users


async def get_user(context: Context) -> Answer:
    """The profile of whoever the token names, with the numbers of their tasks."""
    row = await users.profile(context.database, context.user)
    counts = {name: row.pop(name) for name in ("total", "completed", "pending")}
    return Answer(200, {**row, "tasks": counts})


async def delete_user(context: Context) -> Answer:
    """Nothing, and nothing is kept of whoever the token names."""
    await users.remove(context.database, context.user.id)
    return Answer(204)


get_me = get_user
delete_me = delete_user
