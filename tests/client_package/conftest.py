"""The packed client in a folder of its own, and the services and faults that its tests use."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
import pytest

from tests.client_package.faults import failing_proxy
from tests.clients.prism import running_mock
from tests.clients.tools import missing, run
from tests.support.document import OPERATIONS, parameters
from tests.support.servers.postgres import fresh_database
from tests.support.service import ROOT, SECRET, free_port, running_service

PACKAGE = ROOT / "clients/typescript"
TESTS = PACKAGE / "tests"


@dataclass(frozen=True)
class Stage:
    """What the tests in TypeScript are told; see `clients/typescript/tests/stage.ts`."""

    service: str
    limited: str
    unavailable: str
    proxy: str
    mock: str
    secret: str
    keyed: list[str]
    browser: dict[str, str | int]

    def as_environment(self) -> dict[str, str]:
        """Return the variable that vitest.config.ts reads."""
        return {"TASKS_STAGE": json.dumps(asdict(self))}


def copied_package(to: Path) -> Path:
    """Copy the sources of the package with its tools, so that a build does not change the working tree."""
    ignored = shutil.ignore_patterns("node_modules", "dist", "tests")
    shutil.copytree(PACKAGE, to, ignore=ignored)
    (to / "node_modules").symlink_to(PACKAGE / "node_modules")
    return to


@pytest.fixture(scope="session")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has installed the tarball, and the tests of the package."""
    if not (TESTS / "node_modules").exists() or not (PACKAGE / "node_modules").exists():
        missing("The tools of the client are not installed: run `make client-test` where npm is.")
    folder = tmp_path_factory.mktemp("consumer")
    run("npm", "pack", "--silent", "--pack-destination", str(folder), directory=copied_package(folder / "package"))
    for source in (*TESTS.glob("*.ts"), *TESTS.glob("*.mjs"), TESTS / "tsconfig.json"):
        shutil.copy(source, folder)
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    [tarball] = folder.glob("*.tgz")
    # The package has no dependency, so nothing has to be fetched.
    run("npm", "install", "--offline", "--no-save", "--silent", str(tarball), directory=folder)
    installed = folder / "node_modules"
    for tool in (TESTS / "node_modules").iterdir():
        if not tool.name.startswith(".") and not (installed / tool.name).exists():
            (installed / tool.name).symlink_to(tool)
    return folder


@pytest.fixture(scope="session")
def stage(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Services with a database of their own, in which one title is a defect and one request never ends."""
    browser_port = free_port()
    settings = {"CORS_ORIGINS": f"http://localhost:{browser_port}", "BODY_TIMEOUT_SECONDS": "1"}
    with fresh_database(database_url) as database, ExitStack() as stack:

        def service(name: str, **others: str) -> str:
            directory = tmp_path_factory.mktemp(name)
            ready = name != "unavailable"
            return stack.enter_context(running_service(directory, ready=ready, **settings, **others)).url

        url = service("service", DATABASE_URL=database)
        _prepare(stack, database)
        yield Stage(
            service=url,
            limited=service("limited", DATABASE_URL=database, RATE_LIMIT="2/second"),
            unavailable=service("unavailable", DATABASE_URL=f"postgresql://nobody@127.0.0.1:{free_port()}/none"),
            proxy=stack.enter_context(failing_proxy(url)),
            mock=stack.enter_context(running_mock(tmp_path_factory.mktemp("mock") / "mock.log")),
            secret=SECRET,
            keyed=[name for name in OPERATIONS if any(p["name"] == "Idempotency-Key" for p in parameters(name))],
            browser={"port": browser_port, "program": shutil.which("chromium") or ""},
        )


def _prepare(stack: ExitStack, database: str) -> None:
    """Make one title fail in PostgreSQL, and hold the key `busy` of the user `busy` until the end."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER TABLE tasks ADD CONSTRAINT ck_unforeseen CHECK (title <> 'a defect')")
        connection.execute("INSERT INTO users (id) VALUES ('busy')")
    holder = stack.enter_context(psycopg.connect(database))
    holder.execute("INSERT INTO idempotency_keys VALUES ('busy', 'busy', sha256('x'), gen_random_uuid(), now())")
