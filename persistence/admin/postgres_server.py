"""One PostgreSQL server on a directory of data: initialise, start, stop, rotate its log."""

import contextlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import psutil

from persistence.admin.postgres_programs import (
    VERSION,
    User,
    account_name,
    give,
    named_user,
    process_options,
    server_user,
    usable_programs,
)
from persistence.errors import EmbeddedServerError

# Linux gives a process its working directory under this name. The server then needs no right to pass through the
# directories above its data, and no character of their names reaches a shell.
_WORKING_DIRECTORY = Path("/proc/self/cwd")
# initdb asks for the name of its user, who must have an account.
_INITDB_USER = "nobody"
_SOCKET = ".s.PGSQL.5432"
# In bytes. macOS has the lowest limit (sys/un.h), and mkdtemp adds eight characters to the prefix.
_PREFIX = "tasks-api-"
_LONGEST_PARENT = 103 - len(f"/{_PREFIX}12345678/socket/{_SOCKET}")
_INITDB_SECONDS = 300
_START_SECONDS = 60
_STOP_SECONDS = 60
_PAUSE = 0.02
_LOG_BYTES = 10 << 20
_COMPLAINT = re.compile(r"(?:\b(?:error|ERROR|FATAL|PANIC)|^postgres): +(\S.*)$", re.MULTILINE)
_STILL_IN_USE = "still in use"
_MARK = "# Written by tasks-api at every start of the server."
# A file of the releases before that mark.
_EARLIER_MARK = ".handle_pids.json"
_PEER = "local all all peer map=tasks-api"


