"""The PostgreSQL that these tests break."""

from collections.abc import Iterator

import pytest

from tests.support.servers.postgres import Postgres, fresh_database


@pytest.fixture
def postgres(cluster: Postgres) -> Postgres:
    """The cluster, running; a test may leave it stopped."""
    cluster.start()
    return cluster


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    with fresh_database(postgres.url()) as url:
        yield url
        postgres.start()
