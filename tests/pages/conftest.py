"""A browser for the tests of a module."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from tests.pages.browser import complaints

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)


@contextlib.contextmanager
def running_chromium(profile: Path, *flags: str) -> Iterator[Chrome]:
    """Chromium with more flags. In CI there has to be one."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        if os.environ.get("CI"):
            pytest.fail("chromium or chromedriver is not installed")
        pytest.skip("chromium or chromedriver is not installed")
    options = ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, *flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    running = Chrome(options=options, service=ChromeService(driver))
    try:
        yield running
    finally:
        running.quit()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser for the tests of a module."""
    with running_chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def browser(chromium: Chrome) -> Iterator[Chrome]:
    """The browser. Afterwards nothing may stand on its console."""
    complaints(chromium)
    yield chromium
    assert complaints(chromium) == []
