"""The command `tasks-api`, run in this process."""

from tests.operations.conftest import tasks_api

__all__ = ["tasks_api"]
