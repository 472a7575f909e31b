"""The secret of tokens in development: made at the first start, and kept."""

import contextlib
import os
import secrets
from pathlib import Path

from server.auth.tokens import MIN_SECRET_BYTES


def kept_secret(path: Path) -> str:
    """Read the secret, after making one where there is none. Raises `OSError`, and `ValueError` for a damaged file."""
    if not path.exists():
        _make(path)
    secret = path.read_text().strip()
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"{path} is damaged; without it, a new secret is made")
    return secret


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    try:
        with open(part, "w", opener=_private) as file:
            file.write(secrets.token_urlsafe(MIN_SECRET_BYTES))
        # Of several processes that start at once, one names the file, and all read it.
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
