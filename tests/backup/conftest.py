"""A cluster whose databases are backed up and restored."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence.admin import backup
from persistence.migrations import runner
from tests.backup.commands import fill
from tests.support.servers.postgres import Postgres, fresh_database


@pytest.fixture
def database(cluster: Postgres) -> Iterator[str]:
    cluster.start()
    with fresh_database(cluster.url()) as url:
        runner.upgrade(url)
        yield url


@pytest.fixture
def other(cluster: Postgres) -> Iterator[str]:
    """A database with nothing in it."""
    cluster.start()
    with fresh_database(cluster.url()) as url:
        yield url


# Refusals.


@pytest.fixture
def whole(database: str, tmp_path: Path) -> bytes:
    """The bytes of a backup."""
    fill(database, 500)
    backup.backup(database, tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()
