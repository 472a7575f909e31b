"""The tests in TypeScript, in each runtime that the package supports."""

import platform
import re
import shutil
from pathlib import Path

import pytest

from tests.client_package.conftest import Stage
from tests.clients.tools import missing, run


def _node(major: int, consumer: Path) -> str:
    """Return the pinned Node.js of this major version."""
    program = consumer / f"node_modules/node{major}/bin/node"
    if not program.exists():
        pytest.skip(f"npm has no package of Node.js {major} for {platform.platform()}.")
    return str(program)


@pytest.mark.parametrize(("major", "project"), [(20, "node"), (22, "node"), (22, "chromium")])
def test_the_package_works(major: int, project: str, consumer: Path, stage: Stage) -> None:
    node = _node(major, consumer)
    assert run(node, "--version", directory=consumer).startswith(f"v{major}.")
    if project == "chromium" and shutil.which("chromium") is None:
        missing("Chromium is not installed.")
    vitest = str(consumer / "node_modules/vitest/vitest.mjs")
    said = run(node, vitest, "run", "--project", project, directory=consumer, **stage.as_environment())
    assert re.search(r"Tests +\d+ passed \(\d+\)$", said, re.MULTILINE), said
