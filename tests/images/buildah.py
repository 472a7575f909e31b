"""Builds the Dockerfiles with Debian's buildah, from a base that debootstrap makes. It needs no Docker engine."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

SUITE: Final = "trixie"
BASE: Final = "localhost/base"
PROGRAMS: Final = ("buildah", "debootstrap", "runc")

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_CERTIFICATES_INSIDE = "/run/certificates.crt"


def missing_programs() -> list[str]:
    """The programs that these tests need and this machine does not have."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Buildah:
    """A store of images in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        """Keep images and containers below `directory`."""
        self._directory = directory
        self._containers: list[str] = []
        self._command = ["buildah", "--storage-driver", "vfs", "--root", str(directory / "storage")]
        self._command += ["--runroot", str(directory / "run")]

    def run(self, *arguments: str) -> str:
        """Run buildah and return its standard output without the last line feed."""
        ended = subprocess.run([*self._command, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
        assert ended.returncode == 0, f"buildah {' '.join(arguments)}\n{ended.stdout[-5000:]}{ended.stderr[-5000:]}"
        return ended.stdout.strip()

    def make_base(self) -> None:
        """Make an image of the packages that Debian calls `minbase`, as `debian:trixie-slim` has them."""
        container = self.run("from", "scratch")
        root = self.run("mount", container)
        subprocess.run(  # noqa: S603
            ["debootstrap", "--variant=minbase", SUITE, root, _mirror()],  # noqa: S607
            check=True,
            capture_output=True,
        )
        for options in Path("/etc/apt/apt.conf.d").glob("*"):
            # How this machine reaches its mirror.
            if "Acquire" in options.read_text():
                shutil.copy(options, Path(root, "etc/apt/apt.conf.d"))
        self.run("umount", container)
        self.run("commit", "--rm", container, BASE)

    def build(self, tag: str, context: Path, file: str = "Dockerfile", **arguments: str) -> None:
        """Build an image, with nothing from outside but the registries of Debian and Python."""
        pip = self._directory / "pip.conf"
        pip.write_text(f"[global]\ncert = {_CERTIFICATES_INSIDE}\n")
        options = [f"--build-arg={name}={value}" for name, value in ({"BASE": BASE} | arguments).items()]
        self.run(
            "build",
            "--isolation=chroot",
            "--format=docker",
            *options,
            f"--volume={pip}:/etc/pip.conf:ro",
            f"--volume={_CERTIFICATES}:{_CERTIFICATES_INSIDE}:ro",
            f"--file={context / file}",
            f"--tag={tag}",
            str(context),
        )

    def config(self, tag: str) -> dict[str, Any]:
        """The configuration of an image, as Docker has it."""
        config: dict[str, Any] = json.loads(self.run("inspect", "--type=image", tag))["Docker"]["config"]
        return config

    def history(self, tag: str) -> str:
        """All that the image says of its making."""
        return self.run("inspect", "--type=image", tag)

    def mount(self, tag: str) -> Path:
        """The file system of a new container of the image."""
        container = self.run("from", tag)
        self._containers.append(container)
        return Path(self.run("mount", container))

    def close(self) -> None:
        """Remove the containers, so that nothing stays mounted."""
        for container in self._containers:
            self.run("rm", container)


def _mirror() -> str:
    """The mirror that this machine installs its packages from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]  # noqa: S603
