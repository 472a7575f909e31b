"""`make release TAG=v1.2.3`: the files of a release in build/release, and its notes in build/release-notes.md.

The files are the OpenAPI document as YAML and as JSON, the same as OpenAPI 3.1 and as a Postman collection, and
`SHA256SUMS` with the checksums of all. The document refers to no other file. The notes are the section of CHANGELOG.md
for this version.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson

from server.contract.document import load_document, to_yaml

ROOT: Final = Path(__file__).parent.parent
BUILD: Final = ROOT / "build"
_IMAGES: Final = {
    "Dockerfile": r"^ARG VERSION=(.+)$",
    "Dockerfile.spaces": r"^ARG VERSION=(.+)$",
    "deploy/kubernetes/kustomization.yaml": r"^ +newTag: (.+)$",
}
CONVERT: Final = Path(__file__).parent.parent / "openapi/convert/convert.js"


class ReleaseError(Exception):
    """The tag, a version and CHANGELOG.md do not agree. The message says how."""


def main(tag: str, build: Path = BUILD) -> None:
    """Write the files of the release. Raises `ReleaseError`."""
    document = load_document()
    version = released_version(tag, versions(ROOT) | {"the document": document["info"]["version"]})
    notes = release_notes(version, (ROOT / "CHANGELOG.md").read_text())
    converted = other_forms(document)
    contents = {
        f"tasks-api-{version}.openapi.yaml": to_yaml(document),
        f"tasks-api-{version}.openapi.json": orjson.dumps(document, option=orjson.OPT_INDENT_2),
        f"tasks-api-{version}.openapi-3.1.json": orjson.dumps(converted["openapi31"], option=orjson.OPT_INDENT_2),
        f"tasks-api-{version}.postman_collection.json": orjson.dumps(converted["postman"], option=orjson.OPT_INDENT_2),
    }
    sums = "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in contents.items())
    directory = build / "release"
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in (contents | {"SHA256SUMS": sums.encode()}).items():
        (directory / name).write_bytes(content)
    (build / "release-notes.md").write_text(notes)


def other_forms(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document as OpenAPI 3.1 (`openapi31`) and as a Postman collection (`postman`). It needs Node.js."""
    done = subprocess.run(["node", CONVERT], input=orjson.dumps(document), stdout=subprocess.PIPE, check=True)  # nosec B607  # noqa: S603, S607  the operator's Node.js
    forms: dict[str, Any] = orjson.loads(done.stdout)
    return forms


def versions(root: Path) -> dict[str, str]:
    """Return the version of the package, of the client, and of the images where it is written, by what it is of."""
    found = {"the package": tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]}
    for name, pattern in _IMAGES.items():
        found[name] = re.findall(pattern, (root / name).read_text(), re.MULTILINE)[0]
    for name in ("package.json", "package-lock.json"):
        client = json.loads((root / "clients/typescript" / name).read_text())
        found[f"{name} of the TypeScript client"] = client["version"]
    return found


def released_version(tag: str, found: Mapping[str, str]) -> str:
    """Return the version that the tag names. Raises `ReleaseError` if one of those that were found is another."""
    version = tag.removeprefix("v")
    if not tag.startswith("v") or set(found.values()) != {version}:
        named = ", ".join(f"that of {name} {other}" for name, other in found.items())
        raise ReleaseError(f"the tag is {tag}, the version is not: {named}")
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
