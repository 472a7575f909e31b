"""The page about clients names the generators that `make check-generators` runs."""

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from server.commands.mcp import TOOLS
from tests.support.document import DOCUMENT, places
from tests.support.service import ROOT

CLIENTS = ROOT / "tests" / "clients"
PAGE = (ROOT / "docs" / "clients.md").read_text()
ROWS = re.findall(r"^\| \[.+\]\(\.\./(\S+)\) \| (.+?) \| `", PAGE, re.MULTILINE)
"""The folder and the versions of each row."""


def pinned() -> dict[str, str]:
    """The versions of all packages that are installed for the clients."""
    npm = json.loads((CLIENTS / "typescript" / "package.json").read_text())["devDependencies"]
    python = re.findall(r"^([a-z0-9-]+)==(\S+)", (CLIENTS / "python" / "requirements.txt").read_text(), re.MULTILINE)
    return {**npm, **dict(python)}


def test_the_table_names_every_generated_client() -> None:
    folders = {str(file.parent.relative_to(ROOT)) for file in programs()}
    assert {folder for folder, _ in ROWS} == folders


def programs() -> list[Path]:
    """Return the file that marks the folder of each client."""
    return [*(CLIENTS / "typescript").glob("*/tsconfig.json"), *(CLIENTS / "python").glob("*/drive.py")]


def test_the_table_names_the_versions_that_are_installed() -> None:
    versions = pinned()
    named = [package.split(" ") for _, packages in ROWS for package in packages.split(", ")]
    assert [(name, version) for name, version in named if versions[name] != version] == []
    assert f"TypeScript {versions['typescript']}" in PAGE
    assert f"Prism](https://github.com/stoplightio/prism) {versions['@stoplight/prism-cli']}" in PAGE


def test_the_table_of_tools_is_that_of_the_command() -> None:
    rows = re.findall(r"^\| (`\w+_tasks?`.*?) \| (`.+?`) \|", PAGE, re.MULTILINE)
    tools = [(tool, operation) for row in rows for tool, operation in zip(*map(_quoted, row), strict=True)]
    assert dict(tools) == TOOLS


def test_the_page_says_whether_something_is_deprecated() -> None:
    deprecated = [place for place, part in places(DOCUMENT) if part.get("deprecated") is True]
    assert ("\nNothing is deprecated today.\n" in PAGE) is (deprecated == [])


def test_the_examples_of_deprecation_follow_the_policy() -> None:
    """The end is an IMF-fixdate, with the right day of the week, and six months after the announcement."""
    (since,) = re.findall(r"`Deprecation: @(\d+)`", PAGE)
    (until,) = re.findall(r"`Sunset: (.+?)`", PAGE)
    end = parsedate_to_datetime(until)
    assert until == end.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert end - datetime.fromtimestamp(int(since), UTC) > timedelta(days=181)


def _quoted(cell: str) -> list[str]:
    return re.findall(r"`(.+?)`", cell)
