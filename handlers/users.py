"""Users: the profile and the deletion of the user that the token identifies."""

from handlers.types import Answer, Context
from persistence import users


async def get_user(context: Context) -> Answer:
    """Return the user's profile with task counts."""
    row = await users.profile(context.database, context.user)
    counts = {name: row.pop(name) for name in ("total", "completed", "pending")}
    return Answer(200, {**row, "tasks": counts})


async def delete_user(context: Context) -> Answer:
    """Delete the user with all their data."""
    await users.remove(context.database, context.user.id)
    return Answer(204)


get_me = get_user
delete_me = delete_user
