"""Processes that are killed, or told to end."""

import contextlib
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil

from tests.conftest import running_service
from tests.faults.probes import assert_nothing_unexpected, is_gone, is_ready, seconds_to_end, until
from tests.postgres import own


def _postmaster(directory: Path) -> psutil.Process:
    return psutil.Process(int((directory / "data/postgres/postmaster.pid").read_text().splitlines()[0]))


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
    """As when a container dies: in the next one other processes have the ids that lie about in the files."""
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


def test_two_services_on_one_directory_share_its_database_until_the_last_ends(tmp_path: Path) -> None:
    data = tmp_path / "data"
    own(tmp_path / "other")
    with running_service(tmp_path, DATA_DIR=str(data)) as one:
        postmaster = _postmaster(tmp_path)
        with running_service(tmp_path / "other", DATA_DIR=str(data)) as two:
            assert one.as_user("ada").post("/api/ada/tasks", json={"title": "Stay"}).status_code == 201
            seconds_to_end(one)
            assert [task["title"] for task in two.as_user("ada").get("/api/ada/tasks").json()] == ["Stay"]
            seconds_to_end(two)
        assert is_gone(postmaster)
