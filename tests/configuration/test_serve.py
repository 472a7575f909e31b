"""`tasks-api serve`: its options, and what it says when it starts."""

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from server.settings import Settings
from tests.operations.command import RunCommand
from tests.support.raw_http import RawConnection
from tests.support.service import MEASURED, ROOT, SECRET, free_port, running_service
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(3)

START_SECONDS = 60


@contextlib.contextmanager
def served(directory: Path, *options: str, **environment: str) -> Iterator[Path]:
    """Run `tasks-api serve` with the options, and yield its output."""
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "server", "serve", *options],
            cwd=directory,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "BETTER_AUTH_SECRET": SECRET,
                **MEASURED,
                **environment,
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield log
    finally:
        process.terminate()
        process.wait(30)


def status(port: int, host: str = "127.0.0.1") -> int:
    with httpx2.Client(trust_env=False) as client:
        return client.get(f"http://{host}:{port}/health").status_code


@pytest.mark.exhaustive(1)
@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_running_is_said_when_it_can_answer(workers: str, database_url: str, tmp_path: Path) -> None:
    """The options have precedence over the variables."""
    port = free_port()
    options = ("--port", str(port), "--host", "127.0.0.2", "--workers", workers)
    environment = {"PORT": "1", "HOST": "127.0.0.1", "WORKERS": "3"}
    with served(tmp_path, *options, DATABASE_URL=database_url, **environment) as log:
        until(lambda: "service.running" in log.read_text(), START_SECONDS)
        assert status(port, "127.0.0.2") == 200
        text = log.read_text()
    assert f"address='http://127.0.0.2:{port}'" in text
    assert text.index("service.starting") < text.index("service.running") < text.index("Documentation: ")
    assert text.count("service.running") == text.count("service.starting") == text.count("Documentation: ") == 1


def test_nothing_is_said_before_it_can_answer(tmp_path: Path) -> None:
    """A port that does not listen yet refuses; the database of this start cannot be made."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/postgres").write_text("")
    with served(tmp_path, PORT=str(free_port())) as log:
        until(lambda: "Error: DATA_DIR" in log.read_text(), START_SECONDS)
        text = log.read_text()
    assert ["running" in text, "Documentation" in text] == [False, False]


def test_the_start_says_database_issuer_and_mode(tmp_path: Path) -> None:
    url = "postgresql://ada:its-password@localhost:1/tasks"
    with running_service(
        tmp_path, ready=False, DATABASE_URL=url, BETTER_AUTH_URL="https://todo.example", ENVIRONMENT="staging"
    ) as service:
        (line,) = (line for line in service.log.read_text().splitlines() if "service.starting" in line)
        text = service.log.read_text()
    for said in (
        '"environment":"staging"',
        '"database":"localhost:1/tasks"',
        '"issuer":"https://todo.example"',
        '"keys":"https://todo.example/api/auth/jwks, BETTER_AUTH_SECRET"',
    ):
        assert said in line
    assert "its-password" not in text
    assert SECRET not in text


def test_the_start_shows_no_secret_of_an_address(tmp_path: Path) -> None:
    jwks = "http://reader:its-password@localhost:1/keys?key=its-key"
    with running_service(
        tmp_path, ready=False, DATABASE_URL="postgresql://localhost:1/tasks", JWKS_URL=jwks
    ) as service:
        text = service.log.read_text()
    assert "http://localhost:1/keys" in text
    assert [secret for secret in ("its-password", "its-key", "reader") if secret in text] == []


@pytest.mark.exhaustive(0)
@pytest.mark.slow
def test_a_changed_file_restarts_the_service(tmp_path: Path) -> None:
    """In a copy of the code, with an embedded database that the restart leaves alone."""
    for package in ("server", "handlers", "persistence"):
        (tmp_path / package).symlink_to(ROOT / package)
    (tmp_path / "openapi").mkdir()
    for name in ("guide.md", "openapi.yaml", "overlays"):
        (tmp_path / "openapi" / name).symlink_to(ROOT / "openapi" / name)
    document = tmp_path / "openapi" / "openapi.yaml"
    text = document.read_text()
    document.unlink()
    document.write_text(text)
    port = free_port()
    with served(tmp_path, "--reload", "--port", str(port), PYTHONPATH=str(tmp_path)) as log:
        until(lambda: "service.running" in log.read_text(), START_SECONDS)
        document.write_text(re.sub(r"^  title: .*$", "  title: Another title", text, count=1, flags=re.MULTILINE))

        def is_new() -> bool:
            with contextlib.suppress(httpx2.TransportError), httpx2.Client(trust_env=False) as client:
                return "Another title" in client.get(f"http://127.0.0.1:{port}/openapi.json").text
            return False

        until(is_new, START_SECONDS)


def test_reload_needs_one_process(tasks_api: RunCommand) -> None:
    result = tasks_api("serve", "--reload", "--workers", "2")
    assert (result.exit_code, result.stderr) == (2, "Error: RELOAD: works in development and with WORKERS=1 only\n")


def test_the_help_names_every_variable(tasks_api: RunCommand) -> None:
    text = tasks_api("serve", "--help").stdout
    assert [name for name in Settings.model_fields if not re.search(rf"\b{name.upper()}\b", text)] == []
    assert [name for name in ("host", "port", "workers", "reload") if f"--{name}" not in text] == []


def test_an_upgrade_header_logs_no_advice(database_url: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database_url) as service:
        for protocol in (b"websocket", b"h2c", b"nonsense"):
            with RawConnection(service) as raw:
                fields = b"Host: localhost\r\nConnection: Upgrade\r\nUpgrade: " + protocol
                raw.send(b"GET /health HTTP/1.1\r\n" + fields + b"\r\n\r\n")
                assert raw.read().status_code == httpx2.codes.OK
        log = service.read_log()
    assert [word for word in ("pip install", "Unsupported upgrade", "WebSocket") if word in log] == []


def test_a_port_that_is_taken_is_told_before_the_database_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, served(tmp_path, PORT=str(taken.getsockname()[1])) as log:
        until(lambda: "cannot listen" in log.read_text(), START_SECONDS)
        assert not (tmp_path / "data" / "postgres").exists()
