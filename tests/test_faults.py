"""What breaks around the service: real faults of real processes, seen through HTTP."""

import contextlib
import itertools
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest

from persistence import migrations
from tests.conftest import Service, free_port, running_service
from tests.postgres import SYSTEM_USER, Postgres, fresh_database, own

_RECOVERY_SECONDS = 15
_SERVED = {200, 201, 204}


@pytest.fixture(scope="module")
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


def _until(condition: Callable[[], object]) -> None:
    """Poll until the condition holds, which it must soon."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < _RECOVERY_SECONDS, f"not within {_RECOVERY_SECONDS} seconds"
        time.sleep(0.05)


def _is_ready(service: Service) -> bool:
    return service.client().get("/health/ready").status_code == httpx2.codes.OK


def _assert_unavailable(answer: httpx2.Response) -> None:
    assert answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert (answer.json()["status"], answer.json()["code"]) == (503, "service-unavailable")


def _assert_nothing_unexpected(service: Service) -> None:
    assert "unexpected_error" not in service.log.read_text()


_ANY_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
_OPERATIONS = [
    ("GET", "/api/ada/tasks", None),
    ("POST", "/api/ada/tasks", {"title": "Buy milk"}),
    ("GET", f"/api/ada/tasks/{_ANY_ID}", None),
    ("PUT", f"/api/ada/tasks/{_ANY_ID}", {"completed": True}),
    ("PATCH", f"/api/ada/tasks/{_ANY_ID}/complete", None),
    ("DELETE", f"/api/ada/tasks/{_ANY_ID}", None),
    ("GET", "/api/ada", None),
    ("GET", "/health/ready", None),
]


def _ask_everything(client: httpx2.Client) -> list[httpx2.Response]:
    """Every operation that needs the database, all at once."""
    with ThreadPoolExecutor(len(_OPERATIONS)) as threads:
        return list(threads.map(lambda one: client.request(one[0], one[1], json=one[2]), _OPERATIONS))


class _Load:
    """A few clients that write and read for as long as the block runs, and what became of that."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._running = True
        self.statuses: list[int] = []
        self.acknowledged: set[str] = set()

    def _work(self, number: int) -> None:
        client = self._service.as_user("ada")
        for count in itertools.count():
            if not self._running:
                return
            created = client.post("/api/ada/tasks", json={"title": f"Task {count} of client {number}"})
            self.statuses.append(created.status_code)
            if created.status_code == httpx2.codes.CREATED:
                self.acknowledged.add(created.json()["id"])
                self.statuses.append(client.get(created.headers["location"]).status_code)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(6) as threads:
            work = [threads.submit(self._work, number) for number in range(6)]
            try:
                yield
            finally:
                self._running = False
            for one in work:
                one.result()

    def has_written(self, count: int) -> bool:
        return len(self.acknowledged) > count

    def assert_nothing_is_lost(self) -> None:
        client = self._service.as_user("ada")
        found: set[str] = set()
        path: str | None = "/api/ada/tasks"
        while path is not None:
            page = client.get(path)
            assert page.status_code == httpx2.codes.OK
            found |= {task["id"] for task in page.json()}
            path = page.links.get("next", {}).get("url")
        assert self.acknowledged <= found


def test_the_service_starts_before_its_database_and_finds_it_by_itself(tmp_path: Path) -> None:
    port = free_port()
    postgres = Postgres(tmp_path / "cluster", port)
    with running_service(tmp_path, ready=False, DATABASE_URL=postgres.url(), DATABASE_WAIT_SECONDS="1") as service:
        ada = service.as_user("ada")
        for answer in _ask_everything(ada):
            _assert_unavailable(answer)
        assert ada.get("/health").json() == {"status": "ok"}

        postgres.start()
        try:
            _until(lambda: _is_ready(service))
            assert ada.post("/api/ada/tasks", json={"title": "Buy milk"}).status_code == httpx2.codes.CREATED
            _assert_nothing_unexpected(service)
        finally:
            postgres.stop()


def test_a_crash_of_the_database_loses_no_acknowledged_write(postgres: Postgres, database: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database, DATABASE_WAIT_SECONDS="1") as service:
        load = _Load(service)
        with load.running():
            _until(partial(load.has_written, 100))
            postgres.stop("immediate")
            _until(lambda: load.statuses.count(503) > 12)
            assert service.client().get("/health").status_code == httpx2.codes.OK
            postgres.start()
            _until(partial(load.has_written, len(load.acknowledged) + 100))
        assert set(load.statuses) == {200, 201, 503}
        load.assert_nothing_is_lost()
        _assert_nothing_unexpected(service)


