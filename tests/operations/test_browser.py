"""The pages in a real browser, where there is one."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import element_to_be_clickable
from selenium.webdriver.support.wait import WebDriverWait

from server.contract.document import load_document, operations
from tests.support.service import Service, token

DOCUMENT = load_document()
BROWSER_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--window-size=1200,1600",
)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    """Chromium, as Debian packages it with its driver. In CI there has to be one."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        if os.environ.get("CI"):
            pytest.fail("chromium or chromedriver is not installed")
        pytest.skip("chromium or chromedriver is not installed")
    options = ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in BROWSER_FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    running = Chrome(options=options, service=ChromeService(driver))
    yield running
    running.quit()


def complaints(browser: Chrome) -> list[str]:
    """Return the messages on the browser's console: a blocked script or style would be among them."""
    return [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]


def find(browser: Chrome, selector: str) -> WebElement:
    """The element, once it is there and can be used."""
    return WebDriverWait(browser, 20).until(element_to_be_clickable((By.CSS_SELECTOR, selector)))


def test_a_browser_shows_the_first_page_without_complaint(service: Service, browser: Chrome) -> None:
    browser.get(f"{service.url}/")
    assert find(browser, "h1").text == DOCUMENT["info"]["title"]
    assert complaints(browser) == []


def test_a_browser_shows_every_operation(service: Service, browser: Chrome) -> None:
    browser.get(f"{service.url}/docs")
    for _, _, operation in operations(DOCUMENT):
        tag = operation["tags"][0].replace(" ", "_")
        shown = find(browser, f"#operations-{tag}-{operation['operationId']}")
        assert operation["summary"] in shown.text
    assert complaints(browser) == []


def test_a_reader_can_authorize_and_try_an_operation(service: Service, browser: Chrome) -> None:
    browser.get(f"{service.url}/docs")
    find(browser, ".btn.authorize").click()
    find(browser, ".modal-ux input").send_keys(token("reader"))
    find(browser, ".modal-ux .btn.authorize").click()
    find(browser, ".modal-ux .btn-done").click()
    find(browser, "#operations-Auth-verifyToken .opblock-summary-control").click()
    find(browser, "#operations-Auth-verifyToken .execute").click()
    answer = find(browser, "#operations-Auth-verifyToken .live-responses-table .highlight-code").text
    assert '"user_id": "reader"' in answer
    assert complaints(browser) == []


def resize(browser: Chrome, width: int, height: int, *, mobile: bool = False) -> None:
    """Give the page a viewport of this size in CSS pixels, which a headless window is not."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def test_the_first_screen_shows_authorize_and_an_operation(service: Service, browser: Chrome) -> None:
    resize(browser, 1280, 900)
    browser.get(f"{service.url}/docs")
    for selector in (".btn.authorize", ".opblock"):
        element = find(browser, selector)
        assert element.rect["y"] + element.rect["height"] <= 900


def test_the_reference_links_to_the_guide(service: Service, browser: Chrome) -> None:
    browser.get(f"{service.url}/docs")
    assert find(browser, ".info__extdocs").get_attribute("href") == f"{service.url}/guide"
    find(browser, ".info a[href='guide']")


@pytest.mark.parametrize("path", ["/", "/guide", "/problems"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(service: Service, browser: Chrome, path: str, width: int) -> None:
    resize(browser, width, 844, mobile=width < 500)
    browser.get(f"{service.url}{path}")
    find(browser, "h1")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert complaints(browser) == []
