"""Swagger UI's "Try it out" on every operation, as it is filled in."""

from collections.abc import Mapping
from typing import Any

import pytest
from selenium.webdriver import Chrome

from server.contract.document import load_document, operations
from tests.pages.browser import authorize_as_demo, block, execute, open_reference, press
from tests.support.document import OPERATIONS
from tests.support.service import Service

DOCUMENT = load_document()


def expected_status(operation: Mapping[str, Any]) -> str:
    """The first success of an operation."""
    return min(str(status) for status in operation["responses"] if status.startswith("2"))


def rank(path: str, method: str) -> int:
    """Return when an operation can succeed: the import makes the task whose id all examples have.

    A task is deleted last and restored first, for the other family of paths.
    """
    if path.endswith(("/import", "/restore")):
        return 0 if path.endswith("/import") else 1
    if method != "delete":
        return 2
    return 3 if path.endswith("/{task_id}") else 4 if path.endswith("/tasks") else 5


def family(path: str) -> int:
    """Return 0 for the tasks of the token's user, 1 for those of the user in the path, and 2 for everything else."""
    prefixes = ("/api/tasks", "/api/{user_id}/tasks")
    return next((number for number, prefix in enumerate(prefixes) if path.startswith(prefix)), len(prefixes))


def in_order() -> list[Mapping[str, Any]]:
    """Return all operations, each after those that it needs. The user is deleted after everything else."""
    found = sorted(operations(DOCUMENT), key=lambda item: (family(item[0]), rank(*item[:2]), *item[:2]))
    return [operation for _, _, operation in found]


@pytest.mark.exhaustive(0)
@pytest.mark.slow
def test_every_operation_succeeds_as_filled_in(service: Service, browser: Chrome) -> None:
    """With the demo token, by pressing *Execute* and nothing else."""
    service.as_user("demo").delete("/api/me").raise_for_status()
    open_reference(browser, service)
    authorize_as_demo(browser)
    ordered = in_order()
    assert {operation["operationId"] for operation in ordered} == OPERATIONS.keys()
    found = {}
    for operation in ordered:
        selector = block(operation)
        press(browser, f"{selector} .opblock-summary-control")
        found[operation["operationId"]] = execute(browser, selector)
        press(browser, f"{selector} .opblock-summary-control")
    assert found == {operation["operationId"]: expected_status(operation) for operation in ordered}