def test_after_a_quiet_restart_of_the_database_the_first_request_is_served(
    postgres: Postgres, database: str, tmp_path: Path
) -> None:
    """Every connection in the pool is dead then, and none of them may cost the request its answer."""
    with running_service(tmp_path, DATABASE_URL=database) as service:
        _fill_pool(service, database)
        postgres.stop()
        postgres.start()
        start = time.monotonic()
        assert service.as_user("ada").get("/api/ada/tasks").status_code == httpx2.codes.OK
        assert time.monotonic() - start < 2
        _assert_nothing_unexpected(service)


def _fill_pool(service: Service, database: str) -> None:
    """Have the service open all the connections that it may: each is held up by a lock until all are there."""
    client = service.as_user("ada")

    def ask(_: int) -> int:
        return client.get("/api/ada/tasks").status_code

    def count() -> int:
        with psycopg.connect(database) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'tasks-api'"
            ).fetchone()
        assert row is not None
        return int(row[0])

    with ThreadPoolExecutor(10) as threads:
        with psycopg.connect(database) as lock:
            lock.execute("LOCK TABLE tasks")
            statuses = threads.map(ask, range(10))
            _until(lambda: count() == 10)
        assert set(statuses) == {200}


def _terminate(database: str) -> int:
    """End the service's connections to this database; how many there were."""
    with psycopg.connect(database, autocommit=True) as connection:
        return len(
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'tasks-api'"
            ).fetchall()
        )


def test_connections_that_an_operator_ends_are_replaced(database: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database) as service:
        client = service.as_user("ada")
        _fill_pool(service, database)
        assert _terminate(database) == 10
        assert client.get("/api/ada/tasks").status_code == httpx2.codes.OK

        load = _Load(service)
        with load.running():
            for written in (60, 120, 180, 240, 300):
                _until(partial(load.has_written, written))
                _terminate(database)
        assert set(load.statuses) <= {200, 201, 503}
        # Only what was under way when its connection ended is refused.
        assert load.statuses.count(503) <= 5 * 10
        _until(lambda: client.get("/api/ada/tasks").status_code == httpx2.codes.OK)
        load.assert_nothing_is_lost()
        _assert_nothing_unexpected(service)


def test_requests_wait_a_bounded_time_for_a_connection(database: str, tmp_path: Path) -> None:
    with running_service(
        tmp_path, DATABASE_URL=database, DATABASE_POOL_SIZE="1", DATABASE_WAIT_SECONDS="0.5"
    ) as service:
        ada = service.as_user("ada")
        assert ada.get("/api/ada/tasks").json() == []
        with psycopg.connect(database) as other, ThreadPoolExecutor(21) as threads:
            other.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            blocked = threads.submit(ada.get, "/api/ada/tasks")
            _until(lambda: _waiting_for_locks(other))
            start = time.monotonic()
            for answer in threads.map(ada.get, ["/api/ada/tasks"] * 20):
                _assert_unavailable(answer)
            assert time.monotonic() - start < 3
            # The request that got the connection does not wait for the lock for ever either.
            _assert_unavailable(blocked.result())
            assert ada.get("/health").status_code == httpx2.codes.OK
        assert ada.get("/api/ada/tasks").status_code == httpx2.codes.OK
        _assert_nothing_unexpected(service)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for more open files than select(2) knows of, here and in what is started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip(f"only {hard} open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_thousand_idle_clients_take_nothing_from_the_others(database: str, tmp_path: Path) -> None:
    """The connections to the database then have numbers beyond the 1,024 that select(2) takes."""
    with running_service(tmp_path, DATABASE_URL=database) as service, contextlib.ExitStack() as idle:
        address = ("127.0.0.1", int(service.url.rpartition(":")[2]))
        for _ in range(1100):
            idle.enter_context(socket.create_connection(address))
        _fill_pool(service, database)
        assert service.as_user("ada").get("/api/ada/tasks").json() == []
        _assert_nothing_unexpected(service)


def _waiting_for_locks(connection: psycopg.Connection[Any]) -> bool:
    return connection.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None


def test_a_database_that_takes_connections_and_says_nothing_is_unavailable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        url = f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/postgres"
        with running_service(tmp_path, ready=False, DATABASE_URL=url, DATABASE_WAIT_SECONDS="1") as service:
            start = time.monotonic()
            for answer in _ask_everything(service.as_user("ada")):
                _assert_unavailable(answer)
            assert time.monotonic() - start < 5
            _assert_nothing_unexpected(service)
            assert _seconds_to_end(service) < 15


def test_a_database_that_falls_silent_is_unavailable_until_it_speaks_again(
    postgres: Postgres, database: str, tmp_path: Path
) -> None:
    """Like a network that swallows everything: no connection is closed, and no answer comes."""
    with running_service(tmp_path, DATABASE_URL=database, DATABASE_WAIT_SECONDS="1") as service:
        ada = service.as_user("ada")
        _fill_pool(service, database)
        with postgres.frozen():
            start = time.monotonic()
            for answer in _ask_everything(ada):
                _assert_unavailable(answer)
            assert time.monotonic() - start < 25
            assert ada.get("/health").status_code == httpx2.codes.OK
        _until(lambda: ada.get("/api/ada/tasks").status_code == httpx2.codes.OK)
        _assert_nothing_unexpected(service)


def test_a_read_only_database_still_serves_reads(database: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database) as service:
        ada = service.as_user("ada")
        created = ada.post("/api/ada/tasks", json={"title": "Buy milk"})
        assert created.status_code == httpx2.codes.CREATED, created.text
        task = created.headers["location"]
        _set_read_only(database, "on")

        assert ada.get("/api/ada/tasks").json() == [created.json()]
        assert ada.get(task).json() == created.json()
        assert ada.get("/api/ada").json()["tasks"] == {"total": 1, "completed": 0, "pending": 1}
        assert ada.get("/health/ready").status_code == httpx2.codes.OK
        _assert_unavailable(ada.post("/api/ada/tasks", json={"title": "Buy bread"}))
        _assert_unavailable(ada.put(task, json={"completed": True}))
        _assert_unavailable(ada.patch(f"{task}/complete"))
        _assert_unavailable(ada.delete(task))
        _assert_unavailable(service.as_user("bob").get("/api/bob"))

        _set_read_only(database, "off")
        assert ada.patch(f"{task}/complete").json()["completed"] is True
        _assert_nothing_unexpected(service)


def _set_read_only(database: str, value: str) -> None:
    with psycopg.connect(database, autocommit=True, options="-c default_transaction_read_only=off") as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}".encode())
    _terminate(database)


