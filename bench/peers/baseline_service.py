"""The floor: bare ASGI with the service's own driver, pool and statements. No Python server on them can cost less."""

import os
from functools import partial

from bench.peers.baseline import BareApplication, Store
from persistence import tasks
from persistence.postgres.database import Database
from persistence.tasks import NewTask, PageRequest
from persistence.users import Owner


def create_app() -> BareApplication:
    """The application that uvicorn runs."""
    database = Database(size=10)
    store = Store(
        open=partial(database.open, os.environ["DATABASE_URL"]),
        close=database.close,
        page=lambda user_id, **query: tasks.page(database, user_id, PageRequest(**query)),
        create=lambda user_id, *, email, name, **members: tasks.create(
            database, Owner(user_id, email, name), NewTask(**members)
        ),
        get=partial(tasks.get, database),
        change=partial(tasks.change, database),
        toggle=partial(tasks.toggle, database),
        remove=partial(tasks.remove, database),
    )
    return BareApplication(store, os.environ["BETTER_AUTH_SECRET"])
