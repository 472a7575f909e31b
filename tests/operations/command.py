"""The command `tasks-api`."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from tests.support.service import MEASURED, ROOT

# Settings and the command


RunCommand = Callable[..., Result]


def serve(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server", "serve"],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT), "HOST": "203.0.113.1", **MEASURED, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
