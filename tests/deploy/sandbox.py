"""Run a command with the system calls and memory mappings that a systemd unit allows, as the kernel enforces them.

`python -m tests.deploy.sandbox UNIT COMMAND ...`; Linux only. It needs libseccomp and systemd-analyze, but neither root
nor a running systemd.
"""

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

LIBSECCOMP: Final = "libseccomp.so.2"
# <linux/prctl.h> and <seccomp.h>
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_MDWE: Final = 65
_ALLOW: Final = 0x7FFF0000
_FAIL_WITH_EPERM: Final = 0x00050001


def allowed_calls(unit: str) -> set[str]:
    """Return the names of the system calls that the lines `SystemCallFilter=` allow together (systemd.exec(5))."""
    # What systemd itself needs to start the program.
    calls = _expanded("@default") | {"execve"}
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        named = {call for name in line.lstrip("~").split() for call in _expanded(name)}
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def _expanded(name: str) -> set[str]:
    """The calls of a group such as `@chown`, with those of the groups in it."""
    if not name.startswith("@"):
        return {name}
    command = ["systemd-analyze", "--no-pager", "syscall-filter", name]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1:]  # noqa: S603
    words = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return {call for word in words for call in _expanded(word)}


def confine(unit: str) -> None:
    """Confine this process and those that it starts. Raises `OSError` where the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    # Linux 6.3 and newer; systemd has a filter for older ones.
    if "\nMemoryDenyWriteExecute=yes\n" in unit:
        libc.prctl(_PR_SET_MDWE, 1, 0, 0, 0)
    seccomp = ctypes.CDLL(LIBSECCOMP)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(_FAIL_WITH_EPERM))
    for call in allowed_calls(unit):
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            seccomp.seccomp_rule_add(rules, ctypes.c_uint32(_ALLOW), number, 0)
    if seccomp.seccomp_load(rules) != 0:
        raise OSError(0, "seccomp_load")


if __name__ == "__main__":
    confine(Path(sys.argv[1]).read_text())
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  the command of the test
