"""The image of `Dockerfile`: built, looked at, and run."""

import json
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.docs.first_session import assert_first_session
from tests.images.buildah import Buildah
from tests.images.container import Container, Mounts, running
from tests.support.service import ROOT, SECRET, Service, token
from tests.support.waiting import until

SETTINGS = {"BETTER_AUTH_SECRET": SECRET, "EMBEDDED_DATABASE": "true", "RATE_LIMIT": "off"}


class Image:
    """An image with its file system."""

    def __init__(self, store: Buildah, tag: str) -> None:
        """Read the configuration, and mount the file system."""
        self.tag = tag
        self.config = store.config(tag)
        self.history = store.history(tag)
        self.root = store.mount(tag)
        self.megabytes = (
            sum(path.lstat().st_size for path in self.root.rglob("*") if path.is_file() and not path.is_symlink())
            // 1_000_000
        )


@pytest.fixture(scope="module")
def image(buildah: Buildah, build: Callable[[str], str]) -> Image:
    return Image(buildah, build("service"))


@pytest.fixture(scope="module")
def started(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Container]]:
    with running(image.root, image.config, tmp_path_factory.mktemp("bundle"), Mounts(), **SETTINGS) as both:
        yield both


def test_it_says_what_it_is_and_how_to_run_it(image: Image) -> None:
    config = image.config
    assert config["User"] == "1000:1000"
    assert config["Entrypoint"] == ["tini", "--", "tasks-api"]
    assert config["Cmd"] == ["serve"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "tasks-api", "health"]
    assert {*config["ExposedPorts"]} == {"8000/tcp"}
    assert {*config["Volumes"]} == {"/data"}
    labels = {name.removeprefix("org.opencontainers.image.") for name in config["Labels"]}
    assert labels >= {"title", "description", "licenses", "version", "revision", "created"}


def test_it_holds_what_it_runs_and_nothing_else(image: Image) -> None:
    """No compiler, package installer, tests, repository or bytecode of other versions."""
    programs = {path.name for path in image.root.glob("usr/*bin/*")} | {
        path.name for path in image.root.glob("opt/tasks-api/bin/*")
    }
    assert {"tini", "tasks-api"} <= programs
    assert not {
        name for name in programs if re.fullmatch(r"(gcc|cc|g\+\+|clang|make|pip|uv|git|curl|psql)[-0-9.]*", name)
    }
    files = [path.relative_to(image.root) for path in image.root.rglob("*")]
    assert not [path for path in files if path.name in (".git", ".env", "node_modules", "secret")]
    packages = next(image.root.glob("opt/tasks-api/lib/python3*/site-packages"))
    top = {path.name for path in packages.iterdir()}
    assert {"server", "handlers", "persistence", "openapi"} <= top
    assert not {"tests", "bench", "docs", "pip", "hatchling", "pytest", "schemathesis"} & top
    # The copy of GNU readline and psql, which the image must not distribute.
    assert not list(packages.glob("*/libreadline*")) + list(packages.glob("*/*/bin/psql"))


def test_it_holds_no_secret(image: Image) -> None:
    """Neither its history nor a text file of the application names a value that looks like one."""
    secrets = re.compile(
        rb"(?i)-----BEGIN [A-Z ]*PRIVATE KEY|postgres(ql)?://[^/\s\"'<{]+:[^/\s@\"'<{]+@(?!localhost|host)"
    )
    assert not secrets.search(image.history.encode())
    assert SECRET not in image.history
    own = [path for path in (image.root / "opt/tasks-api").rglob("*") if path.is_file()]
    assert len(own) > 1000
    for name in ("server", "handlers", "persistence", "openapi"):
        for path in next(image.root.glob("opt/tasks-api/lib/python3*/site-packages")).joinpath(name).rglob("*"):
            assert not (path.is_file() and secrets.search(path.read_bytes())), path


