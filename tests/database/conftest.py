"""An empty database, and one with the schema."""

from collections.abc import Iterator

import pytest

from persistence.migrations import runner
from tests.support.servers.postgres import fresh_database


@pytest.fixture
def empty(database_url: str) -> Iterator[str]:
    with fresh_database(database_url) as url:
        yield url


@pytest.fixture(scope="module")
def migrated(database_url: str) -> Iterator[str]:
    with fresh_database(database_url) as url:
        runner.upgrade(url)
        yield url
