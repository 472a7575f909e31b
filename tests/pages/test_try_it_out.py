"""Swagger UI's "Try it out": what it fills in works as it stands. `test_browser.py` has how the pages look."""

from functools import partial

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.pages.browser import authorize, authorize_as_demo, execute, find, open_reference, press, until
from tests.support.document import OPERATIONS, parameters
from tests.support.service import Service, token
from tests.support.types import NewUser

OPTIONAL = ("Idempotency-Key", "If-Match", "If-None-Match")


def user_id(browser: Chrome, selector: str) -> WebElement:
    return find(browser, f"{selector} tr[data-param-name='user_id'] input")


def _has_value(selector: str, value: str, browser: Chrome) -> bool:
    return user_id(browser, selector).get_attribute("value") == value


def test_no_optional_header_field_has_an_example() -> None:
    """Swagger UI, fuzzers and mock servers send examples: a second creation would be a replay, and a change a 412."""
    headers = [one for name in OPERATIONS for one in parameters(name) if one["in"] == "header"]
    assert {one["name"] for one in headers} == set(OPTIONAL)
    assert [one["name"] for one in headers if {"example", "examples"} & (one.keys() | one["schema"].keys())] == []


@pytest.mark.exhaustive(0)
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


@pytest.mark.exhaustive(0)
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
        until(browser, partial(_has_value, opened, subject))
        assert user_id(browser, typed).get_attribute("value") == "typed"
    for selector in (shut, later):
        press(browser, f"{selector} .opblock-summary-control")
        assert user_id(browser, selector).get_attribute("value") == "second"


@pytest.mark.exhaustive(0)
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
