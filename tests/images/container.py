"""Runs an image with runc, as an engine does: read-only root, no capabilities, own process and mount namespaces."""

import contextlib
import json
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.support.service import Service, free_port, wait_for_start


class Container:
    """A container that runs."""

    def __init__(self, directory: Path, name: str) -> None:
        """Address the container `name`, whose bundle is in `directory`."""
        self._runc = ["runc", "--root", str(directory / "state")]
        self.directory = directory
        self.name = name

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as its user."""
        return subprocess.run(  # noqa: S603
            [*self._runc, "exec", self.name, *command], capture_output=True, text=True, check=False, timeout=60
        )

    def signal(self, name: str) -> None:
        """Send a signal to its process 1, as `docker stop` does."""
        subprocess.run([*self._runc, "kill", self.name, name], check=True)  # noqa: S603

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; its output goes to `service.log`."""
        with (self.directory / "service.log").open("ab") as log:
            command = [*self._runc, "run", "--bundle", str(self.directory), self.name]
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603

    def remove(self) -> None:
        """End it for good, if it has not ended."""
        subprocess.run([*self._runc, "delete", "--force", self.name], check=False, capture_output=True)  # noqa: S603


class Mounts(NamedTuple):
    """What is mounted over the root of a container."""

    volume: Path | None = None
    """What /data is; None for an empty one in memory."""
    files: Mapping[str, Path] = MappingProxyType({})
    """Files and directories of this machine, by their place in the container; read-only."""
    is_writable: bool = False
    """Whether the root can be written to, and has its own /data, as where nothing is mounted."""


@contextlib.contextmanager
def running(
    root: Path,
    config: Mapping[str, Any],
    directory: Path,
    mounts: Mounts,
    **environment: str,
) -> Iterator[tuple[Service, Container]]:
    """Run an image of the service whose file system is `root`, until it has answered and the block ends."""
    port = int(environment.setdefault("PORT", str(free_port())))
    with started(root, config, directory, mounts, **environment) as (container, process):
        service = Service(f"http://127.0.0.1:{port}", directory / "service.log", process)
        with service.clients:
            wait_for_start(service, "/health/ready")
            yield service, container


@contextlib.contextmanager
def started(
    root: Path, config: Mapping[str, Any], directory: Path, mounts: Mounts, **environment: str
) -> Iterator[tuple[Container, subprocess.Popen[bytes]]]:
    """Run the image whose file system is `root` until the block ends."""
    directory.mkdir(exist_ok=True)
    bundle = _bundle(root, config, mounts, environment)
    (directory / "config.json").write_text(json.dumps(bundle))
    container = Container(directory, f"tasks-{uuid.uuid4().hex[:8]}")
    process = container.start()
    try:
        yield container, process
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            container.signal(config.get("StopSignal", "SIGTERM"))
        try:
            process.wait(30)
        finally:
            container.remove()


def _bundle(root: Path, config: Mapping[str, Any], mounts: Mounts, environment: Mapping[str, str]) -> dict[str, Any]:
    """The configuration of the OCI runtime (runtime-spec 1.0) for an image; the network is that of the machine."""
    uid, _, gid = config["User"].partition(":")
    none: list[str] = []
    mounted: list[dict[str, Any]] = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        _tmpfs("/dev", "mode=755", "size=65536k"),
        _tmpfs("/dev/shm", "nodev", "mode=1777", "size=65536k"),  # noqa: S108
        _tmpfs("/tmp", "nodev", "mode=1777", "size=65536k"),  # noqa: S108
        *(_bound(place, path, "ro") for place, path in mounts.files.items()),
    ]
    if mounts.volume is not None:
        mounted.append(_bound("/data", mounts.volume, "rw"))
    elif not mounts.is_writable:
        mounted.append(_tmpfs("/data", "nodev", "mode=0700", f"uid={uid}", f"gid={gid}"))
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": int(uid), "gid": int(gid)},
            "args": [*config["Entrypoint"], *(config.get("Cmd") or [])],
            "env": [*config["Env"], *(f"{name}={value}" for name, value in environment.items())],
            "cwd": config["WorkingDir"] or "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted", "ambient"), none),
            "noNewPrivileges": True,
        },
        "root": {"path": str(root), "readonly": not mounts.is_writable},
        "mounts": mounted,
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]},
    }


def _bound(destination: str, source: Path, access: str) -> dict[str, Any]:
    return {"destination": destination, "type": "bind", "source": str(source), "options": ["rbind", access]}


def _tmpfs(destination: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", *options]}