@contextlib.contextmanager
def _pgbouncer(directory: Path, database: str, server_port: int) -> Iterator[str]:
    """PgBouncer as hosts run it: transactions of many clients take turns on two connections."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        reason = "pgbouncer is not installed"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    own(directory)
    port = free_port()
    (directory / "users").write_text('"postgres" ""\n')
    settings = directory / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server_port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {directory / 'users'}\n"
        "pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 200\n"
    )
    process = subprocess.Popen([program, settings], user=SYSTEM_USER, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        _until(lambda: _listens(port))
        yield f"postgresql://postgres@127.0.0.1:{port}/{database.rpartition('/')[2]}"
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_service_works_behind_a_pooler_that_knows_no_prepared_statements(
    postgres: Postgres, database: str, tmp_path: Path
) -> None:
    with _pgbouncer(tmp_path / "pgbouncer", database, postgres.port) as url:
        with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url, autocommit=True) as two:
            # Else the test would prove nothing: two clients are given the same connection to the server.
            one.execute("SELECT 1", prepare=True)
            with pytest.raises(psycopg.errors.DuplicatePreparedStatement):
                two.execute("SELECT 1", prepare=True)
            one.execute("DEALLOCATE ALL")
        with running_service(tmp_path, DATABASE_URL=url) as service:
            clients = {name: service.as_user(name) for name in ("ada", "bob", "eve")}

            def session(number: int) -> list[int]:
                name = ("ada", "bob", "eve")[number % 3]
                client = clients[name]
                created = client.post(f"/api/{name}/tasks", json={"title": f"Task {number}"})
                task = created.headers["location"]
                return [
                    created.status_code,
                    client.get(f"/api/{name}/tasks?limit=5&sort=-title").status_code,
                    client.get(task).status_code,
                    client.put(task, json={"description": "Soon"}).status_code,
                    client.patch(f"{task}/complete").status_code,
                    client.get(f"/api/{name}").status_code,
                    client.delete(task).status_code,
                ]

            with ThreadPoolExecutor(20) as threads:
                sessions = list(threads.map(session, range(60)))
            assert sessions == [[201, 200, 200, 200, 200, 200, 204]] * 60
            _assert_nothing_unexpected(service)
        migrations.downgrade(url, "base")
        migrations.upgrade(url)


def _postmaster(directory: Path) -> psutil.Process:
    return psutil.Process(int((directory / "data/postgres/postmaster.pid").read_text().splitlines()[0]))


def _seconds_to_end(service: Service, number: signal.Signals = signal.SIGTERM) -> float:
    start = time.monotonic()
    service.process.send_signal(number)
    service.process.wait(30)
    return time.monotonic() - start


def _is_gone(process: psutil.Process) -> bool:
    # Where nobody inherits orphans, they stay behind as zombies.
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_three_workers_share_the_embedded_database_and_end_together(tmp_path: Path) -> None:
    with running_service(tmp_path, WORKERS="3", LOG_LEVEL="debug") as service:
        processes = psutil.Process(service.process.pid).children(recursive=True)
        postmaster = _postmaster(tmp_path)

        def create(number: int) -> int:
            # A connection of its own each time, so that it reaches any of the workers.
            with httpx2.Client(headers=service.as_user("ada").headers, trust_env=False) as client:
                return client.post(f"{service.url}/api/ada/tasks", json={"title": f"Task {number}"}).status_code

        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(create, range(60))) == {201}
        assert len(service.as_user("ada").get("/api/ada/tasks").json()) == 60
        _until(lambda: service.log.read_text().count("migrations.applied") == 3)

        assert _seconds_to_end(service) < 10
        _until(lambda: all(map(_is_gone, [*processes, postmaster])))
        assert not (tmp_path / "data/postgres/postmaster.pid").exists()
        _assert_nothing_unexpected(service)


def test_the_service_ends_although_a_client_keeps_its_connection(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        postmaster = _postmaster(tmp_path)
        with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2]))) as idle:
            idle.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(4096).startswith(b"HTTP/1.1 200")
            assert _seconds_to_end(service) < 10
        assert _is_gone(postmaster)


def test_the_lines_of_the_last_requests_are_written_before_the_end(database: str, tmp_path: Path) -> None:
    """Lines are written some at a time; an orderly end writes what is kept."""
    with running_service(tmp_path, DATABASE_URL=database) as service:
        answers = [service.client().get("/health") for _ in range(5)]
        _seconds_to_end(service)
    log = service.log.read_text()
    assert [log.count(answer.headers["x-request-id"]) for answer in answers] == [1] * 5


def test_the_line_of_a_request_is_written_soon(database: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database) as service:
        mark = service.client().get("/health").headers["x-request-id"]
        _until(lambda: mark in service.log.read_text())


def test_a_killed_embedded_database_comes_back_by_itself(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        client = service.as_user("ada")
        assert client.post("/api/ada/tasks", json={"title": "Stay"}).status_code == 201
        postmaster = _postmaster(tmp_path)
        postmaster.kill()
        _until(lambda: _is_gone(postmaster))
        _until(lambda: _is_ready(service))
        assert [task["title"] for task in client.get("/api/ada/tasks").json()] == ["Stay"]
        successor = _postmaster(tmp_path)
        _seconds_to_end(service)
    assert _is_gone(successor)


def test_a_killed_service_starts_again_with_its_data(tmp_path: Path) -> None:
    """Its PostgreSQL lives on, is found by the next one, and is stopped by the last."""
    with running_service(tmp_path) as service:
        assert service.as_user("ada").post("/api/ada/tasks", json={"title": "Stay"}).status_code == 201
        postmaster = _postmaster(tmp_path)
        _seconds_to_end(service, signal.SIGKILL)
    assert not _is_gone(postmaster)

    with running_service(tmp_path) as service:
        assert _postmaster(tmp_path) == postmaster
        assert [task["title"] for task in service.as_user("ada").get("/api/ada/tasks").json()] == ["Stay"]
        _seconds_to_end(service)
    assert _is_gone(postmaster)


def test_a_service_starts_again_after_everything_was_killed(tmp_path: Path) -> None:
    """As when a container dies: in the next one other processes have the ids that lie about in the files."""
    with running_service(tmp_path) as service:
        assert service.as_user("ada").post("/api/ada/tasks", json={"title": "Stay"}).status_code == 201
        postmaster = _postmaster(tmp_path)
        _seconds_to_end(service, signal.SIGKILL)
        for process in [postmaster, *postmaster.children()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        _until(lambda: _is_gone(postmaster))
    kept = tmp_path / "data/postgres/postmaster.pid"
    _, *others = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join([f"{os.getpid()}\n", *others]))
    (tmp_path / "data/postgres/.handle_pids.json").write_text(f"[{os.getpid()}]")

    with running_service(tmp_path) as service:
        assert [task["title"] for task in service.as_user("ada").get("/api/ada/tasks").json()] == ["Stay"]
        postmaster = _postmaster(tmp_path)
        _seconds_to_end(service)
    assert _is_gone(postmaster)


def test_two_services_on_one_directory_share_its_database_until_the_last_ends(tmp_path: Path) -> None:
    data = tmp_path / "data"
    own(tmp_path / "other")
    with running_service(tmp_path, DATA_DIR=str(data)) as one:
        postmaster = _postmaster(tmp_path)
        with running_service(tmp_path / "other", DATA_DIR=str(data)) as two:
            assert one.as_user("ada").post("/api/ada/tasks", json={"title": "Stay"}).status_code == 201
            _seconds_to_end(one)
            assert [task["title"] for task in two.as_user("ada").get("/api/ada/tasks").json()] == ["Stay"]
            _seconds_to_end(two)
        assert _is_gone(postmaster)