class PostgresServer:
    """A server on the data in `directory`, which need not exist yet.

    It listens on a Unix-domain socket in a directory that only root and the server's own user may enter, and
    authenticates by the operating system (`peer`). The arguments `settings` and `access` (lines of pg_hba.conf)
    replace that. Beside `directory` are the log (`.log`) and a link to the directory of the socket (`.socket`).

    Methods raise `EmbeddedServerError` and `OSError`. Source: PostgreSQL 18, chapters 18 to 20.
    """

    # Python warns of a child process that nobody waits for, and a server may outlive this process.
    _started: ClassVar[list[subprocess.Popen[bytes]]] = []

    def __init__(self, directory: Path, *, settings: Mapping[str, str] | None = None, access: str = _PEER) -> None:
        self.directory = directory
        self.log = directory.with_suffix(".log")
        self._link = directory.with_suffix(".socket")
        self._settings = settings
        self._access = access

    @property
    def url(self) -> str:
        """The address of the database `postgres`, while the server listens on its socket."""
        return f"postgresql://postgres@/postgres?host={quote(self._status()[4])}"

    def start(self) -> None:
        """Start, unless it runs, and wait until it accepts connections."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return self._start(deadline)
            except EmbeddedServerError as error:
                # The backends of a server that was killed hold its shared memory until they notice.
                if _STILL_IN_USE not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE)

    def stop(self, mode: str = "fast") -> None:
        """Stop, if it runs, without waiting for clients to leave; the mode `immediate` is a crash."""
        if (postmaster := self.postmaster()) is not None:
            self._run("pg_ctl", "stop", f"--mode={mode}", f"--timeout={_STOP_SECONDS}")
            with contextlib.suppress(psutil.Error):
                postmaster.wait(_STOP_SECONDS)
        self._discard_sockets()

    def postmaster(self) -> psutil.Process | None:
        """The process of the server, if it runs."""
        for process in self._started:
            process.poll()
        with contextlib.suppress(psutil.Error, ValueError, OSError):
            found = psutil.Process(int(self._status()[0]))
            # The id of a server that was killed may be another process's by now, above all in a container.
            if found.status() != psutil.STATUS_ZOMBIE and self.directory.samefile(found.cwd()):
                return found
        return None

    def rotate_log(self) -> None:
        """Move the log to `.log.1` when it is longer than 10 MiB."""
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            with self.log.open("rb") as source, open(f"{self.log}.1", "wb", opener=_private) as target:
                shutil.copyfileobj(source, target)
            # The server appends, so that its next line is the first of the empty file.
            os.truncate(self.log, 0)

    def _start(self, deadline: float) -> None:
        size = self.log.stat().st_size if self.log.exists() else 0
        process = None
        if self.postmaster() is not None and not self._is_marked():
            # Started by an earlier release, which let every local user connect.
            self.stop()
        if self.postmaster() is None:
            if not self._has_cluster():
                self._initialise()
            self._forget_dead_server()
            self._write_access(self.directory)
            process = self._spawn()
        while (postmaster := self.postmaster()) is None or self._status()[7].strip() != "ready":
            if postmaster is None and (process is None or process.poll() is not None):
                raise EmbeddedServerError(f"PostgreSQL does not start in {self.directory}: {self._complaint(size)}")
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"PostgreSQL in {self.directory} was not ready after {_START_SECONDS} s; {self.log} may say why"
                )
            time.sleep(_PAUSE)

    def _spawn(self) -> subprocess.Popen[bytes]:
        settings = {
            **(self._on_socket() if self._settings is None else self._settings),
            "unix_socket_permissions": "0700",
            "log_destination": "stderr",
            "logging_collector": "off",
            # Details quote whole rows.
            "log_error_verbosity": "terse",
            "lc_messages": "C",
            "cluster_name": "tasks-api",
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        user = server_user(self.directory)
        command: list[str | Path] = [self._programs(user) / "postgres", "-D", _name_for_programs(self.directory)]
        with open(self.log, "ab", opener=_private) as log:
            process = subprocess.Popen(  # noqa: S603
                [*command, *options],
                text=False,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **process_options(self.directory, user),
            )
        self._started.append(process)
        return process

    def _on_socket(self) -> dict[str, str]:
        # The setting is a list, in which a name is quoted.
        sockets = str(self._sockets()).replace('"', '""')
        return {"listen_addresses": "", "unix_socket_directories": f'"{sockets}"', "port": "5432"}

    def _run(self, program: str, *arguments: str, directory: Path | None = None, user: User | None = None) -> None:
        """Run a program on the data to its end."""
        directory = directory or self.directory
        user = user or server_user(directory)
        ended = subprocess.run(  # noqa: S603
            [self._programs(user) / program, *arguments, "-D", _name_for_programs(directory)],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_INITDB_SECONDS,
            **process_options(directory, user),
        )
        if ended.returncode != 0:
            said = _last_complaint(ended.stderr) or f"status {ended.returncode}"
            raise EmbeddedServerError(f"{program} fails in {self.directory}: {said}")

    def _programs(self, user: User | None) -> Path:
        return usable_programs(user, lambda: self._sockets().parent)

    # The data.

    def _has_cluster(self) -> bool:
        """True if the directory has data of this service; False if it is empty or missing."""
        names = [path.name for path in self.directory.iterdir()] if self.directory.exists() else []
        if not names:
            return False
        if "PG_VERSION" not in names:
            raise EmbeddedServerError(f"{self.directory} contains files that are not PostgreSQL's")
        version = (self.directory / "PG_VERSION").read_text().strip()
        if version != str(VERSION):
            raise EmbeddedServerError(f"{self.directory} is of PostgreSQL {version}, and {VERSION} is needed")
        if _EARLIER_MARK not in names and not self._is_marked():
            raise EmbeddedServerError(f"{self.directory} belongs to another PostgreSQL server than this service's")
        return True

    def _is_marked(self) -> bool:
        access = self.directory / "pg_hba.conf"
        return access.exists() and access.read_text().startswith(_MARK)

    def _initialise(self) -> None:
        """Make a cluster, completely or not at all."""
        prefix = f"{self.directory.name}.new-"
        for interrupted in self.directory.parent.glob(f"{prefix}*"):
            shutil.rmtree(interrupted, ignore_errors=True)
        owner = server_user(self.directory)
        user = owner and named_user(_INITDB_USER)
        new = Path(tempfile.mkdtemp(prefix=prefix, dir=self.directory.parent))
        try:
            give(new, user)
            options = ("--username=postgres", "--auth=peer", "--encoding=UTF8", "--no-locale", "--no-instructions")
            self._run("initdb", *options, directory=new, user=user)
            give(new, owner)
            self._write_access(new)
            new.rename(self.directory)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise

    def _write_access(self, directory: Path) -> None:
        """Let root, this process's user and the server's user connect, each as any role."""
        user = server_user(directory)
        if user is not None and directory.stat().st_uid != user.uid:
            # Data that root copied or restored.
            give(directory, user)
        names = dict.fromkeys(map(account_name, (0, os.geteuid(), directory.stat().st_uid)))
        users = "\n".join(f'tasks-api "{name}" all' for name in names if name is not None)
        for file, text in {"pg_hba.conf": self._access, "pg_ident.conf": users}.items():
            # A new file, for root must not follow a link that the server's user made.
            part = directory / f"{file}.new"
            part.unlink(missing_ok=True)
            with open(part, "x", opener=_private) as target:
                target.write(f"{_MARK}\n{text}\n")
            give(part, user)
            part.replace(directory / file)

    def _status(self) -> list[str]:
        """The lines of postmaster.pid (PostgreSQL, miscadmin.h), empty where they are missing."""
        with contextlib.suppress(FileNotFoundError):
            return [*(self.directory / "postmaster.pid").read_text().splitlines(), *[""] * 8]
        return [""] * 8

    def _forget_dead_server(self) -> None:
        """Remove the id of a server that was killed: PostgreSQL does not start while any process has that id."""
        for file in (self.directory / "postmaster.pid", self._link / f"{_SOCKET}.lock"):
            file.unlink(missing_ok=True)

    def _complaint(self, start: int) -> str:
        """The last error of the log from this byte on."""
        with self.log.open("rb") as log:
            log.seek(start)
            return _last_complaint(log.read()) or f"{self.log} may say why"

    # What stands in the temporary directory.

    def _sockets(self) -> Path:
        """The directory of the socket: the last server's, so that its address stays the same, or else a new one."""
        user = server_user(self.directory) or User(os.geteuid(), os.getegid())
        with contextlib.suppress(OSError):
            kept = self._link.readlink()
            status = kept.lstat()
            # Anybody can have made a directory of that name since.
            if status.st_mode == stat.S_IFDIR | 0o700 and status.st_uid == user.uid:
                return kept
        made = _short_directory(user) / "socket"
        made.mkdir(mode=0o700)
        os.chown(made, *user)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(made)
        return made

    def _discard_sockets(self) -> None:
        with contextlib.suppress(OSError):
            directory = self._link.readlink().parent
            if directory.name.startswith(_PREFIX):
                shutil.rmtree(directory)
            self._link.unlink()


def _short_directory(user: User) -> Path:
    """A new directory that others may only pass through, with a name that leaves room for that of a socket."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # nosec B108  # noqa: S108  mkdtemp makes its own
        path = Path(parent).resolve()
        above = (path, *path.parents)
        is_open = user.uid == os.geteuid() or all(directory.stat().st_mode & stat.S_IXOTH for directory in above)
        if is_open and len(os.fsencode(path)) <= _LONGEST_PARENT:
            with contextlib.suppress(OSError):
                made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=path))
                made.chmod(0o711)
                return made
    raise EmbeddedServerError("no directory for a socket could be made; set TMPDIR to one with a short name")


def _name_for_programs(directory: Path) -> Path:
    return _WORKING_DIRECTORY if _WORKING_DIRECTORY.exists() else directory


def _last_complaint(output: bytes) -> str | None:
    """The last error that the output of a program of PostgreSQL tells of."""
    complaints = _COMPLAINT.findall(output.decode(errors="replace"))
    return complaints[-1].replace(f"{_WORKING_DIRECTORY}", "the data directory") if complaints else None


def _private(path: str, flags: int) -> int:
    """Open a file that only its owner can read, and no link."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
