"""A service with a database of its own and two connections to it, so that a test can use both up."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.operations.conftest import tasks_api
from tests.support.servers.postgres import fresh_database
from tests.support.service import Service, running_service
from tests.support.types import Connection

__all__ = ["tasks_api"]


@pytest.fixture(scope="module")
def own_database(database_url: str) -> Iterator[str]:
    with fresh_database(database_url) as url:
        yield url


@pytest.fixture(scope="module")
def small(own_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two connections, whose statements end after two seconds."""
    directory = tmp_path_factory.mktemp("small")
    with running_service(
        directory, DATABASE_URL=own_database, DATABASE_POOL_SIZE="2", DATABASE_STATEMENT_SECONDS="2"
    ) as running:
        yield running


@pytest.fixture
def admin(own_database: str) -> Iterator[Connection]:
    """A session of the operator beside the service."""
    with psycopg.connect(own_database, autocommit=True) as connection:
        yield connection
