"""Compares the document with that of BASE, which is a tag, a commit or a file; by default the last release."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import yaml

from docs.breaking.operations import document_breaks
from server.contract.document import load_document

ROOT: Final = Path(__file__).parent.parent.parent
_FEW: Final = 3


class BaseError(Exception):
    """There is no document to compare with. The message says why."""


def main(base: str = "", root: Path = ROOT) -> int:
    """Print what breaks, and return 1 if the version of the document does not say so. Raises `BaseError`."""
    base = base or last_release(root)
    if not base:
        click.echo("There is no release yet, so nothing can break. BASE=<tag or file> compares with something else.")
        return 0
    before, after = earlier_document(base, root), load_document()
    breaks = document_breaks(before, after)
    for sentence, operations in breaks.items():
        click.echo(sentence + (f" ({_listed(operations)})" if operations else ""))
    was, now = before["info"]["version"], after["info"]["version"]
    if not breaks:
        click.echo(f"Nothing breaks for clients of {base} ({was}).")
        return 0
    announced = may_break(was, now)
    promise = "announces that." if announced else f"promises the contrary: it must be {next_breaking(was)} or higher."
    changes = "1 change breaks" if len(breaks) == 1 else f"{len(breaks)} changes break"
    click.echo(f"\n{changes} clients of {base}; the version {now} after {was} {promise}")
    return 0 if announced else 1


def last_release(root: Path) -> str:
    """Return the newest tag of a release before this commit, or nothing. Raises `BaseError` without the history."""
    history = _git(root, "rev-parse", "--is-shallow-repository")
    if history.stdout.strip() != "false":
        reason = history.stderr.strip() or "the clone is shallow"
        raise BaseError(f"The last release is unknown without the history of git. Fetch it, or name a BASE: {reason}")
    done = _git(root, "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^")
    return done.stdout.strip() if done.returncode == 0 else ""


def earlier_document(base: str, root: Path) -> Mapping[str, Any]:
    """Return the document of a file, or of a tag or commit. Raises `BaseError`."""
    if Path(base).is_file():
        content = Path(base).read_bytes()
    else:
        done = _git(root, "show", "--end-of-options", f"{base}:openapi/openapi.yaml")
        if done.returncode:
            raise BaseError(f"{base} is neither a file nor a commit with a document: {done.stderr.strip()}")
        content = done.stdout.encode()
    try:
        # In JSON the keys of responses are strings, without quotes too.
        document: Mapping[str, Any] = json.loads(json.dumps(yaml.safe_load(content), default=str))
        if not document["openapi"].startswith("3.0."):
            raise BaseError(f"{base} is of OpenAPI {document['openapi']}, the document of OpenAPI 3.0")
    except (yaml.YAMLError, ValueError, LookupError, TypeError) as error:
        raise BaseError(f"{base} has no OpenAPI document: {error}") from None
    return document


def may_break(before: str, after: str) -> bool:
    """Whether a version may break clients of another (Semantic Versioning 2.0.0, items 4 and 8)."""
    return _numbers(after) >= _numbers(next_breaking(before))


def next_breaking(version: str) -> str:
    """Return the lowest version that may break clients of this one: below 1.0.0 the next minor version."""
    major, minor, _ = _numbers(version)
    return f"{major + 1}.0.0" if major else f"0.{minor + 1}.0"


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _listed(operations: list[str]) -> str:
    more = len(operations) - _FEW
    return ", ".join(operations[:_FEW]) + (f" and {more} more" if more > 0 else "")


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)  # noqa: S603, S607  the developer's git  # nosec B607


if __name__ == "__main__":
    try:
        sys.exit(main("".join(sys.argv[1:2])))
    except BaseError as error:
        sys.exit(str(error))
