"""The PostgreSQL that these tests break."""

from collections.abc import Iterator

import pytest

from tests.support.servers.postgres import Postgres, fresh_database
from tests.support.service import free_port


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    cluster = Postgres(tmp_path_factory.mktemp("cluster"), free_port())
    try:
        yield cluster
    finally:
        cluster.stop("immediate")


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
