"""The sessions of docs/clients.md print what it shows, with a running service."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients import tools
from tests.support.service import ROOT, Service, running_service, token

PAGE = (ROOT / "docs" / "clients.md").read_text()
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def session(title: str) -> dict[str, str]:
    """Return the blocks of code below a heading, by their language."""
    section = PAGE.split(f"\n### {title}\n")[1].split("\n## ")[0].split("\n### ")[0]
    return {match[1]: match[2] for match in _FENCED.finditer(section)}


def masked(output: str) -> str:
    """Return the output without the parts that differ from run to run, and as a terminal shows it."""
    output = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<moment>", output.replace("\r\n", "\n"))
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", output)


def bash(script: str, directory: Path, **environment: str) -> str:
    """Run the script as a reader of the page does, with the commands of the checkout; return what it prints."""
    programs = str(Path(tools.python_program("http")).parent)
    ran = subprocess.run(  # noqa: S603
        ["bash", "-euo", "pipefail", "-c", script],  # noqa: S607  the reader's own bash
        cwd=directory,
        env={"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(directory)} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout.decode()
    return ran.stdout.decode()


@pytest.mark.skipif(shutil.which("bash") is None or shutil.which("curl") is None, reason="it needs bash and curl")
@pytest.mark.parametrize("title", ["curl", "HTTPie"])
def test_a_session_prints_what_the_page_shows(title: str, tmp_path: Path) -> None:
    """The service runs as `make run` leaves it: no database and no secret given, `.venv` in its directory."""
    blocks = session(title)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "config.json").write_text('{"disable_update_warnings": true}')
    with running_service(tmp_path, BETTER_AUTH_SECRET="") as service:
        printed = bash(blocks["sh"], tmp_path, API=service.url, HTTPIE_CONFIG_DIR=str(tmp_path))
    assert masked(printed) == masked(blocks["text"])


def test_the_python_session_prints_what_the_page_shows(service: Service, tmp_path: Path) -> None:
    blocks = session("Python")
    bash(blocks["sh"], tmp_path, API=service.url)
    (tmp_path / "session.py").write_text(blocks["python"])
    tools.run(tools.python_program("mypy"), "--strict", "--follow-imports=silent", "session.py", directory=tmp_path)
    environment = {"API": service.url, "TASKS_TOKEN": token("python-session")}
    printed = tools.run(tools.python_program("python"), "session.py", directory=tmp_path, **environment)
    assert masked(printed) == masked(blocks["text"])
