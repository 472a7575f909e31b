"""What the URL of a database says: where it is, and whether TLS is sure."""

from ipaddress import ip_address
from typing import Final

from psycopg.conninfo import conninfo_to_dict

_PORT: Final = 5432
_SURE: Final = {"require", "verify-ca", "verify-full"}


def describe(url: str) -> str:
    """The database without user and password, such as `db.example.com:5432/tasks`."""
    parts = conninfo_to_dict(url)
    hosts = str(parts.get("host") or parts.get("hostaddr") or "localhost").split(",")
    ports = str(parts.get("port") or "").split(",")
    # One port is that of all hosts, and an empty one is the default.
    places = zip(hosts, ports if len(ports) == len(hosts) else ports[:1] * len(hosts), strict=True)
    listed = ",".join(f"{f'[{host}]' if ':' in host else host}:{port or _PORT}" for host, port in places)
    return f"{listed}/{parts.get('dbname') or parts.get('user') or ''}"


def hosts_without_tls(url: str) -> list[str]:
    """The hosts on other machines to which the connection may not be encrypted (PostgreSQL's manual, section 32.19)."""
    parts = conninfo_to_dict(url)
    # With the system's certificates libpq demands `verify-full` by itself.
    default = "verify-full" if parts.get("sslrootcert") == "system" else "prefer"
    if (parts.get("sslmode") or default) in _SURE:
        return []
    hosts = str(parts.get("hostaddr") or parts.get("host") or "").split(",")
    return [host for host in hosts if not _is_local(host)]


def _is_local(host: str) -> bool:
    """True for loopback and for sockets: a path, an abstract name, or libpq's default."""
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
