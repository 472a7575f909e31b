"""`make release`: the files of a release, and the notes from the changelog."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from docs import release
from server.contract.document import load_document
from tests.support.service import ROOT

DOCUMENT = load_document()
VERSION = DOCUMENT["info"]["version"]
PYPROJECT = (ROOT / "pyproject.toml").read_text()
CHANGELOG = f"""\
# Changelog

## [Unreleased]

### Added

- Later.

## [{VERSION}] - 2026-12-01

### Added

- This.

## [0.0.1] - 2026-11-01

- Earlier.
"""


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    release.main(f"v{VERSION}", tmp_path / "build")
    return tmp_path / "build"


def test_the_document_is_released_as_it_is_served(build: Path) -> None:
    files = build / "release"
    assert yaml.safe_load((files / f"tasks-api-{VERSION}.openapi.yaml").read_text()) == DOCUMENT
    assert json.loads((files / f"tasks-api-{VERSION}.openapi.json").read_text()) == DOCUMENT


def test_every_released_file_has_its_checksum(build: Path) -> None:
    files = {path.name: path for path in (build / "release").iterdir()}
    sums = {line[66:]: line[:64] for line in files.pop("SHA256SUMS").read_text().splitlines()}
    assert sums == {name: sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert len(sums) == 2


def test_the_notes_are_the_section_of_the_version(build: Path) -> None:
    assert (build / "release-notes.md").read_text() == "### Added\n\n- This.\n"


def test_a_version_without_a_dated_section_is_refused() -> None:
    with pytest.raises(release.ReleaseError, match=r"no section \[9\.9\.9\]"):
        release.release_notes("9.9.9", CHANGELOG)


@pytest.mark.parametrize("tag", [VERSION, "v9.9.9", f"v{VERSION}-rc1", "main"])
def test_a_tag_of_another_version_is_refused(tag: str) -> None:
    with pytest.raises(release.ReleaseError, match="the tag is"):
        release.released_version(tag, PYPROJECT, VERSION)


def test_package_and_document_have_one_version() -> None:
    assert release.released_version(f"v{VERSION}", PYPROJECT, VERSION) == VERSION
