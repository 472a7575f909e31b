"""HTTP/1.1 messages, byte by byte, and the smuggled request behind them that must never be read."""

import uuid

from tests.support.raw_http import create_request, request
from tests.support.service import token

SENDER = f"sender-{uuid.uuid4().hex}"
VICTIM = f"victim-{uuid.uuid4().hex}"


SMUGGLED = create_request(VICTIM, "smuggled", ("X-Request-ID", "smuggled"))
LAST = request("GET", "/health", [("X-Request-ID", "last"), ("Connection", "close")])
BODY = b'{"title":"a"}'
LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"d\r\n" + BODY + b"\r\n0\r\n\r\n"


def post(*lines: bytes, start: bytes = b"POST /api/tasks HTTP/1.1", host: bytes | None = b"tasks.test") -> bytes:
    """The head of a request that creates a task, with these lines unchanged."""
    fields = [
        b"Authorization: Bearer " + token(SENDER).encode(),
        b"Content-Type: application/json",
        b"X-Request-ID: first",
    ]
    if host is not None:
        fields.insert(0, b"Host: " + host)
    return b"\r\n".join([start, *fields, *lines, b"", b""])


def with_length(field: bytes) -> bytes:
    return post(field) + BODY + SMUGGLED


def with_coding(field: bytes, *more: bytes, **options: bytes) -> bytes:
    return post(field, *more, **options) + CHUNKS + SMUGGLED


def with_chunks(chunks: bytes) -> bytes:
    return post(CHUNKED) + chunks + SMUGGLED


def with_field(field: bytes) -> bytes:
    return post(LENGTH, field) + BODY + SMUGGLED


def with_host(field: bytes) -> bytes:
    return post(LENGTH, field, host=None) + BODY + SMUGGLED


def with_start(line: bytes) -> bytes:
    return line + b"\r\nHost: a\r\nX-Request-ID: first\r\n\r\n" + SMUGGLED


def shown(sent: bytes) -> str:
    """The bytes as the name of a case."""
    return repr(sent)[2:-1][:100]
