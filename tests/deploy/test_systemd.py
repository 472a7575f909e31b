"""The unit of deploy/systemd: valid, hardened, and true of the service."""

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from server.commands.errors import OperatorError
from server.settings import Settings
from tests.support.service import ROOT

UNIT = ROOT / "deploy" / "systemd" / "tasks-api.service"
PROGRAM = "/opt/tasks-api/.venv/bin/tasks-api"
MOST_EXPOSURE = "15"
"""In tenths, as `systemd-analyze security` counts it: 0 is none, 100 everything."""

SETTINGS: dict[str, list[str]] = defaultdict(list)
for name, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE):
    SETTINGS[name].append(value)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is missing")
        pytest.skip("it needs systemd-analyze")
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
