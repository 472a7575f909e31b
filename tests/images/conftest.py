"""Images, built once in a run. These tests are collected only when they are named, as `make image-test` does."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.images.buildah import Buildah, missing_programs
from tests.support.service import ROOT

HERE = Path(__file__).parent
TAGS: dict[str, dict[str, str]] = {"service": {}, "external": {"EMBEDDED": "false"}, "spaces": {}}


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave these tests out of runs of all tests: they take minutes, and root."""
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.invocation_params.args]
    return None if any(path == HERE or HERE in path.parents for path in named) else True


@pytest.fixture(scope="session")
def buildah() -> Iterator[Buildah]:
    """A store with the base image."""
    missing = missing_programs()
    if missing and os.environ.get("CI"):
        pytest.fail(f"the tests of the images need {', '.join(missing)}")
    if missing or os.geteuid() != 0:
        pytest.skip(f"the tests of the images need root and Debian's packages {', '.join(missing) or 'buildah'}")
    with tempfile.TemporaryDirectory(prefix="images-", ignore_cleanup_errors=True) as directory:
        store = Buildah(Path(directory))
        store.make_base()
        yield store
        store.close()


@pytest.fixture(scope="session")
def build(buildah: Buildah) -> Callable[[str], str]:
    """Build an image of `TAGS` once, and return its tag."""
    built: set[str] = set()

    def built_once(name: str) -> str:
        if name not in built:
            file = "Dockerfile.spaces" if name == "spaces" else "Dockerfile"
            buildah.build(f"localhost/{name}", ROOT, file, **TAGS[name])
            built.add(name)
        return f"localhost/{name}"

    return built_once


@pytest.fixture
def volume() -> Iterator[Path]:
    """An empty volume that belongs to the user of the images."""
    with tempfile.TemporaryDirectory(prefix="volume-") as directory:
        path = Path(directory, "data")
        path.mkdir(mode=0o700)
        os.chown(path, 1000, 1000)
        yield path
