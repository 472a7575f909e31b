"""The first session of the README, which several tests carry out."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.service import ROOT

README = (ROOT / "README.md").read_text()
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"


def section(title: str) -> str:
    """Return the section of the README below the heading, down to the next one of its level."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of this language."""
    return [match[2] for match in FENCED.finditer(text) if match[1] == language]


def _masked(output: str) -> str:
    """Return the output without the parts that differ from run to run."""
    return re.sub(_MOMENT, "<moment>", re.sub(_UUID, "<id>", output))


def assert_first_session(url: str, directory: Path, **environment: str) -> None:
    """Carry out the session with the service at `url`; it prints what the README shows, and no complaint."""
    (session,) = blocks(section("First session"), "sh")
    (shown,) = blocks(section("First session"), "text")
    (directory / ".venv").symlink_to(sys.prefix)
    ran = subprocess.run(  # noqa: S603
        ["bash", "-euo", "pipefail", "-c", session],  # noqa: S607  the reader's own bash
        cwd=directory,
        env={"PATH": os.environ["PATH"], "API": url, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (_masked(ran.stdout), ran.stderr, ran.returncode) == (_masked(shown), "", 0)
