"""Processes that are killed, or told to end."""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx2
import psutil
import psycopg
import pytest

from tests.faults.load import CLIENTS, Load
from tests.faults.probes import (
    RECOVERY_SECONDS,
    assert_nothing_unexpected,
    is_gone,
    is_ready,
    seconds_to_end,
    waiting_for_locks,
)
from tests.support.figures import Figures
from tests.support.service import Service, running_service
from tests.support.waiting import until


def _postmaster(directory: Path) -> psutil.Process:
    return psutil.Process(int((directory / "data/postgres/postmaster.pid").read_text().splitlines()[0]))


def test_three_workers_share_the_embedded_database(tmp_path: Path) -> None:
    with running_service(tmp_path, WORKERS="3", LOG_LEVEL="debug") as service:
        processes = psutil.Process(service.process.pid).children(recursive=True)
        postmaster = _postmaster(tmp_path)

        def create(number: int) -> int:
            # A new connection each time, so that it reaches any of the workers.
            with httpx2.Client(headers=service.as_user("ada").headers, trust_env=False) as client:
                return client.post(f"{service.url}/api/ada/tasks", json={"title": f"Task {number}"}).status_code

        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(create, range(60))) == {201}
        assert len(service.as_user("ada").get("/api/ada/tasks").json()) == 60
        until(lambda: service.log.read_text().count("migrations.applied") == 3)

        assert seconds_to_end(service) < 10
        until(lambda: all(map(is_gone, [*processes, postmaster])))
        assert not (tmp_path / "data/postgres/postmaster.pid").exists()
        assert_nothing_unexpected(service)


def test_the_service_ends_although_a_client_keeps_its_connection(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        postmaster = _postmaster(tmp_path)
        with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2]))) as idle:
            idle.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(4096).startswith(b"HTTP/1.1 200")
            assert seconds_to_end(service) < 10
        assert is_gone(postmaster)


