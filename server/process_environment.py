"""The environment that a process inherits: standard streams, variables, limits."""

import contextlib
import os
import sys

try:
    import resource
except ModuleNotFoundError:  # of Windows, which has no such limit
    resource = None  # type: ignore[assignment]

_MOST_FILES = 65_536


def open_standard_streams() -> None:
    """Open the standard streams that this process was started without (`>&-`), on nothing.

    Otherwise the next file or socket that is opened gets the number of one, and receives what is written to it.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is taken, which is this one: those below are open.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003  has no keyword
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "r" if descriptor == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def forget_postgresql_variables() -> None:
    """Remove `PG*` from the environment: libpq would complete every address with them (PostgreSQL, section 32.15)."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def allow_files() -> int:
    """Raise the soft limit of open files, sockets included, and return it."""
    if resource is None:
        return _MOST_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = _MOST_FILES if hard == unlimited else min(hard, _MOST_FILES)
    if soft != unlimited and soft < wanted:
        # Some systems name a limit that they do not grant.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return _MOST_FILES if soft == unlimited else soft
