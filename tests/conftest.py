"""Fixtures of all tests: a real service on a real socket, with a real PostgreSQL behind it."""

import os
import resource
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest

from persistence.admin.embedded import embedded_server
from tests.support.api import TasksApi, both_apis
from tests.support.servers.citus import distributed_database
from tests.support.servers.postgres import Postgres, make_cluster
from tests.support.service import Service, free_port, running_service
from tests.support.types import Connection, Owner

pytest_plugins = ["tests.support.figures", "tests.support.sampling"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--citus", action="store_true", help="run the tests on a PostgreSQL with Citus and three nodes")


def pytest_xdist_auto_num_workers() -> int:
    """Half as many workers again as cores, because many tests wait for a deadline or for a process to start."""
    return (os.cpu_count() or 1) * 3 // 2


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of asynchronous tests."""
    return "asyncio"


@pytest.fixture(scope="session")
def database_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of the embedded PostgreSQL of this run."""
    return tmp_path_factory.mktemp("postgres") / "data.log"


@pytest.fixture(scope="session")
def database_url(request: pytest.FixtureRequest, database_log: Path) -> Iterator[str]:
    """An embedded PostgreSQL of this run, or with `--citus` three nodes."""
    if request.config.getoption("--citus"):
        with distributed_database() as url:
            yield url
        return
    directory = database_log.with_suffix("")
    make_cluster(directory)
    with embedded_server(directory) as url:
        yield url


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL for tests that stop it or change its settings. It may not run, and a test may leave it stopped."""
    cluster = Postgres(tmp_path_factory.mktemp("cluster"), free_port())
    try:
        yield cluster
    finally:
        cluster.stop("immediate")


@pytest.fixture(scope="session")
def service(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service that most tests use. Tests do not interfere, because each has its own users."""
    with running_service(tmp_path_factory.mktemp("service"), DATABASE_URL=database_url) as running:
        yield running


@pytest.fixture
def new_user() -> Callable[[str], str]:
    """Make a user id that the service has never seen, readable by its first part."""
    return lambda name: f"{name}-{uuid.uuid4().hex}"


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for more open files than select(2) knows of. The service makes room for itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip(f"only {hard} open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def ada(service: Service, new_user: Callable[[str], str]) -> tuple[str, httpx2.Client]:
    """A new user and her client."""
    subject = new_user("ada")
    return subject, service.as_user(subject)


@pytest.fixture
def bob(service: Service, new_user: Callable[[str], str]) -> tuple[str, httpx2.Client]:
    """Another one."""
    subject = new_user("bob")
    return subject, service.as_user(subject)


@pytest.fixture(params=[0, 1], ids=["by-user-id", "by-token"])
def api(request: pytest.FixtureRequest, ada: Owner) -> TasksApi:
    """Ada's tasks, under each address."""
    index: int = request.param
    return both_apis(*ada)[index]


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """A connection to the database, to read and to change its rows. Each statement is its own transaction."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection
