"""What a process inherits from whoever starts it, and must not depend on."""

import os
import sys


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
