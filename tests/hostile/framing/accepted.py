"""Messages that must be accepted, and whose end must be where they say."""

from collections.abc import Iterator

from tests.hostile.framing.messages import BODY, CHUNKED, CHUNKS, LENGTH, SENDER, SMUGGLED, VICTIM, post, shown
from tests.support.service import token

# Accepted messages that end where they say.

CHUNKS_TAKEN = {
    "one chunk": CHUNKS,
    "size in upper case": b"D\r\n" + BODY + b"\r\n0\r\n\r\n",
    "size with zeros before it": b"000000000000000000000d\r\n" + BODY + b"\r\n0\r\n\r\n",
    "many zeros as the last size": b"d\r\n" + BODY + b"\r\n00000\r\n\r\n",
    "chunks of one byte": b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n",
    "extension": b"d;a=b\r\n" + BODY + b"\r\n0;c\r\n\r\n",
    "extensions": b"d;a=b;c;d=1\r\n" + BODY + b"\r\n0\r\n\r\n",
    "quoted extension": b'd;a="b;c\\"0"\r\n' + BODY + b"\r\n0\r\n\r\n",
    "long extension": b"d;" + b"a" * 10_000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "trailer": b"d\r\n" + BODY + b"\r\n0\r\nX-Checksum: 1\r\n\r\n",
    "trailers that would be header fields": b"d\r\n"
    + BODY
    + b"\r\n0\r\nHost: evil.test\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nAccept: text/html\r\n"
    + b"X-Request-ID: smuggled\r\nExpect: 100-continue\r\nAuthorization: Bearer x\r\n\r\n",
}
CODINGS_TAKEN = [
    b"Transfer-Encoding: chunked",
    b"transfer-encoding: chunked",
    b"TRANSFER-ENCODING: CHUNKED",
    b"Transfer-Encoding:chunked",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding:  \t chunked",
]
LENGTHS_TAKEN = [
    b"Content-Length: 13",
    b"content-length:13",
    b"CONTENT-LENGTH:\t13",
    b"Content-Length:   13  ",
    b"Content-Length: 13\t",
    b"Content-Length: 0000000000000000000000000000000000000013",
]
HOSTS_TAKEN = [
    b"Host: a",
    b"host:a",
    b"Host: a ",
    b"Host: \t a\t ",
    b"Host: A.Example",
    b"Host: a.example.",
    b"Host: a:80",
    b"Host: a:",
    b"Host: a_b-c:8000",
    b"Host: 127.0.0.1:8000",
    b"Host: [::1]",
    b"Host: [::ffff:127.0.0.1]:8000",
    b"Host: [v1.a:b]",
    b"Host: xn--caf-dma.example",
    b"Host: caf%C3%A9",
    b"Host: a!$&'()*+;=~",
    b"Host: " + b"a" * 5_000,
]
STARTS_TAKEN = [
    b"POST /api/tasks HTTP/1.1",
    b"\r\nPOST /api/tasks HTTP/1.1",
    b"\r\n\r\n\r\nPOST /api/tasks HTTP/1.1",
    b"POST http://tasks.test/api/tasks HTTP/1.1",
    b"POST https://TASKS.test/api/tasks HTTP/1.1",
]

MINE = b"Authorization: Bearer " + token(SENDER).encode()
AS_JSON = b"Content-Type: application/json"
HOLDERS = {
    "GET": (422, [b"GET /health HTTP/1.1"]),
    "OPTIONS": (204, [b"OPTIONS /api/tasks HTTP/1.1"]),
    "DELETE": (405, [b"DELETE /health HTTP/1.1"]),
    "TRACE": (405, [b"TRACE /health HTTP/1.1"]),
    "a page": (200, [b"GET / HTTP/1.1"]),
    "what is nowhere": (404, [b"POST /nowhere HTTP/1.1"]),
    "what lacks a token": (401, [b"POST /api/tasks HTTP/1.1"]),
    "what is forbidden": (403, [b"POST /api/%b/tasks HTTP/1.1" % VICTIM.encode(), MINE]),
    "what is of no type": (415, [b"POST /api/tasks HTTP/1.1", MINE]),
    "what is no JSON": (400, [b"POST /api/tasks HTTP/1.1", MINE, AS_JSON]),
    "what is gzip": (415, [b"POST /api/tasks HTTP/1.1", MINE, AS_JSON, b"Content-Encoding: gzip"]),
    "a list": (422, [b"GET /api/tasks HTTP/1.1", MINE]),
    "what is not acceptable": (406, [b"GET /health HTTP/1.1", b"Accept: text/html"]),
    "a long address": (414, [b"GET /health?%b HTTP/1.1" % (b"a" * 9_000)]),
    "long fields": (431, [b"GET /health HTTP/1.1", b"X: " + b"a" * 33_000]),
    "an unknown expectation": (422, [b"GET /health HTTP/1.1", b"Expect: 200-ok"]),
    "a list of connection options": (422, [b"GET /health HTTP/1.1", b"Connection: content-length, host, x"]),
    "fields of other protocols": (422, [b"GET /health HTTP/1.1", b"Content_Length: 0", b"X-HTTP-Method: PUT"]),
}


def swallowed(start: bytes, *fields: bytes, chunked: bool = False) -> bytes:
    """A request with the smuggled request as its body."""
    framing = CHUNKED if chunked else b"Content-Length: %d" % len(SMUGGLED)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED) if chunked else SMUGGLED
    return b"\r\n".join([start, b"Host: tasks.test", b"X-Request-ID: first", framing, *fields, b"", body])


def taken() -> Iterator[tuple[str, bytes, int]]:
    for name, chunks in CHUNKS_TAKEN.items():
        yield name, post(CHUNKED) + chunks, 201
    for field in CODINGS_TAKEN:
        yield shown(field), post(field) + CHUNKS, 201
    for field in LENGTHS_TAKEN:
        yield shown(field), post(field) + BODY, 201
    for field in HOSTS_TAKEN:
        yield shown(field), post(LENGTH, field, host=None) + BODY, 201
    for start in STARTS_TAKEN:
        yield shown(start), post(LENGTH, start=start) + BODY, 201
    for chunked in (False, True):
        for name, (status, lines) in HOLDERS.items():
            yield f"{'in a chunk' if chunked else 'as a body'} of {name}", swallowed(*lines, chunked=chunked), status
