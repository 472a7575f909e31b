"""A database whose address has a password, and an issuer."""

from collections.abc import Iterator

import pytest

from tests.hostile.logs.service import MARK
from tests.support.servers.issuer import Issuer, running_issuer
from tests.support.servers.postgres import Postgres, fresh_database


@pytest.fixture
def database(cluster: Postgres) -> Iterator[str]:
    """A separate database, whose address has a password in it."""
    cluster.start()
    with fresh_database(cluster.url()) as url:
        yield url.replace("postgres@", f"postgres:{MARK}@")
        cluster.start()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer
