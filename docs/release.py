"""`make release TAG=v1.2.3`: the files of a release in build/release, and its notes in build/release-notes.md.

The files are the OpenAPI document as YAML and as JSON, and `SHA256SUMS` with the checksums of both. The notes are the
section of CHANGELOG.md for this version.
"""

import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

import orjson

from server.contract.document import load_document, to_yaml

ROOT: Final = Path(__file__).parent.parent
BUILD: Final = ROOT / "build"


class ReleaseError(Exception):
    """The tag, the version of the package and CHANGELOG.md do not agree. The message says how."""


def main(tag: str, build: Path = BUILD) -> None:
    """Write the files of the release. Raises `ReleaseError`."""
    document = load_document()
    version = released_version(tag, (ROOT / "pyproject.toml").read_text(), document["info"]["version"])
    notes = release_notes(version, (ROOT / "CHANGELOG.md").read_text())
    contents = {
        f"tasks-api-{version}.openapi.yaml": to_yaml(document),
        f"tasks-api-{version}.openapi.json": orjson.dumps(document, option=orjson.OPT_INDENT_2),
    }
    sums = "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in contents.items())
    directory = build / "release"
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in (contents | {"SHA256SUMS": sums.encode()}).items():
        (directory / name).write_bytes(content)
    (build / "release-notes.md").write_text(notes)


def released_version(tag: str, pyproject: str, document_version: str) -> str:
    """Return the version that the tag names. Raises `ReleaseError` if package or document have another one."""
    version = tag.removeprefix("v")
    package = re.findall(r'^version = "(.+)"$', pyproject, re.MULTILINE)[0]
    if not tag.startswith("v") or {package, document_version} != {version}:
        raise ReleaseError(
            f"the tag is {tag}, the version of the package {package}, of the document {document_version}"
        )
    return version


def release_notes(version: str, changelog: str) -> str:
    """Return the section of the changelog for this version, without its heading. Raises `ReleaseError`."""
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |^\[|\Z)"
    section = re.search(heading, changelog, re.MULTILINE | re.DOTALL)
    if section is None:
        raise ReleaseError(f"CHANGELOG.md has no section [{version}] with a date")
    return section[1].strip() + "\n"


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except ReleaseError as error:
        sys.exit(str(error))