def test_a_killed_embedded_database_comes_back_by_itself(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        client = service.as_user("ada")
        assert client.post("/api/ada/tasks", json={"title": "Stay"}).status_code == 201
        postmaster = _postmaster(tmp_path)
        postmaster.kill()
        until(lambda: is_gone(postmaster))
        until(lambda: is_ready(service))
        assert [task["title"] for task in client.get("/api/ada/tasks").json()] == ["Stay"]
        successor = _postmaster(tmp_path)
        seconds_to_end(service)
    assert is_gone(successor)


def test_a_killed_service_starts_again_with_its_data(tmp_path: Path) -> None:
    """Its PostgreSQL lives on, is found by the next one, and is stopped by the last."""
    with running_service(tmp_path) as service:
        assert service.as_user("ada").post("/api/ada/tasks", json={"title": "Stay"}).status_code == 201
        postmaster = _postmaster(tmp_path)
        seconds_to_end(service, signal.SIGKILL)
    assert not is_gone(postmaster)

    with running_service(tmp_path) as service:
        assert _postmaster(tmp_path) == postmaster
        assert [task["title"] for task in service.as_user("ada").get("/api/ada/tasks").json()] == ["Stay"]
        seconds_to_end(service)
    assert is_gone(postmaster)


def test_a_service_starts_again_after_everything_was_killed(tmp_path: Path) -> None:
    """As when a container dies: in the next one other processes have the ids that are left in the files."""
    with running_service(tmp_path) as service:
        assert service.as_user("ada").post("/api/ada/tasks", json={"title": "Stay"}).status_code == 201
        postmaster = _postmaster(tmp_path)
        seconds_to_end(service, signal.SIGKILL)
        for process in [postmaster, *postmaster.children()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        until(lambda: is_gone(postmaster))
    kept = tmp_path / "data/postgres/postmaster.pid"
    _, *others = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join([f"{os.getpid()}\n", *others]))
    (tmp_path / "data/postgres/.handle_pids.json").write_text(f"[{os.getpid()}]")

    with running_service(tmp_path) as service:
        assert [task["title"] for task in service.as_user("ada").get("/api/ada/tasks").json()] == ["Stay"]
        postmaster = _postmaster(tmp_path)
        seconds_to_end(service)
    assert is_gone(postmaster)


def test_two_services_share_one_embedded_database(tmp_path: Path) -> None:
    """Until the last of them ends."""
    data = tmp_path / "data"
    (tmp_path / "other").mkdir()
    with running_service(tmp_path, DATA_DIR=str(data)) as one:
        postmaster = _postmaster(tmp_path)
        with running_service(tmp_path / "other", DATA_DIR=str(data)) as two:
            assert one.as_user("ada").post("/api/ada/tasks", json={"title": "Stay"}).status_code == 201
            seconds_to_end(one)
            assert [task["title"] for task in two.as_user("ada").get("/api/ada/tasks").json()] == ["Stay"]
            seconds_to_end(two)
        assert is_gone(postmaster)


def _workers(service: Service) -> list[psutil.Process]:
    """The processes that serve, without the resource tracker of `multiprocessing`."""
    children = psutil.Process(service.process.pid).children()
    return [child for child in children if any("spawn_main" in argument for argument in child.cmdline())]


def _has_said(service: Service, event: str, times: int) -> bool:
    return service.log.read_text().count(event) == times


@pytest.mark.parametrize("where", ["embedded", "remote"])
def test_a_killed_worker_is_replaced_and_nothing_is_lost(
    where: str, database: str, tmp_path: Path, figures: Figures
) -> None:
    """The connections to it break, which are those of all clients at most; they find the other one at once."""
    url = database if where == "remote" else ""
    with running_service(tmp_path, WORKERS="2", DATABASE_URL=url) as service:
        until(partial(_has_said, service, "Application startup complete", 2))
        load = Load(service)
        recovery = 0.0
        with load.running():
            for kills in range(1, 3):
                load.goes_on()
                victim, _ = _workers(service)
                victim.kill()
                recovery = max(recovery, load.seconds_until_served(time.monotonic()))
                until(partial(_has_said, service, "Application startup complete", 2 + kills), 60)
            load.goes_on()
            assert len(_workers(service)) == 2
        assert load.count(503) == 0
        load.record(figures, f"A worker killed, {where} database", may_be_cut=2 * CLIENTS, recovery_seconds=recovery)
        assert recovery < RECOVERY_SECONDS
        assert_nothing_unexpected(service)


_SHUTDOWN_SECONDS = 4


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_answers_what_was_accepted(
    workers: int, database: str, tmp_path: Path, figures: Figures
) -> None:
    """Under load, with a body that never comes, and with requests that take until after the signal."""
    seconds = str(_SHUTDOWN_SECONDS)
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(
            running_service(tmp_path, DATABASE_URL=database, WORKERS=str(workers), SHUTDOWN_SECONDS=seconds)
        )
        eve = service.as_user("eve")
        task = eve.post("/api/eve/tasks", json={"title": "Held"}).headers["location"]
        stalled = stack.enter_context(_stalled_body(service))
        lock = stack.enter_context(psycopg.connect(database))
        threads = stack.enter_context(ThreadPoolExecutor(4))
        load = Load(service)
        with load.running():
            load.goes_on()
            lock.execute("SELECT FROM tasks WHERE user_id = 'eve' FOR UPDATE")
            held = [threads.submit(eve.patch, f"{task}/complete") for _ in range(4)]
            until(lambda: waiting_for_locks(database) == len(held))

            told_at = time.monotonic()
            service.process.terminate()
            until(partial(_has_said, service, "Shutting down", workers))
            lock.commit()
            service.process.wait(_SHUTDOWN_SECONDS + 10)
            drain = time.monotonic() - told_at
        assert [one.result().status_code for one in held] == [200] * len(held)
        assert _problem(stalled) == "service-unavailable"
        assert drain < _SHUTDOWN_SECONDS
        assert_nothing_unexpected(service)

    load.forget_cut_after(told_at)
    (tmp_path / "next").mkdir()
    with running_service(tmp_path / "next", DATABASE_URL=database) as successor:
        group = f"SIGTERM under load with a stalled body, {workers} worker{'s' * (workers > 1)}"
        load.record(figures, group, on=successor, drain_seconds=drain)


def _address(service: Service) -> tuple[str, int]:
    return "127.0.0.1", int(service.url.rpartition(":")[2])


@contextlib.contextmanager
def _stalled_body(service: Service) -> Iterator[socket.socket]:
    """A create of which only the beginning of the body comes."""
    authorization = service.as_user("mallory").headers["authorization"]
    with socket.create_connection(_address(service), timeout=30) as connection:
        connection.sendall(
            "POST /api/mallory/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f'Authorization: {authorization}\r\nContent-Length: 100\r\n\r\n{{"title": '.encode()
        )
        yield connection


def _problem(connection: socket.socket) -> str:
    """The code of the problem that is answered on this connection before it is closed."""
    answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: " in head.lower()
    code: str = json.loads(body)["code"]
    return code
