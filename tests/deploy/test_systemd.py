"""The unit of deploy/systemd: valid, hardened, and true of the service."""

import contextlib
import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from server.commands.errors import OperatorError
from server.settings import Settings
from tests.deploy.sandbox import LIBSECCOMP
from tests.support.service import MEASURED, ROOT, SECRET, free_port
from tests.support.waiting import until

UNIT = ROOT / "deploy" / "systemd" / "tasks-api.service"
PROGRAM = "/opt/tasks-api/.venv/bin/tasks-api"
MOST_EXPOSURE = "15"
"""In tenths, as `systemd-analyze security` counts it: 0 is none, 100 everything."""

SETTINGS: dict[str, list[str]] = defaultdict(list)
for name, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE):
    SETTINGS[name].append(value)


def missing(program: str) -> None:
    if "CI" in os.environ:
        pytest.fail(f"{program} is missing")
    pytest.skip(f"it needs {program}")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze")
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace(PROGRAM, sys.executable).replace("%", "%%"))
    return copy


def test_systemd_understands_the_unit(unit: Path) -> None:
    verified = analyze("verify", "--man=no", str(unit))
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize(
    ("before", "after"),
    [("ProtectHome=yes", "ProtectHme=yes"), ("Type=exec", "Type=exce"), ("TimeoutStopSec=30s", "TimeoutStopSec=30 q")],
)
def test_a_mistake_in_the_unit_is_found(before: str, after: str, unit: Path) -> None:
    unit.write_text(unit.read_text().replace(before, after))
    assert analyze("verify", "--man=no", str(unit)).stderr != ""


def test_the_unit_is_hardened(unit: Path) -> None:
    checked = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(unit))
    assert checked.returncode == 0, checked.stdout


def test_variables_of_the_unit_are_settings() -> None:
    names = {assignment.partition("=")[0].lower() for assignment in SETTINGS["Environment"]}
    assert names == {"data_dir"} <= set(Settings.model_fields)
    assert f"DATA_DIR=/var/lib/{SETTINGS['StateDirectory'][0]}" in SETTINGS["Environment"]


def test_the_unit_waits_for_the_end_of_requests() -> None:
    seconds = int(SETTINGS["TimeoutStopSec"][0].removesuffix("s"))
    assert seconds >= Settings.model_fields["shutdown_seconds"].default + 10


def test_a_wrong_setting_is_not_tried_again() -> None:
    assert SETTINGS["RestartPreventExitStatus"] == [str(OperatorError.exit_code)]


def test_the_program_is_where_make_install_puts_it() -> None:
    assert SETTINGS["ExecStart"] == [f"{PROGRAM} serve"]
    assert "`.venv/bin/tasks-api`" in (ROOT / "docs" / "operations.md").read_text()


@pytest.fixture(scope="module")
def libseccomp() -> None:
    try:
        ctypes.CDLL(LIBSECCOMP)
    except OSError:
        missing(LIBSECCOMP)
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze")


@contextlib.contextmanager
def confined(unit: Path, *command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with these arguments, with the system calls of the unit."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "tests.deploy.sandbox", str(unit), sys.executable, *command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **MEASURED, **environment},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.exhaustive(0)
@pytest.mark.slow
@pytest.mark.usefixtures("libseccomp")
def test_the_service_runs_with_the_calls_of_the_unit(database_url: str, tmp_path: Path) -> None:
    """Its own user can also run the embedded PostgreSQL, unless that is root."""
    port = free_port()
    own = {"DATABASE_URL": database_url} if os.geteuid() == 0 else {"DATA_DIR": str(tmp_path / "data")}
    settings = {"PORT": str(port), "BETTER_AUTH_SECRET": SECRET, **own}
    with confined(UNIT, "-m", "server", "serve", **settings) as service, httpx2.Client(trust_env=False) as client:

        def ready() -> bool:
            assert service.poll() is None
            try:
                return client.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
            except httpx2.TransportError:
                return False

        until(ready, 60)
        status = Path(f"/proc/{service.pid}/status").read_text()
        assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
        service.terminate()
        assert [str(service.wait(30))] == SETTINGS["SuccessExitStatus"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [("import os; os.setpriority(0, 0, 5)", 1), ("import os; os.mkdir('a'); os.chown('a', -1, -1)", 0)],
    ids=["refused", "allowed"],
)
@pytest.mark.usefixtures("libseccomp")
def test_the_calls_of_the_unit_are_enforced(code: str, expected: int, tmp_path: Path) -> None:
    code = f"import os; os.chdir({str(tmp_path)!r}); {code}"
    with confined(UNIT, "-c", code) as process:
        assert process.wait(30) == expected
