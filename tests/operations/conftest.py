"""The command `tasks-api`, run in this process."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from server.cli import main
from tests.operations.command import RunCommand
from tests.support.service import SECRET


@pytest.fixture
def tasks_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunCommand:
    """Run the command in this process, in a new directory. No process can listen on the default address."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environment: str | None) -> Result:
        defaults = {"BETTER_AUTH_SECRET": SECRET, "HOST": "203.0.113.1"}
        before = dict(os.environ)
        try:
            return CliRunner().invoke(main, arguments, env={**defaults, **environment})
        finally:
            # A command may leave variables to the processes that it starts.
            os.environ.clear()
            os.environ.update(before)

    return run
