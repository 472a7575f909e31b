"""The tutorial of CONTRIBUTING.md, carried out in a copy of the checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive(0)]

TUTORIAL = (ROOT / "CONTRIBUTING.md").read_text().split("\n### Tutorial")[1].split("\n### ")[0]
STEPS = re.findall(r"^```(diff|console)\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)
NOT_COPIED = (".venv", ".git", "node_modules", "data", ".*_cache", ".hypothesis")


def masked(output: str) -> str:
    return re.sub(r"in \d+\.\d\ds(?: \(\S+\))?", "in <time>", output)


def apply(diff: str, checkout: Path) -> None:
    subprocess.run(["git", "apply", "-"], cwd=checkout, input=diff.encode(), check=True)  # noqa: S607  the reader's git


def run(command: str, checkout: Path) -> str:
    """Run the command as a reader does, with the code of the copy. Returns its output."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "USER") if name in os.environ}
    done = subprocess.run(  # noqa: S603  the commands of the tutorial
        ["bash", "-c", command],  # noqa: S607  the reader's bash
        cwd=checkout,
        env={**environment, "PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE,
        timeout=180,
        check=False,
    )
    return done.stdout.decode()


@pytest.mark.skipif(shutil.which("git") is None or shutil.which("bash") is None, reason="it needs git and bash")
def test_the_tutorial_prints_what_it_shows(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (checkout / ".venv").symlink_to(sys.prefix)
    printed, shown = [], []
    for kind, text in STEPS:
        if kind == "diff":
            apply(text, checkout)
            continue
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            printed.append((command, masked(run(command, checkout))))
            shown.append((command, masked(expected)))
    assert printed == shown
    assert len(shown) == 4
