"""The folder of a Hugging Face Space: assembled, built, and run behind a proxy as Hugging Face runs it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.images.buildah import Buildah
from tests.images.container import Container, Mounts, running
from tests.support.service import ROOT, SECRET, Service

HOST = "ada-tasks.hf.space"
TAG = "localhost/space"


@pytest.fixture(scope="module")
def root(buildah: Buildah) -> Path:
    """The file system of the image that the folder of `make space` is built to."""
    subprocess.run(["make", "space"], cwd=ROOT, check=True, capture_output=True)  # noqa: S607
    buildah.build(TAG, ROOT / "build/space")
    return buildah.mount(TAG)


@pytest.fixture(scope="module")
def space(
    buildah: Buildah, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Container]]:
    """A Space without persistent storage: uid 1000, a root that is read-only, and an empty /data."""
    config = buildah.config(TAG)
    settings = {"SPACE_HOST": HOST, "BETTER_AUTH_SECRET": SECRET, "RATE_LIMIT_ANONYMOUS": "5/hour"}
    with running(root, config, tmp_path_factory.mktemp("space"), Mounts(), **settings) as both:
        yield both


def test_the_folder_has_only_the_files_needed(root: Path) -> None:
    assert root.is_dir()
    assert {path.name for path in (ROOT / "build/space").iterdir()} == {
        *("Dockerfile", "README.md", "LICENSE", ".dockerignore", "pyproject.toml", "requirements"),
        *("handlers", "openapi", "persistence", "server"),
    }


def test_it_listens_where_the_readme_says(buildah: Buildah, root: Path) -> None:
    config = buildah.config(TAG)
    assert root.is_dir()
    assert {*config["ExposedPorts"]} == {"7860/tcp"}
    assert "PORT=7860" in config["Env"]
    assert config["User"].startswith("1000")


def test_addresses_are_those_of_the_space(space: tuple[Service, Container]) -> None:
    service, _ = space
    client = service.client(
        **{"x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.7", "x-forwarded-host": HOST}
    )
    assert client.get("/openapi.json").json()["servers"][0]["url"] == f"https://{HOST}"
    page = client.get("/")
    assert "https://huggingface.co" in page.headers["content-security-policy"]
    assert "x-frame-options" not in page.headers


def test_clients_are_counted_by_their_own_address(space: tuple[Service, Container]) -> None:
    """The proxy appends the address of the client to what the client sent, which does not count."""
    service, _ = space

    def statuses(address: str) -> list[int]:
        found = []
        for number in range(6):
            client = service.client(**{"x-forwarded-for": f"192.0.2.{number}, {address}, 10.0.3.4"})
            found.append(client.get("/guide").status_code)
        return found

    assert statuses("198.51.100.8") == [httpx2.codes.OK] * 5 + [httpx2.codes.TOO_MANY_REQUESTS]
    assert statuses("198.51.100.9")[0] == httpx2.codes.OK


def test_a_task_can_be_kept(space: tuple[Service, Container]) -> None:
    service, container = space
    client = service.as_user("ada")
    assert client.post("/api/tasks", json={"title": "Keep"}).status_code == httpx2.codes.CREATED
    assert container.execute("id", "-u").stdout == "1000\n"


def test_a_space_without_storage_tells_that_data_are_lost(buildah: Buildah, root: Path, tmp_path: Path) -> None:
    """Its /data is then a directory of the image; with persistent storage it is a mount."""
    sentence = "All tasks are lost when this Space restarts"
    config = buildah.config(TAG)
    settings = {"SPACE_HOST": HOST, "BETTER_AUTH_SECRET": SECRET}
    with running(root, config, tmp_path / "lost", Mounts(is_writable=True), **settings) as (service, _):
        assert sentence in service.client().get("/").text
        assert service.as_user("ada").post("/api/tasks", json={"title": "Lost"}).status_code == httpx2.codes.CREATED
    with running(root, config, tmp_path / "kept", Mounts(), **settings) as (service, _):
        assert sentence not in service.client().get("/").text
