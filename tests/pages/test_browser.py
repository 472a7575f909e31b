"""The pages in a real browser, where there is one. The fixture fails a test that leaves a message on the console."""

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from server.contract.document import load_document, operations
from server.problems import NOT_READY
from tests.pages.browser import SIZES, block, complaints, find, open_reference, prefer, press, resize, until
from tests.support.service import Service, free_port, running_service

pytestmark = pytest.mark.exhaustive(6)

DOCUMENT = load_document()
PAGES = ["/", "/guide", "/problems", "/problems#validation-failed", "/docs"]
OTHERS = ["/openapi.json", "/openapi.yaml", "/metrics", "/health", "/health/ready"]


def test_a_browser_shows_the_first_page(service: Service, browser: Chrome) -> None:
    browser.get(f"{service.url}/")
    assert find(browser, "h1").text == DOCUMENT["info"]["title"]


def test_the_first_page_tells_that_the_database_is_away(chromium: Chrome, tmp_path: Path) -> None:
    """The operator of a Space sees this page before any log. The console has the 503 of the readiness."""
    nowhere = f"postgresql://127.0.0.1:{free_port()}/none"
    with running_service(tmp_path, ready=False, output=None, DATABASE_URL=nowhere) as service:
        chromium.get(f"{service.url}/")
        assert service.client().get("/health/ready").json()["detail"] == NOT_READY
        assert find(chromium, "#status").text == f"The service is not ready: {NOT_READY}"
    assert "503" in " ".join(complaints(chromium))


@pytest.mark.parametrize("path", OTHERS)
def test_what_is_not_a_page_has_an_icon_too(service: Service, browser: Chrome, path: str) -> None:
    """The browser asks for `/favicon.ico`; without one there would be an error on the console."""
    browser.get(f"{service.url}{path}")
    find(browser, "body")


def test_a_browser_shows_every_operation(service: Service, browser: Chrome) -> None:
    open_reference(browser, service)
    for _, _, operation in operations(DOCUMENT):
        assert operation["summary"] in find(browser, block(operation)).text


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_first_screen_shows_authorize_and_an_operation(
    service: Service, browser: Chrome, width: int, height: int
) -> None:
    """Also a second operation, and the button for the demo token; on each of the screens."""
    resize(browser, width, height)
    open_reference(browser, service)
    for selector in (".btn.authorize", ".demo-token", ".opblock", ".opblock:nth-of-type(1)"):
        element = find(browser, selector)
        assert 0 <= element.rect["y"] < element.rect["y"] + element.rect["height"] <= height
        assert element.rect["x"] + element.rect["width"] <= width


def test_schemas_are_closed(service: Service, browser: Chrome) -> None:
    open_reference(browser, service)
    assert find(browser, ".models").get_attribute("class") == "models"
    assert browser.find_elements(By.CSS_SELECTOR, ".models .model-container, .models .json-schema-2020-12") == []


def test_a_single_server_is_not_a_choice(service: Service, browser: Chrome) -> None:
    open_reference(browser, service)
    assert not browser.find_element(By.CSS_SELECTOR, ".schemes-server-container").is_displayed()


def test_the_reference_links_to_the_guide(service: Service, browser: Chrome) -> None:
    open_reference(browser, service)
    assert find(browser, ".info__extdocs").get_attribute("href") == f"{service.url}/guide"
    find(browser, ".info a[href='guide']")


def brightness(browser: Chrome, selector: str, what: str) -> int:
    """Return the mean of red, green and blue of the first background that is not transparent, or of the text."""
    script = """
        let element = document.querySelector(arguments[0]);
        let colour = getComputedStyle(element)[arguments[1]];
        while (colour === "rgba(0, 0, 0, 0)" && (element = element.parentElement)) {
            colour = getComputedStyle(element)[arguments[1]];
        }
        const [red, green, blue] = colour.match(/[0-9]+/g).map(Number);
        return Math.round((red + green + blue) / 3);
    """
    found: int = browser.execute_script(script, selector, what)
    return found


@pytest.mark.exhaustive(4)
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_legible_in_light_and_in_dark(
    service: Service, browser: Chrome, path: str, width: int, height: int
) -> None:
    """It is not wider than the screen either."""
    resize(browser, width, height)
    for scheme in ("light", "dark"):
        prefer(browser, scheme)
        browser.get("about:blank")
        browser.get(f"{service.url}{path}")
        texts = ["p", ".btn.authorize", ".demo-token", ".opblock-summary-path"] if path == "/docs" else ["h1", "p", "a"]
        for selector in texts:
            find(browser, selector)
            paper, text = (brightness(browser, selector, what) for what in ("backgroundColor", "color"))
            assert (paper > text) == (scheme == "light"), (selector, paper, text)
            assert abs(paper - text) > 90
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    prefer(browser, "light")


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_an_open_operation_is_not_wider_than_the_screen(
    service: Service, browser: Chrome, width: int, height: int
) -> None:
    resize(browser, width, height)
    open_reference(browser, service)
    press(browser, "#operations-Tasks-importTasks .opblock-summary-control")
    press(browser, "#operations-Tasks-listTasks .opblock-summary-control")
    for name in ("importTasks", "listTasks"):
        find(browser, f"#operations-Tasks-{name} .responses-table")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_a_change_of_the_colour_scheme_is_followed(service: Service, browser: Chrome) -> None:
    prefer(browser, "dark")
    open_reference(browser, service)
    dark = brightness(browser, ".info", "backgroundColor")
    prefer(browser, "light")
    assert dark < 60
    until(browser, lambda _: brightness(browser, ".info", "backgroundColor") > 200)
