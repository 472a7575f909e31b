"""HTTP byte by byte, for requests that no client library sends, and the one check that every error has to pass."""

import contextlib
import functools
import json
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import httpx2
import jsonschema_rs

from server.problems import KINDS
from tests.support.problems import problem_schema
from tests.support.service import DAY, Service, token

STATUS = {kind.code: kind.status for kind in KINDS}
LONGEST_PROBLEM = 16_384
SECONDS = 30
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""The header fields of every answer except a page."""


class Answer(Protocol):
    """The members of an answer that the checks read; a response of httpx2 has them too."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> httpx2.Headers: ...
    @property
    def content(self) -> bytes: ...


@dataclass(frozen=True)
class RawAnswer:
    """An answer that was read from a socket."""

    status_code: int
    headers: httpx2.Headers
    content: bytes


def reset(connection: socket.socket) -> None:
    """Close a connection with a reset, as the system does for a process that is killed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class RawConnection:
    """A TCP connection to the service that sends its bytes unchanged."""

    def __init__(self, service: Service) -> None:
        address = urlsplit(service.url)
        self._socket = socket.create_connection((address.hostname, address.port or 80), timeout=SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._socket.close()

    def send(self, *parts: bytes) -> None:
        """Send each part in a separate packet, as far as the system allows."""
        for part in parts:
            self._socket.sendall(part)

    def read(self, *, head: bool = False) -> RawAnswer:
        """Read one answer; with `head`, the answer to a HEAD request, which has no body whatever its length says."""
        status = int(self._reader.readline().split(b" ")[1])
        lines = iter(self._reader.readline, b"\r\n")
        headers = httpx2.Headers([(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)])
        if headers.get("transfer-encoding") == "chunked" and not head:
            return RawAnswer(status, headers, b"".join(self._chunks()))
        length = 0 if head else int(headers.get("content-length", "0"))
        return RawAnswer(status, headers, self._reader.read(length))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._reader.readline(), 16):
            yield self._reader.read(size)
            self._reader.readline()
        self._reader.readline()

    def read_all(self) -> list[RawAnswer]:
        """Read all answers until the service closes the connection."""
        received = b""
        # The service resets the connection if it closes it before it has read everything.
        with contextlib.suppress(ConnectionResetError):
            while data := self._socket.recv(65_536):
                received += data
        return list(_answers(received))

    def received(self) -> bytes:
        """Return the bytes that have arrived so far."""
        self._socket.setblocking(False)  # noqa: FBT003  it has no name
        with contextlib.suppress(BlockingIOError):
            return self._socket.recv(65_536)
        return b""

    def stop(self) -> None:
        """Shut down the sending side."""
        self._socket.shutdown(socket.SHUT_WR)

    def rest(self) -> bytes:
        """Read the remaining bytes until the service closes the connection."""
        return self._reader.read()


def _answers(received: bytes) -> Iterator[RawAnswer]:
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        assert (status[:9], end) == (b"HTTP/1.1 ", b"\r\n\r\n"), f"not an answer: {received[:200]!r}"
        headers = httpx2.Headers([(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)])
        length = int(headers.get("content-length", "0"))
        yield RawAnswer(int(status.split(b" ")[1]), headers, rest[:length])
        received = rest[length:]


def request(
    method: str, target: str | bytes, headers: Iterable[tuple[str, str]] = (), *, host: str | None = "tasks.test"
) -> bytes:
    """The head of a request, byte by byte."""
    lines = [b" ".join((method.encode(), target if isinstance(target, bytes) else target.encode(), b"HTTP/1.1"))]
    named = [("Host", host), *headers] if host is not None else headers
    lines += [f"{name}: {value}".encode("latin-1") for name, value in named]
    return b"\r\n".join([*lines, b"", b""])


def bearer_field(subject: str, *, seconds: int = DAY) -> tuple[str, str]:
    """Return the header field that carries a token of this user."""
    return "Authorization", f"Bearer {token(subject, seconds=seconds)}"


def json_fields(body: bytes) -> list[tuple[str, str]]:
    """Return the header fields of a JSON body."""
    return [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]


def create_request(subject: str, title: str, *fields: tuple[str, str], seconds: int = DAY) -> bytes:
    """A whole request that creates a task, with a token that is valid for `seconds`."""
    body = json.dumps({"title": title}).encode()
    return request("POST", "/api/tasks", [bearer_field(subject, seconds=seconds), *fields, *json_fields(body)]) + body


def ask(service: Service, *parts: bytes) -> RawAnswer:
    """Send one request on a new connection and return the answer."""
    with RawConnection(service) as raw:
        raw.send(*parts)
        return raw.read()


@functools.cache
def _components(url: str) -> Mapping[str, Any]:
    components: Mapping[str, Any] = httpx2.get(f"{url}/openapi.json", trust_env=False).json()["components"]
    return components


@functools.cache
def _validator(url: str, code: str, *, of_records: bool) -> jsonschema_rs.Draft202012Validator:
    # No problem has a member that OpenAPI 3.0 and JSON Schema read differently.
    schemas = _components(url)["schemas"]
    schema = schemas["ImportProblem"] if of_records else problem_schema(schemas, code)
    return jsonschema_rs.Draft202012Validator({**schema, "components": _components(url)}, validate_formats=True)


def problem(service: Service, answer: Answer, code: str) -> dict[str, Any]:
    """Assert that an answer is the problem with this code, as the served contract describes it. Returns its members."""
    headers = answer.headers
    assert (answer.status_code, headers["content-type"]) == (STATUS[code], "application/problem+json"), answer.content
    assert len(answer.content) <= LONGEST_PROBLEM
    # A client library has removed the coding of a long one.
    assert "content-encoding" in headers or len(answer.content) == int(headers["content-length"])
    assert headers["x-request-id"]
    assert {name: headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "server" not in headers
    assert headers["cache-control"] == "no-store"
    assert "Origin" in headers["vary"]
    assert ("www-authenticate" in headers) == (answer.status_code == 401)
    assert ("allow" in headers) == (answer.status_code == 405)
    assert ("retry-after" in headers) == (answer.status_code in (409, 429, 503))
    members: dict[str, Any] = json.loads(answer.content)
    of_records = any("line" in error for error in members.get("errors", ()))
    _validator(service.url, members["code"], of_records=of_records).validate(members)
    kind = next(kind for kind in KINDS if kind.code == code)
    assert members | {"detail": "", "instance": "", "errors": []} == {
        "type": f"/problems#{code}",
        "title": kind.title,
        "status": answer.status_code,
        "code": code,
        "detail": "",
        "instance": "",
        "errors": [],
    }
    return members


def violations(service: Service, answer: Answer) -> list[tuple[str, str]]:
    """Assert that an answer is a 422. Returns the place and the reason of each error, sorted."""
    errors = problem(service, answer, "validation-failed")["errors"]
    return sorted((error.get("parameter", error.get("pointer")), error["detail"]) for error in errors)