def test_its_bill_of_materials_names_every_package(image: Image) -> None:
    """CycloneDX, made from the installation itself."""
    bill = json.loads((image.root / "opt/tasks-api/sbom.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    named = {_normalized(component["name"]) for component in bill["components"]}
    installed = {
        _normalized(re.split(r"-\d", path.name)[0])
        for path in image.root.glob("opt/tasks-api/lib/python3*/site-packages/*.dist-info")
    } - {"tasks-api"}
    assert installed - named == set()
    assert len(installed) > 50


def _normalized(name: str) -> str:
    """The name of a package as indexes compare it."""
    return re.sub("[-_.]+", "-", name).lower()


def test_without_the_embedded_server_it_is_smaller(buildah: Buildah, build: Callable[[str], str], image: Image) -> None:
    external = Image(buildah, build("external"))
    sys.stdout.write(f"with the embedded PostgreSQL {image.megabytes} MB, without {external.megabytes} MB" + "\n")
    assert external.megabytes < image.megabytes - 25
    assert not list(external.root.glob("opt/tasks-api/lib/python3*/site-packages/pixeltable*"))


def test_its_health_turns_good(started: tuple[Service, Container]) -> None:
    _, container = started
    healthy = container.execute("tasks-api", "health")
    assert (healthy.returncode, healthy.stdout) == (0, '{"status":"ready"}\n')


def test_it_is_not_root_and_writes_to_two_directories_only(started: tuple[Service, Container]) -> None:
    """The root is read-only; no process of the container has a capability or may get one."""
    _, container = started
    assert container.execute("id", "-u").stdout == "1000\n"
    probe = 'for place in / /opt/tasks-api /usr /etc /var /home /run; do touch "$place/x" 2>&- && echo "$place"; done'
    assert container.execute("sh", "-c", probe).stdout == ""
    assert container.execute("sh", "-c", "touch /tmp/x /data/x").returncode == 0
    status = container.execute("sh", "-c", "cat /proc/[0-9]*/status").stdout
    assert {*re.findall(r"^Cap(?:Prm|Eff|Bnd):\s+(\w+)", status, re.MULTILINE)} == {"0" * 16}
    assert {*re.findall(r"^NoNewPrivs:\s+(\d)", status, re.MULTILINE)} == {"1"}
    assert {*re.findall(r"^Uid:\s+(\d+)", status, re.MULTILINE)} == {"1000"}


def test_process_1_reaps_orphans(started: tuple[Service, Container]) -> None:
    _, container = started
    assert container.execute("cat", "/proc/1/comm").stdout == "tini\n"
    container.execute("sh", "-c", "(sleep 0.1 &)")

    def zombies() -> list[str]:
        return re.findall(r"^State:\s+Z", container.execute("sh", "-c", "cat /proc/[0-9]*/status").stdout, re.MULTILINE)

    until(lambda: not zombies())


def test_the_first_session_of_the_readme_passes(started: tuple[Service, Container], tmp_path: Path) -> None:
    service, _ = started
    assert_first_session(service.url, tmp_path, BETTER_AUTH_SECRET=SECRET)


def test_a_task_outlives_the_container(image: Image, tmp_path: Path, volume: Path) -> None:
    """Same volume, new container."""
    addresses: list[str] = []
    for number in range(2):
        began = time.monotonic()
        with running(image.root, image.config, tmp_path / f"bundle{number}", Mounts(volume), **SETTINGS) as (
            service,
            _,
        ):
            sys.stdout.write(f"start {number + 1} to readiness: {time.monotonic() - began:.1f} s" + "\n")
            client = service.as_user("ada")
            if not addresses:
                addresses.append(client.post("/api/tasks", json={"title": "Keep"}).headers["location"])
            assert client.get(addresses[0]).json()["title"] == "Keep"
        assert service.process.returncode in (0, 128 + signal.SIGTERM)


def test_requests_in_progress_end_after_sigterm(image: Image, tmp_path: Path, volume: Path) -> None:
    """Under load: every acknowledged task is there afterwards, and the container ends within SHUTDOWN_SECONDS."""
    acknowledged: list[str] = []
    with running(image.root, image.config, tmp_path / "first", Mounts(volume), **SETTINGS) as (service, container):
        bearer = {"authorization": f"Bearer {token('ada')}"}

        def load() -> None:
            with httpx2.Client(base_url=service.url, headers=bearer, trust_env=False, timeout=30) as client:
                while True:
                    try:
                        answer = client.post("/api/tasks", json={"title": "Load"})
                    except httpx2.TransportError:
                        return
                    if answer.status_code != httpx2.codes.CREATED:
                        return
                    acknowledged.append(answer.json()["id"])

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: len(acknowledged) > 100)
        began = time.monotonic()
        container.signal("TERM")
        service.process.wait(30)
        took = time.monotonic() - began
        for thread in threads:
            thread.join()
    sys.stdout.write(f"ended {took:.1f} s after SIGTERM, {len(acknowledged)} tasks acknowledged" + "\n")
    assert took < 12
    with running(image.root, image.config, tmp_path / "second", Mounts(volume), **SETTINGS) as (service, _):
        kept = {task["id"] for task in service.as_user("ada").get("/api/tasks/export").json()}
        assert {*acknowledged} <= kept


def test_the_two_dockerfiles_differ_in_their_last_lines_only() -> None:
    texts = [(ROOT / name).read_text().splitlines() for name in ("Dockerfile", "Dockerfile.spaces")]
    ends = [next(place for place, line in enumerate(text) if line.startswith("# A container")) for text in texts]
    instructions = [
        [line for line in text[:end] if not line.startswith("#")] for text, end in zip(texts, ends, strict=True)
    ]
    assert instructions[0] == instructions[1]
