"""Swagger UI's "Try it out": what it fills in works as it stands. `test_browser.py` has how the pages look."""

from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from server.contract.document import load_document, operations
from tests.pages.browser import authorize, authorize_as_demo, block, execute, find, open_reference, press, until
from tests.support.document import OPERATIONS, parameters
from tests.support.service import Service, token
from tests.support.types import NewUser

DOCUMENT = load_document()
OPTIONAL = ("Idempotency-Key", "If-Match", "If-None-Match")


def user_id(browser: Chrome, selector: str) -> WebElement:
    return find(browser, f"{selector} tr[data-param-name='user_id'] input")


def expected_status(operation: dict[str, Any]) -> str:
    """The first success of an operation."""
    return min(status for status in operation["responses"] if status.startswith("2"))


def in_order() -> list[dict[str, Any]]:
    """Return all operations, each after those that it needs: the import makes the task whose id all examples have.

    A task is deleted last and restored first, for the other family; the user is deleted after everything else.
    """

    def rank(path: str, method: str) -> int:
        if path.endswith(("/import", "/restore")):
            return 0 if path.endswith("/import") else 1
        if method != "delete":
            return 2
        return 3 if path.endswith("/{task_id}") else 4 if path.endswith("/tasks") else 5

    found = [(rank(path, method), path, operation) for path, method, operation in operations(DOCUMENT)]
    families = [lambda path: path.startswith("/api/tasks"), lambda path: path.startswith("/api/{user_id}/tasks")]
    ranked: list[dict[str, Any]] = []
    for family in families:
        ranked += [operation for _, path, operation in sorted(found, key=lambda item: item[:2]) if family(path)]
    others = [item for item in found if not any(family(item[1]) for family in families)]
    return ranked + [operation for _, _, operation in sorted(others, key=lambda item: item[:2])]


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


def test_no_optional_header_field_has_an_example() -> None:
    """Swagger UI, fuzzers and mock servers send examples: a second creation would be a replay, and a change a 412."""
    headers = [one for name in OPERATIONS for one in parameters(name) if one["in"] == "header"]
    assert {one["name"] for one in headers} == set(OPTIONAL)
    assert [one["name"] for one in headers if {"example", "examples"} & (one.keys() | one["schema"].keys())] == []


def test_a_second_creation_is_another_task(service: Service, browser: Chrome, new_user: NewUser) -> None:
    subject = new_user("creator")
    open_reference(browser, service)
    authorize(browser, token(subject))
    selector = "#operations-My_tasks-createMyTask"
    press(browser, f"{selector} .opblock-summary-control")
    assert [execute(browser, selector) for _ in range(2)] == ["201", "201"]
    assert len(service.as_user(subject).get("/api/tasks").json()) == 2


def test_user_id_starts_as_the_subject_of_the_token(service: Service, browser: Chrome) -> None:
    open_reference(browser, service)
    authorize(browser, token("first \N{SNOWMAN}"))
    for name in ("Tasks-listTasks", "Tasks-getTask", "Users-getUser"):
        press(browser, f"#operations-{name} .opblock-summary-control")
        assert user_id(browser, f"#operations-{name}").get_attribute("value") == "first \N{SNOWMAN}"


def test_user_id_follows_the_token_that_is_entered(service: Service, browser: Chrome) -> None:
    """In operations that are open, were open before, or are opened later; but not over text that was typed."""
    open_reference(browser, service)
    opened, typed, shut, later = (
        f"#operations-Tasks-{name}" for name in ("listTasks", "getTask", "createTask", "exportTasks")
    )
    for selector in (opened, typed, shut):
        press(browser, f"{selector} .opblock-summary-control")
        assert user_id(browser, selector).get_attribute("value") != ""
    press(browser, f"{shut} .opblock-summary-control")
    field = user_id(browser, typed)
    field.clear()
    field.send_keys("typed")
    for subject in ("first", "second"):
        authorize(browser, token(subject))
        until(browser, lambda _, subject=subject: user_id(browser, opened).get_attribute("value") == subject)
        assert user_id(browser, typed).get_attribute("value") == "typed"
    for selector in (shut, later):
        press(browser, f"{selector} .opblock-summary-control")
        assert user_id(browser, selector).get_attribute("value") == "second"


def test_a_token_is_still_there_after_a_reload(service: Service, browser: Chrome) -> None:
    open_reference(browser, service)
    authorize_as_demo(browser)
    browser.refresh()
    find(browser, ".scheme-container .btn.authorize.locked")
    press(browser, "#operations-Auth-verifyToken .opblock-summary-control")
    assert execute(browser, "#operations-Auth-verifyToken") == "200"
    assert '"demo"' in browser.find_element(By.CSS_SELECTOR, "#operations-Auth-verifyToken .live-responses-table").text
    press(browser, "#operations-Users-getUser .opblock-summary-control")
    assert user_id(browser, "#operations-Users-getUser").get_attribute("value") == "demo"


def test_text_that_is_no_token_fills_in_nothing(service: Service, browser: Chrome) -> None:
    open_reference(browser, service)
    authorize(browser, "no.token.")
    press(browser, "#operations-Users-getUser .opblock-summary-control")
    assert user_id(browser, "#operations-Users-getUser").get_attribute("value") != "no.token."
