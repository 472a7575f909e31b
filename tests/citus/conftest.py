"""Three nodes with Citus for the tests here, which make what they need in databases of their own."""

from collections.abc import Iterator

import psycopg
import pytest

from persistence.admin.distribution import distribute
from tests.support.servers.citus import Citus, running_citus
from tests.support.types import Connection


@pytest.fixture(scope="session")
def citus() -> Iterator[Citus]:
    """The nodes. A test that stops one starts it again."""
    with running_citus() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def distributed(citus: Citus) -> str:
    """The address of the coordinator, whose database has the distributed tables."""
    distribute(citus.url)
    return citus.url


@pytest.fixture
def coordinator(distributed: str) -> Iterator[Connection]:
    """A connection to the coordinator. Each statement is its own transaction."""
    with psycopg.connect(distributed, autocommit=True) as connection:
        yield connection
