"""`make release`: the files of a release, and the notes from the changelog."""

import json
import re
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from docs import release
from server.contract.document import load_document
from tests.support.service import ROOT

DOCUMENT = load_document()
VERSION = DOCUMENT["info"]["version"]
VERSIONS = {"the package": VERSION, "the document": VERSION}
FILES = (
    *("pyproject.toml", "Dockerfile", "Dockerfile.spaces", "deploy/kubernetes/kustomization.yaml"),
    *("clients/typescript/package.json", "clients/typescript/package-lock.json"),
)
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


def copy_versions(directory: Path) -> None:
    """Copy the files that have a version of their own."""
    for name in FILES:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, directory / name)


@pytest.fixture
def build(converters: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001  they must be there
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    copy_versions(tmp_path)
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
    assert set(sums) == {
        f"tasks-api-{VERSION}.{form}"
        for form in ("openapi.yaml", "openapi.json", "openapi-3.1.json", "postman_collection.json")
    }


def test_the_released_document_is_one_file(build: Path) -> None:
    """It is bundled: every reference leads to a place in it."""
    text = (build / "release" / f"tasks-api-{VERSION}.openapi.yaml").read_text()
    references = re.findall(r"\$ref: '?([^'\n]+)", text)
    assert [reference for reference in references if not reference.startswith("#/components/")] == []
    assert len(references) > 100


def test_the_notes_are_the_section_of_the_version(build: Path) -> None:
    assert (build / "release-notes.md").read_text() == "### Added\n\n- This.\n"


def test_a_version_without_a_dated_section_is_refused() -> None:
    with pytest.raises(release.ReleaseError, match=r"no section \[9\.9\.9\]"):
        release.release_notes("9.9.9", CHANGELOG)


@pytest.mark.parametrize("tag", [VERSION, "v9.9.9", f"v{VERSION}-rc1", "main"])
def test_a_tag_of_another_version_is_refused(tag: str) -> None:
    with pytest.raises(release.ReleaseError, match="the tag is"):
        release.released_version(tag, VERSIONS)


def test_everything_has_the_version_of_the_document() -> None:
    """Also the images' labels, which a build without `--build-arg VERSION` has, and the image of the manifests."""
    found = release.versions(ROOT)
    assert found == dict.fromkeys(found, VERSION)
    assert len(found) == len(FILES)


def test_the_images_have_the_version_as_their_label() -> None:
    for name in ("Dockerfile", "Dockerfile.spaces"):
        assert 'org.opencontainers.image.version="${VERSION}"' in (ROOT / name).read_text()


@pytest.mark.parametrize("name", FILES)
def test_a_version_that_stays_behind_is_refused(name: str, tmp_path: Path) -> None:
    copy_versions(tmp_path)
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text(text.replace(VERSION, "0.0.9", 1))
    with pytest.raises(release.ReleaseError, match=r"0\.0\.9"):
        release.released_version(f"v{VERSION}", release.versions(tmp_path))


def test_the_changelog_ends_with_the_version_of_the_document() -> None:
    """The newest section is that of the version, or `Unreleased` says what the version will have."""
    text = (ROOT / "CHANGELOG.md").read_text()
    unreleased, *released = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", text, re.MULTILINE)
    assert unreleased == "Unreleased"
    assert VERSION in released[:1] or f"What {VERSION} will have." in text
