"""`make audit`: look up the locked dependencies in the vulnerability database OSV, with pip-audit.

Where the database cannot be reached, this is one sentence and no failure. `OSV_URL` names another one.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

import httpx2

from tests.support.service import ROOT

OSV_URL: Final = "https://api.osv.dev/v1/query"
LOCK: Final = ROOT / "requirements" / "bench.txt"
"""The lock that holds the packages of the other two, and those of the benchmark."""

EXPLAINED: Final[Mapping[str, str]] = {}
"""Vulnerabilities that do not concern the project, by their id, with the reason."""

_SECONDS = 20


def main(lock: str = str(LOCK), explained: Mapping[str, str] = EXPLAINED) -> int:
    """Return 0 if the lock has no vulnerability that is not explained, or if the database cannot be asked."""
    url = os.environ.get("OSV_URL", OSV_URL)
    if reason := _unavailable(url):
        print(f"pip-audit was skipped, because {httpx2.URL(url).host} cannot be asked: {reason}")  # noqa: T201
        return 0
    ignored = [f"--ignore-vuln={vulnerability}" for vulnerability in explained]
    options = ["--require-hashes", "--disable-pip", "--vulnerability-service=osv", "--progress-spinner=off"]
    command = [sys.executable, "-m", "pip_audit", *options, f"--osv-url={url}", f"--requirement={lock}", *ignored]
    return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603


def _unavailable(url: str) -> str:
    """Why the database cannot be asked, or nothing."""
    try:
        question = {"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "0"}
        httpx2.post(url, json=question, timeout=_SECONDS).raise_for_status()
    except httpx2.HTTPError as error:
        return str(error).splitlines()[0] or type(error).__name__
    return ""


if __name__ == "__main__":
    sys.exit(main())
