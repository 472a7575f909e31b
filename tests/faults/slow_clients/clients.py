"""Clients that send or read slowly, each on a separate connection."""

import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2

from tests.support.raw_http import bearer_field, request
from tests.support.service import Service
from tests.support.types import Connection

RECEIVE_BYTES = 4_096
"""The receive buffer of a slow reader, so that the kernel takes little of the answer."""

IMPORT_BYTES = 10 * 1024 * 1024


def insert_long_tasks(connection: Connection, user_id: str, count: int) -> None:
    """Insert tasks that take about 1,500 bytes of an export each."""
    connection.execute("INSERT INTO users (id) VALUES (%s) ON CONFLICT DO NOTHING", [user_id])
    connection.execute(
        """
        INSERT INTO tasks (user_id, id, title, title_key, description)
        SELECT %s, gen_random_uuid(), repeat('t', 200), '\\x01', repeat('d', 1000) FROM generate_series(1, %s)
        """,
        [user_id, count],
    )


def connect(service: Service) -> socket.socket:
    """A connection with a small receive buffer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    connection.settimeout(30)
    address = urlsplit(service.url)
    connection.connect((address.hostname, address.port))
    return connection


def authorized(method: str, path: str, user_id: str, *fields: tuple[str, str]) -> bytes:
    """The head of a request of this user."""
    return request(method, path, [bearer_field(user_id), *fields])


@contextlib.contextmanager
def slow_readers(service: Service, path: str, users: list[str], count: int) -> Iterator[list[socket.socket]]:
    """So many connections, spread evenly over the users, that have asked for `path` and read nothing of the answer."""
    heads = [authorized("GET", path, user) for user in users]
    with contextlib.ExitStack() as stack:
        connections = []
        for number in range(count):
            connection = stack.enter_context(connect(service))
            connection.sendall(heads[number % len(heads)])
            connections.append(connection)
        yield connections


@contextlib.contextmanager
def slow_uploads(service: Service, users: list[str], count: int, *, sent: int) -> Iterator[list[socket.socket]]:
    """For each user so many imports of 10 MiB, of which only the first `sent` bytes are sent: blank lines."""
    fields = ("Content-Type", "application/x-ndjson"), ("Content-Length", str(IMPORT_BYTES))
    with contextlib.ExitStack() as stack:
        connections = []
        for user in users * count:
            connection = stack.enter_context(connect(service))
            connection.sendall(authorized("POST", "/api/tasks/import", user, *fields))
            connection.sendall((b" " * 9_999 + b"\n") * (sent // 10_000))
            connections.append(connection)
        yield connections


def import_one(client: httpx2.Client) -> httpx2.Response:
    """Import one task, with a body that comes at once."""
    content, headers = b'{"title":"a"}', {"content-type": "application/x-ndjson"}
    return client.post("/api/tasks/import", content=content, headers=headers)


def statuses(connections: list[socket.socket]) -> Counter[int]:
    """The statuses of the answers that have begun to arrive, without reading them; 0 where none has."""
    found: Counter[int] = Counter()
    for connection in connections:
        connection.setblocking(False)  # noqa: FBT003  it has no name
        try:
            found[int(connection.recv(12, socket.MSG_PEEK)[9:12] or 0)] += 1
        except BlockingIOError:
            found[0] += 1
    return found
