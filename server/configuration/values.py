"""The forms of single settings. Each function raises `ValueError` with the end of a sentence about the setting."""

import re
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from server.auth.secret_strength import MIN_STRENGTH_BITS, strength_bits
from server.auth.tokens import MIN_SECRET_BYTES
from server.middleware.cors import as_browsers_write
from server.rate_limit.policies import read_rate

_ORIGIN: Final = r"(?i)https?://[^/?#\s]+/?"
_EVERY_NETWORK: Final = ("0.0.0.0/0", "::/0")
_MIN_METRICS_TOKEN: Final = 16


def split(value: object) -> object:
    """The items of a list that is separated by commas."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


def networks(value: object) -> object:
    """The items of a list of networks, in which `*` means every network."""
    return _EVERY_NETWORK if value == "*" else split(value)


def origins(values: tuple[str, ...], *, production: bool) -> tuple[str, ...]:
    """The origins as browsers write them."""
    if "*" in values and production:
        raise ValueError("in production, must name the origins instead of `*`")
    for origin in values:
        if origin != "*" and re.fullmatch(_ORIGIN, origin) is None:
            raise ValueError(f"{origin!r} is not an origin such as http://localhost:3000")
    return tuple(map(as_browsers_write, values))


def front_end(url: str) -> str:
    """The base URL of a front end, without a slash at its end."""
    # The tokens of Better Auth name its origin, and its key set is at a fixed path.
    if re.fullmatch(_ORIGIN, url) is None:
        raise ValueError("must be an origin such as https://app.example.com, without a path")
    return url.rstrip("/")


def http_url(url: str) -> str:
    """The URL, which must be one of HTTP."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return url


def path_prefix(path: str) -> str:
    """The prefix of paths, without a slash at its end."""
    if path and not path.startswith("/"):
        raise ValueError("must start with /")
    return path.rstrip("/")


def rate(text: str) -> str:
    """The text of a rate limit."""
    read_rate(text)
    return text


def check_secret(secret: str, *, production: bool) -> None:
    """Refuse a key of HS256 that is too short, or known to others."""
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes long (try: openssl rand -base64 32)")
    if production and strength_bits(secret) < MIN_STRENGTH_BITS:
        raise ValueError("in production, must be neither an example nor a pattern (try: openssl rand -base64 32)")


def check_metrics_token(token: str) -> None:
    """Refuse a bearer token that is short, or that a header field cannot carry (RFC 6750, section 2.1)."""
    if len(token) < _MIN_METRICS_TOKEN or re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token) is None:
        raise ValueError(
            f"must be at least {_MIN_METRICS_TOKEN} characters, each of A-Z a-z 0-9 - . _ ~ + / "
            "(try: openssl rand -hex 32)"
        )


def check_database_url(url: str) -> None:
    """Refuse what libpq would not understand, or not as it is meant."""
    if not url.startswith(("postgres://", "postgresql://")):
        raise ValueError("must start with postgresql:// or postgres://")
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # The message of libpq may quote the password.
        raise ValueError("is not an address that PostgreSQL's client understands") from None
    # libpq splits the URL at such a character of a password, and its errors would show the parts.
    names = (str(parts.get("host", "")), str(parts.get("dbname", "")))
    if any("@" in name[1:] for name in names) or not re.fullmatch("[0-9,]*", str(parts.get("port", ""))):
        raise ValueError("needs the characters @ : / ? # of its user and password percent-encoded, such as %40 for @")
