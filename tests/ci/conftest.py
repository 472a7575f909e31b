"""The converters of the document, which `make test` installs where npm is."""

import os

import pytest

from docs.release import CONVERT


@pytest.fixture(scope="session")
def converters() -> None:
    """Skip the test without the converters; in CI it fails."""
    if not (CONVERT.parent / "node_modules").exists():
        reason = "The converters are not installed: run `make openapi/convert/node_modules` where npm is."
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
