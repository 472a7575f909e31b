"""The generators: programs of npm, PyPI and Java that `make check-generators` installs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.service import ROOT

HERE = Path(__file__).parent
TYPESCRIPT = HERE / "typescript"
PYTHON = HERE / "python"
SECONDS = 120
"""How long one program may take."""

_SETTINGS = {
    name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME"}
}


def missing(reason: str) -> None:
    """Skip the test; in CI it fails."""
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


def npm_program(name: str) -> str:
    """Return the path of a program of the npm packages."""
    program = TYPESCRIPT / "node_modules/.bin" / name
    if not program.exists():
        missing("The generators of TypeScript are not installed: run `make check-generators` where npm is.")
    return str(program)


def python_program(name: str) -> str:
    """Return the path of a program of the environment of the Python clients."""
    program = ROOT / ".venv/clients/bin" / name
    if not program.exists():
        missing("The generators of Python are not installed: run `make check-generators`.")
    return str(program)


def openapi_generator() -> str:
    """Return the path of openapi-generator. It is left out where there is no Java, in CI too."""
    if shutil.which("java") is None:
        pytest.skip("openapi-generator needs Java, which is not installed.")
    return python_program("openapi-generator-cli")


def run(*command: str, directory: Path, **environment: str) -> str:
    """Run a program to its end in `directory`, and return its output; the test fails if the program does."""
    done = subprocess.run(  # noqa: S603  programs that the tests name
        command,
        cwd=directory,
        env=_SETTINGS | {"CI": "true", "NO_COLOR": "1"} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout[-6000:]}", pytrace=False)
    return done.stdout
