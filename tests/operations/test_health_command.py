"""`tasks-api health`, which a container's health check runs."""

import subprocess
import sys
from pathlib import Path

import httpx2

from tests.operations.command import RunCommand
from tests.support.service import ROOT, Service, running_service


def _port(service: Service) -> str:
    return str(httpx2.URL(service.url).port)


def test_a_ready_service_is_healthy(service: Service, tasks_api: RunCommand) -> None:
    for arguments, body in (([], '{"status":"ready"}'), (["--live"], '{"status":"ok"}')):
        result = tasks_api("health", *arguments, HOST="0.0.0.0", PORT=_port(service))  # noqa: S104
        assert (result.exit_code, result.stdout.strip()) == (0, body)


def test_a_service_that_does_not_respond_is_not(tasks_api: RunCommand) -> None:
    result = tasks_api("health", "--port", "1", HOST="127.0.0.1")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: no response from 127.0.0.1, port 1: ")


def test_a_refusal_is_not_health(database_url: str, tmp_path: Path, tasks_api: RunCommand) -> None:
    """The status and the problem are shown; here that of too many health checks in a minute."""
    with running_service(
        tmp_path, DATABASE_URL=database_url, RATE_LIMIT="1000/minute", RATE_LIMIT_PROBES="3/minute"
    ) as service:
        results = [tasks_api("health", HOST="127.0.0.1", PORT=_port(service)) for _ in range(4)]
    assert results[-1].exit_code == 1
    assert results[-1].stderr.startswith("Error: /health/ready: 429 {")


def test_it_does_not_import_the_service() -> None:
    """A health check runs every few seconds, and the service takes more than a second of CPU to import."""
    heavy = {"connexion", "pydantic", "sqlalchemy"}
    code = f"import sys, server.cli, server.commands.health; print({heavy} & {{*sys.modules}})"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    assert printed.stdout == "set()\n"
