"""A service with short time limits and its own database."""

from collections.abc import Iterator

import pytest

from tests.request_limits.slow_clients import BODY_SECONDS, HEAD_SECONDS, REQUEST_SECONDS, assert_no_defect
from tests.support.servers.postgres import fresh_database
from tests.support.service import Service, running_service


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[str]:
    """A database of these tests, which lock its tables."""
    with fresh_database(database_url) as url:
        yield url


@pytest.fixture(scope="module")
def hasty(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with short time limits."""
    with running_service(
        tmp_path_factory.mktemp("hasty"),
        DATABASE_URL=database,
        HEADER_TIMEOUT_SECONDS=str(HEAD_SECONDS),
        BODY_TIMEOUT_SECONDS=str(BODY_SECONDS),
        REQUEST_TIMEOUT_SECONDS=str(REQUEST_SECONDS),
    ) as service:
        yield service
        assert_no_defect(service)
