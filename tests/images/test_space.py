"""The folder of a Hugging Face Space: assembled, built, and run behind a proxy as Hugging Face runs it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.images.buildah import Buildah
from tests.images.container import Container, Mounts, running
from tests.support.servers.haproxy import DEFAULTS, haproxy
from tests.support.service import ROOT, SECRET, Service, free_port, token
from tests.support.waiting import until

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


@pytest.fixture(scope="module")
def proxied(space: tuple[Service, Container], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the proxy in front of the Space: it has TLS outside, and names the client and its protocol."""
    port = free_port()
    configuration = f"""{DEFAULTS}
frontend outside
    bind 127.0.0.1:{port}
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host {HOST}
    default_backend space
backend space
    server space {space[0].url.removeprefix("http://")}
"""
    with haproxy(tmp_path_factory.mktemp("proxy"), port, configuration):
        yield f"http://127.0.0.1:{port}"


def test_addresses_are_those_of_the_space(proxied: str) -> None:
    with httpx2.Client(base_url=proxied, headers={"host": HOST}, trust_env=False) as client:
        until(lambda: client.get("/health/ready").status_code == httpx2.codes.OK)
        assert client.get("/openapi.json").json()["servers"][0]["url"] == f"https://{HOST}"
        page = client.get("/")
        assert "https://huggingface.co" in page.headers["content-security-policy"]
        assert "x-frame-options" not in page.headers
        task = client.post(
            "/api/tasks", json={"title": "Where"}, headers={"authorization": f"Bearer {token('ada')}"}
        ).headers["location"]
        assert task.startswith("/api/tasks/")


def test_clients_are_counted_by_their_own_address(proxied: str) -> None:
    """The proxy appends the address of the client to what the client sent, which does not count."""

    def statuses(address: str) -> list[int]:
        transport = httpx2.HTTPTransport(local_address=address)
        with httpx2.Client(base_url=proxied, transport=transport, trust_env=False) as client:
            return [
                client.get("/guide", headers={"x-forwarded-for": f"192.0.2.{number}"}).status_code
                for number in range(6)
            ]

    # Addresses of the loopback network that the Space does not trust as a proxy.
    assert statuses("127.0.0.8") == [httpx2.codes.OK] * 5 + [httpx2.codes.TOO_MANY_REQUESTS]
    assert statuses("127.0.0.9")[0] == httpx2.codes.OK


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
