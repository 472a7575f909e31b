"""Chromium, as Debian packages it with its driver, and what the tests do with Swagger UI in it."""

from collections.abc import Callable, Mapping
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import element_to_be_clickable
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.service import Service

SECONDS = 30
SIZES = [(1280, 900), (390, 844)]
"""The viewports of a desktop and of a telephone, in CSS pixels."""


def complaints(browser: Chrome) -> list[str]:
    """Return the messages on the browser's console: a blocked script or style would be among them."""
    return [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]


def find(browser: Chrome, selector: str) -> WebElement:
    """The element, once it is there and can be used."""
    return WebDriverWait(browser, SECONDS, poll_frequency=0.05).until(
        element_to_be_clickable((By.CSS_SELECTOR, selector))
    )


def until(browser: Chrome, condition: Callable[[Chrome], bool]) -> None:
    """Wait until the condition is true."""
    WebDriverWait(browser, SECONDS, poll_frequency=0.05).until(condition)


def press(browser: Chrome, selector: str) -> None:
    """Click the element, wherever on the page it is."""
    browser.execute_script("arguments[0].click()", find(browser, selector))


def resize(browser: Chrome, width: int, height: int) -> None:
    """Give the page a viewport of this size, which a headless window is not."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def prefer(browser: Chrome, scheme: str) -> None:
    """Choose the colour scheme, `light` or `dark`, that the user of the browser prefers."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def open_reference(browser: Chrome, service: Service) -> None:
    """Open `/docs` without the token that an earlier test has left in the browser."""
    browser.get(f"{service.url}/docs")
    browser.execute_script("localStorage.clear()")
    browser.get(f"{service.url}/docs")
    find(browser, ".opblock")


def authorize(browser: Chrome, token: str) -> None:
    """Enter a token, in the place of one that was entered before."""
    press(browser, ".scheme-container .btn.authorize")
    for logout in browser.find_elements(
        By.CSS_SELECTOR, ".modal-ux .auth-btn-wrapper .btn.auth:not(.authorize, .btn-done)"
    ):
        logout.click()
    find(browser, ".modal-ux input").send_keys(token)
    find(browser, ".modal-ux .btn.authorize").click()
    find(browser, ".modal-ux .btn-done").click()


def authorize_as_demo(browser: Chrome) -> None:
    """Press the button that enters the demo token, and wait until it is entered."""
    press(browser, ".demo-token")
    find(browser, ".scheme-container .btn.authorize.locked")


def block(operation: Mapping[str, Any]) -> str:
    """The selector of an operation."""
    (tag,) = operation["tags"]
    return f"#operations-{tag.replace(' ', '_')}-{operation['operationId']}"


def execute(browser: Chrome, selector: str) -> str:
    """Press *Execute* in an operation that is open, and return the status that Swagger UI shows."""
    for clear in browser.find_elements(By.CSS_SELECTOR, f"{selector} .btn-clear"):
        browser.execute_script("arguments[0].click()", clear)
    until(browser, lambda _: not browser.find_elements(By.CSS_SELECTOR, f"{selector} .live-responses-table"))
    press(browser, f"{selector} .execute")
    return find(browser, f"{selector} .live-responses-table tbody .response-col_status").text
