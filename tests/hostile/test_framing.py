"""Where one request ends and the next begins: nothing may read a second request out of the first.

Behind every message stands a request of somebody else's, where a parser that loses count would see it.
"""

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.support.figures import Figures
from tests.support.raw_http import Wire, ask, problem, request
from tests.support.service import Service, token

DAY = 86_400
SENDER = f"sender-{uuid.uuid4().hex}"
VICTIM = f"victim-{uuid.uuid4().hex}"
QUIET_SECONDS = 0.5


def bearer(subject: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {token(subject, seconds=DAY)}"


def create(subject: str, title: str, *, request_id: str) -> bytes:
    """A whole request, fit to be answered with 201."""
    body = json.dumps({"title": title}).encode()
    fields = [
        bearer(subject),
        ("Content-Type", "application/json"),
        ("X-Request-ID", request_id),
        ("Content-Length", str(len(body))),
    ]
    return request("POST", "/api/tasks", fields) + body


SMUGGLED = create(VICTIM, "smuggled", request_id="smuggled")
LAST = request("GET", "/health", [("X-Request-ID", "last"), ("Connection", "close")])
BODY = b'{"title":"a"}'
LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"d\r\n" + BODY + b"\r\n0\r\n\r\n"


def post(*lines: bytes, start: bytes = b"POST /api/tasks HTTP/1.1", host: bytes | None = b"tasks.test") -> bytes:
    """The head of a request that creates a task, with these lines as they stand."""
    fields = [
        b"Authorization: Bearer " + token(SENDER, seconds=DAY).encode(),
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


# What is refused: one 400, and the end of the connection.

LENGTHS = [
    b"Content-Length: +13",
    b"Content-Length: -13",
    b"Content-Length: -0",
    b"Content-Length: 0x0d",
    b"Content-Length: 0xd",
    b"Content-Length: d",
    b"Content-Length: 1 3",
    b"Content-Length: 13, 13",
    b"Content-Length: 13,13",
    b"Content-Length: 13, 0",
    b"Content-Length: 0, 13",
    b"Content-Length: ,13",
    b"Content-Length: 13,",
    b"Content-Length: 13;",
    b"Content-Length: 13.0",
    b"Content-Length: 1.3e1",
    b"Content-Length: 1_3",
    b'Content-Length: "13"',
    b"Content-Length: \xd9\xa1\xd9\xa3",
    b"Content-Length: \xb9\xb3",
    b"Content-Length:",
    b"Content-Length: \t ",
    b"Content-Length: 13\x0b",
    b"Content-Length: \x0b13",
    b"Content-Length: 13\x0c",
    b"Content-Length: 13\x00",
    b"Content-Length: 18446744073709551629",
    b"Content-Length: 99999999999999999999999999",
    b"Content-Length: 115792089237316195423570985008687907853269984665640564039457584007913129639949",
    b"Content-Length: 13\r\nContent-Length: 13",
    b"Content-Length: 13\r\nContent-Length: 0",
    b"Content-Length: 0\r\nContent-Length: 13",
    b"Content-Length: 13\r\ncontent-length: 14",
    b"Content-Length: 13\r\n 0",
    b"Content-Length: 1\r\n 3",
    b"Content-Length:\r\n 13",
    b"Content-Length : 13",
    b"Content-Length\t: 13",
    b"Content-Length\x0b: 13",
    b" Content-Length: 13",
    b"Content-Length\x00: 13",
    b"Content-Length 13",
    b"Content-Length= 13",
    b"Content-Length: 13\n",
    b"Content-Length: 0\nContent-Length: 13",
    b"Content-Length: 0\rContent-Length: 13",
]
BOTH = [
    b"Content-Length: 13\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 13",
    b"Content-Length: 0\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 0",
    b"Content-Length: 28\r\ntransfer-encoding: Chunked",
    b"Transfer-Encoding: identity\r\nContent-Length: 13",
    b"Content-Length: 13\r\nTransfer-Encoding: identity",
    b"Content-Length: 13\r\nTransfer-Encoding: x",
    b"Content-Length: 13\r\nTransfer-Encoding:",
    b"Content-Length: 13\r\nX: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 13",
]
CODINGS = [
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked,chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: deflate, gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunkedx",
    b"Transfer-Encoding: x chunked",
    b"Transfer-Encoding: chunked x",
    b"Transfer-Encoding: chunk",
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding: , chunked",
    b"Transfer-Encoding: chunked ,",
    b"Transfer-Encoding: chunked;",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: chunked; a=b",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: 'chunked'",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: ",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked\x0b",
    b"Transfer-Encoding: chunked\x0c",
    b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: \x00chunked",
    b"Transfer-Encoding: \xa0chunked",
    b"Transfer-Encoding: chunked\x85",
    b"Transfer-Encoding: ch\xc3\xbcnked",
    b"Transfer-Encoding: chun\xe2\x84\xaaed",
    b"Transfer-Encoding: chunked\xe2\x80\x8b",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding: chunked\r\n , identity",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\t: chunked",
    b"Transfer-Encoding\x0b: chunked",
    b"Transfer-Encoding\x00: chunked",
    b" Transfer-Encoding: chunked",
    b"\tTransfer-Encoding: chunked",
    b"X: a\rTransfer-Encoding: chunked",
    b"X: a\nTransfer-Encoding: chunked",
    b"X: a\r\r\nTransfer-Encoding: chunked",
    b"X\rTransfer-Encoding: chunked",
    b"\x00Transfer-Encoding: chunked",
    b"\xef\xbb\xbfTransfer-Encoding: chunked",
    b"Transfer\xc2\xadEncoding: chunked",
    b"Transfer Encoding: chunked",
    b"Transfer-Encoding chunked",
    b"Transfer-Encoding= chunked",
    b": chunked",
]
BAD_CHUNKS = {
    "no size": b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "no size at all": BODY + b"\r\n0\r\n\r\n",
    "a word for a size": b"xyz\r\n" + BODY + b"\r\n0\r\n\r\n",
    "plus sign": b"+d\r\n" + BODY + b"\r\n0\r\n\r\n",
    "minus sign": b"-d\r\n" + BODY + b"\r\n0\r\n\r\n",
    "minus one": b"-1\r\n" + BODY + b"\r\n0\r\n\r\n",
    "0x before the size": b"0xd\r\n" + BODY + b"\r\n0\r\n\r\n",
    "space before the size": b" d\r\n" + BODY + b"\r\n0\r\n\r\n",
    "tab before the size": b"\td\r\n" + BODY + b"\r\n0\r\n\r\n",
    "space behind the size": b"d \r\n" + BODY + b"\r\n0\r\n\r\n",
    "tab behind the size": b"d\t\r\n" + BODY + b"\r\n0\r\n\r\n",
    "space before the extension": b"d ;a=b\r\n" + BODY + b"\r\n0\r\n\r\n",
    "NUL in the size": b"d\x00\r\n" + BODY + b"\r\n0\r\n\r\n",
    "vertical tab in the size": b"d\x0b\r\n" + BODY + b"\r\n0\r\n\r\n",
    "underscore in the size": b"0_d\r\n" + BODY + b"\r\n0\r\n\r\n",
    "comma in the size": b"d,d\r\n" + BODY + b"\r\n0\r\n\r\n",
    "point in the size": b"d.0\r\n" + BODY + b"\r\n0\r\n\r\n",
    "quoted size": b'"d"\r\n' + BODY + b"\r\n0\r\n\r\n",
    "h behind the size": b"dh\r\n" + BODY + b"\r\n0\r\n\r\n",
    "Arabic digit": b"\xd9\xa1\r\n" + BODY + b"\r\n0\r\n\r\n",
    "full-width digit": b"\xef\xbc\x91\r\n" + BODY + b"\r\n0\r\n\r\n",
    "17 digits": b"1" * 17 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "size that overflows to the right one": b"1000000000000000d\r\n" + BODY + b"\r\n0\r\n\r\n",
    "20 times F": b"F" * 20 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "300 times F": b"F" * 300 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "LF behind the size": b"d\n" + BODY + b"\r\n0\r\n\r\n",
    "CR behind the size": b"d\r" + BODY + b"\r\n0\r\n\r\n",
    "two CR behind the size": b"d\r\r\n" + BODY + b"\r\n0\r\n\r\n",
    "LF behind the data": b"d\r\n" + BODY + b"\n0\r\n\r\n",
    "CR behind the data": b"d\r\n" + BODY + b"\r0\r\n\r\n",
    "nothing behind the data": b"d\r\n" + BODY + b"0\r\n\r\n",
    "LF everywhere": b"d\n" + BODY + b"\n0\n\n",
    "data longer than its size": b"c\r\n" + BODY + b"\r\n0\r\n\r\n",
    "data shorter than its size": b"e\r\n" + BODY + b"\r\n0\r\n\r\n",
    "size zero with data": b"0\r\n" + BODY + b"\r\n0\r\n\r\n",
    "LF behind the last chunk": b"d\r\n" + BODY + b"\r\n0\n\r\n",
    "LF as the end": b"d\r\n" + BODY + b"\r\n0\r\n\n",
    "CR as the end": b"d\r\n" + BODY + b"\r\n0\r\n\rX",
    "one empty line too few": b"d\r\n" + BODY + b"\r\n0\r\n",
    "extension without a name": b"d;\r\n" + BODY + b"\r\n0\r\n\r\n",
    "LF in an extension": b"d;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n",
    "CR in an extension": b"d;a\rb\r\n" + BODY + b"\r\n0\r\n\r\n",
    "NUL in an extension": b"d;a\x00\r\n" + BODY + b"\r\n0\r\n\r\n",
    "CRLF in a quoted extension": b'd;a="b\r\nc"\r\n' + BODY + b"\r\n0\r\n\r\n",
    "unfinished quoted extension": b'd;a="b\r\n' + BODY + b"\r\n0\r\n\r\n",
    "LF in an extension's value": b"d;a=b\n" + BODY + b"\r\n0\r\n\r\n",
    "trailer without a colon": b"d\r\n" + BODY + b"\r\n0\r\nX\r\n\r\n",
    "trailer with a space before the colon": b"d\r\n" + BODY + b"\r\n0\r\nX : a\r\n\r\n",
    "trailer that is folded": b"d\r\n" + BODY + b"\r\n0\r\nX: a\r\n b\r\n\r\n",
    "trailer with a bare LF": b"d\r\n" + BODY + b"\r\n0\r\nX: a\nY: b\r\n\r\n",
    "trailer with a NUL": b"d\r\n" + BODY + b"\r\n0\r\nX: a\x00\r\n\r\n",
    "length in the trailer": b"d\r\n" + BODY + b"\r\n0\r\nContent-Length: 13\r\n\r\n",
    "coding in the trailer": b"d\r\n" + BODY + b"\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "trailers without end": b"d\r\n" + BODY + b"\r\n0\r\n" + b"X: %s\r\n" % (b"a" * 1_000) * 200 + b"\r\n",
}
FIELDS = [
    b"X: a\r\n b",
    b"X: a\r\n\tb",
    b"X:\r\n a",
    b"X: a\n b",
    b"X : a",
    b"X\t: a",
    b"X",
    b":",
    b": a",
    b"X y: a",
    b'"X": a',
    b"X(: a",
    b"X/: a",
    b"X[0]: a",
    b"X\x00: a",
    b"X\x7f: a",
    b"X\x80: a",
    "X\N{LATIN SMALL LETTER E WITH ACUTE}: a".encode(),
    b"X: a\x00b",
    b"X: a\x01b",
    b"X: a\x08b",
    b"X: a\x0bb",
    b"X: a\x0cb",
    b"X: a\x1bb",
    b"X: a\x7fb",
    b"X: a\rb",
    b"X: a\nb",
    b"X: a\n\rb",
    b"X: a\r",
    b"X: a\n",
    b"X: a\r\n\rY: b",
    b"X: a\r\n\x00",
    b"\x00: a",
    b"\xef\xbb\xbfX: a",
    b"GET /health HTTP/1.1",
]
HOSTS = [
    b"X-Host: tasks.test",
    b"Host:",
    b"Host: ",
    b"Host: a\r\nHost: b",
    b"Host: a\r\nHost: a",
    b"Host: a\r\nhost:",
    b"Host: a b",
    b"Host: a\tb",
    b"Host: user@a",
    b"Host: user:secret@a",
    b"Host: a@b:80",
    b"Host: a/b",
    b"Host: a/",
    b"Host: /",
    b"Host: http://a",
    b"Host: a?b",
    b"Host: a#b",
    b"Host: a\\b",
    b"Host: <a>",
    b'Host: "a"',
    b"Host: a^b",
    b"Host: {a}",
    b"Host: a|b",
    b"Host: `a`",
    b"Host: a:b",
    b"Host: a:80:80",
    b"Host: a:-1",
    b"Host: a:+80",
    b"Host: a: 80",
    b"Host: a :80",
    b"Host: :80",
    b"Host: :",
    b"Host: ::1",
    b"Host: [::1",
    b"Host: ::1]",
    b"Host: []",
    b"Host: [::1]a",
    b"Host: [a b]",
    b"Host: a%",
    b"Host: a%2",
    b"Host: a%zz",
    "Host: caf\N{LATIN SMALL LETTER E WITH ACUTE}".encode(),
    b"Host: a\xff",
    b"Host: a\x00",
    b"Host : a",
    b" Host: a",
    b"Host: a\r\n b",
    b"Host: a\nX: b",
]
STARTS = [
    b"GET /health",
    b"GET /health HTTP/0.9",
    b"GET /health HTTP/2.0",
    b"GET /health HTTP/3.0",
    b"GET /health HTTP/1.2",
    b"GET /health HTTP/9.9",
    b"GET /health HTTP/1.10",
    b"GET /health HTTP/11",
    b"GET /health HTTP/1",
    b"GET /health HTTP/1,1",
    b"GET /health HTTP/01.1",
    b"GET /health HTTP/1.01",
    b"GET /health HTTP/-1.1",
    b"GET /health HTTP/\xd9\xa1.1",
    b"GET /health http/1.1",
    b"GET /health Http/1.1",
    b"GET /health HTTPS/1.1",
    b"GET /health HTP/1.1",
    b"GET /health H",
    b"GET /health HTTP/1.1 ",
    b"GET /health HTTP/1.1\t",
    b"GET /health HTTP/1.1\x00",
    b"GET /health HTTP/1.1\r",
    b"GET /health HTTP/1.1 HTTP/1.1",
    b"GET /health\tHTTP/1.1",
    b"GET\t/health HTTP/1.1",
    b"GET /he alth HTTP/1.1",
    b"GET /health\x00 HTTP/1.1",
    b"GET /he\rlth HTTP/1.1",
    b"GET /he\x0blth HTTP/1.1",
    b"GET /health\x7f HTTP/1.1",
    b"GET /health\xa0 HTTP/1.1",
    b"GET /h\xc3\xa9alth HTTP/1.1",
    b"GET HTTP/1.1",
    b"GET  HTTP/1.1",
    b"GET health HTTP/1.1",
    b"GET ?a=b HTTP/1.1",
    b"GET tasks.test:80 HTTP/1.1",
    b"GET http:/health HTTP/1.1",
    b"GET http://?a HTTP/1.1",
    b"GET http:///health HTTP/1.1",
    b"GET http://evil.test/health HTTP/1.1",
    b"GET https://a:444/health HTTP/1.1",
    b"GET http://a@evil.test/health HTTP/1.1",
    b"GET ftp://a/health HTTP/1.1",
    b"GET  /health HTTP/1.1",
    b"GET /health  HTTP/1.1",
    b"GET /health#a HTTP/1.1",
    b"GET /health RTSP/1.0",
    b"GET * HTTP/1.1",
    b" GET /health HTTP/1.1",
    b"\tGET /health HTTP/1.1",
    b"\x00GET /health HTTP/1.1",
    b"\xef\xbb\xbfGET /health HTTP/1.1",
    b"get /health HTTP/1.1",
    b"Get /health HTTP/1.1",
    b"GETT /health HTTP/1.1",
    b"GE /health HTTP/1.1",
    b"G\x00ET /health HTTP/1.1",
    b"GET/health HTTP/1.1",
    b"BREW /health HTTP/1.1",
    b"GET /health ICE/1.0",
    b"HTTP/1.1 200 OK",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n",
    b"X: a",
    b"hello",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


def shown(sent: bytes) -> str:
    """The bytes as the name of a case."""
    return repr(sent)[2:-1][:100]


def refused() -> Iterator[tuple[str, bytes]]:
    for field in LENGTHS:
        yield shown(field), with_length(field)
    for fields in BOTH:
        yield shown(fields), with_coding(fields)
        yield f"{shown(fields)} with a plain body", with_length(fields)
    for field in CODINGS:
        yield shown(field), with_coding(field)
    yield "chunks in HTTP/1.0", with_coding(CHUNKED, start=b"POST /api/tasks HTTP/1.0")
    yield (
        "chunks in HTTP/1.0 that stays",
        with_coding(CHUNKED, b"Connection: keep-alive", start=b"POST /api/tasks HTTP/1.0"),
    )
    yield "chunks and a length in HTTP/1.0", with_coding(CHUNKED, LENGTH, start=b"POST /api/tasks HTTP/1.0")
    for name, chunks in BAD_CHUNKS.items():
        yield name, with_chunks(chunks)
    for field in FIELDS:
        yield shown(field), with_field(field)
    for field in HOSTS:
        yield shown(field), with_host(field)
    for line in STARTS:
        yield shown(line), with_start(line)
        yield f"{shown(line)} and no fields", line + b"\r\n\r\n" + SMUGGLED


@pytest.fixture(params=["at once", "in pieces"])
def send(request: pytest.FixtureRequest) -> Callable[[Wire, bytes], None]:
    """Send it in one piece, or byte by byte: a parser may stop anywhere."""

    def send(wire: Wire, sent: bytes) -> None:
        # Who is refused is not listened to any more.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            wire.send(*((sent,) if request.param == "at once" else (bytes([byte]) for byte in sent)))

    return send


@pytest.fixture
def victim(service: Service, figures: Figures) -> Iterator[None]:
    """Somebody else, who has the same tasks after a test as before it."""
    client = service.as_user(VICTIM)
    before = client.get("/api/tasks").json()
    yield
    assert client.get("/api/tasks").json() == before
    figures("Hostile framing", 1, 1)


@pytest.mark.usefixtures("victim")
@pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in refused()])
def test_what_could_be_read_in_two_ways_gets_one_400_and_the_end_of_the_connection(
    service: Service, send: Callable[[Wire, bytes], None], sent: bytes
) -> None:
    with Wire(service) as wire:
        send(wire, sent)
        (answer,) = wire.read_all()
    problem(service, answer, "malformed-request")
    assert answer.headers["connection"] == "close"


# What is taken, and ends where it says.

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


MINE = b"Authorization: Bearer " + token(SENDER, seconds=DAY).encode()
AS_JSON = b"Content-Type: application/json"
HOLDERS = {
    "GET": (200, [b"GET /health HTTP/1.1"]),
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
    "a list": (200, [b"GET /api/tasks HTTP/1.1", MINE]),
    "what is not acceptable": (406, [b"GET /health HTTP/1.1", b"Accept: text/html"]),
    "a long address": (414, [b"GET /health?%b HTTP/1.1" % (b"a" * 9_000)]),
    "long fields": (431, [b"GET /health HTTP/1.1", b"X: " + b"a" * 33_000]),
    "an unknown expectation": (200, [b"GET /health HTTP/1.1", b"Expect: 200-ok"]),
    "a list of connection options": (200, [b"GET /health HTTP/1.1", b"Connection: content-length, host, x"]),
    "fields of other protocols": (200, [b"GET /health HTTP/1.1", b"Content_Length: 0", b"X-HTTP-Method: PUT"]),
}


def swallowed(start: bytes, *fields: bytes, chunked: bool = False) -> bytes:
    """A request with somebody else's as its body."""
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


@pytest.mark.usefixtures("victim")
@pytest.mark.parametrize(("sent", "status"), [pytest.param(sent, status, id=name) for name, sent, status in taken()])
def test_what_is_taken_ends_where_it_says(
    service: Service, send: Callable[[Wire, bytes], None], sent: bytes, status: int
) -> None:
    with Wire(service) as wire:
        send(wire, sent + LAST)
        answers = wire.read_all()
    assert [(each.headers["x-request-id"], each.status_code) for each in answers] == [("first", status), ("last", 200)]


@pytest.mark.usefixtures("victim")
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(["Authorization", f"Bearer {token(VICTIM, seconds=DAY)}"], id="token"),
        pytest.param(["Content-Type", "application/json"], id="content type"),
    ],
)
def test_what_a_header_lacks_is_not_made_up_for_by_a_trailer(service: Service, fields: list[str]) -> None:
    given = {"Authorization": f"Bearer {token(SENDER, seconds=DAY)}", "Content-Type": "application/json"}
    name, value = fields
    head = [(each, given[each]) for each in given if each != name]
    answer = ask(
        service,
        request("POST", "/api/tasks", [*head, ("Transfer-Encoding", "chunked")])
        + b"d\r\n%b\r\n0\r\n%b: %b\r\n\r\n" % (BODY, name.encode(), value.encode()),
    )
    problem(service, answer, {"Authorization": "unauthenticated", "Content-Type": "unsupported-media-type"}[name])


@pytest.mark.usefixtures("victim")
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(request("GET", "/health", [("Connection", "close")]), 200, id="close"),
        pytest.param(request("GET", "/health", [("Connection", "x, Close")]), 200, id="close in a list"),
        pytest.param(request("GET", "/health", [("Connection", "close"), ("Content-Length", "0")]), 200, id="length 0"),
        pytest.param(b"GET /health HTTP/1.0\r\n\r\n", 200, id="HTTP/1.0"),
        pytest.param(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, id="HTTP/1.0 that would stay"),
        # What comes behind could be meant for the protocol that was asked for.
        pytest.param(b"CONNECT /health HTTP/1.1\r\nHost: a\r\n\r\n", 405, id="CONNECT"),
        pytest.param(request("GET", "/health", [("Connection", "upgrade"), ("Upgrade", "h2c")]), 200, id="h2c"),
        pytest.param(request("GET", "/health", [("Connection", "Upgrade"), ("Upgrade", "websocket")]), 200, id="ws"),
    ],
)
def test_what_comes_behind_the_last_request_of_a_connection_is_not_answered(
    service: Service, send: Callable[[Wire, bytes], None], sent: bytes, status: int
) -> None:
    with Wire(service) as wire:
        send(wire, sent + SMUGGLED)
        assert [answer.status_code for answer in wire.read_all()] == [status]


# What never ends.

UNFINISHED = {
    "half a start": b"POST /api/ta",
    "half a header": b"GET /health HTTP/1.1\r\nHost: a\r\n",
    "length beyond the body": post(b"Content-Length: %d" % (len(BODY) + len(SMUGGLED) + 1)) + BODY + SMUGGLED,
    "no last chunk": post(CHUNKED) + b"d\r\n" + BODY + b"\r\n%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n",
    "no end of the trailer": post(CHUNKED) + b"d\r\n" + BODY + b"\r\n0\r\nX: a\r\n",
    "chunk of 16 times F": post(CHUNKED) + b"F" * 16 + b"\r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED,
    "chunk of the largest signed size": post(CHUNKED) + b"7" + b"F" * 15 + b"\r\n" + BODY + b"\r\n" + SMUGGLED,
    "chunk of 4 GiB and 13 bytes": post(CHUNKED) + b"10000000d\r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED,
    "extension without end": post(CHUNKED) + b"d;a=" + b"a" * 1_000,
}


@pytest.mark.usefixtures("victim")
def test_what_has_not_ended_is_not_answered(service: Service) -> None:
    with contextlib.ExitStack() as stack:
        wires = {name: stack.enter_context(Wire(service)) for name in UNFINISHED}
        for name, wire in wires.items():
            wire.send(UNFINISHED[name])
        time.sleep(QUIET_SECONDS)
        said = {name: wire.received() for name, wire in wires.items()}
    assert said == dict.fromkeys(UNFINISHED, b"")


# Many on one connection.


@pytest.mark.usefixtures("victim")
@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"xyz\r\n\r\n", id="garbage"),
        pytest.param(post(CHUNKED) + b"xyz\r\n\r\n", id="bad chunk"),
        pytest.param(post(LENGTH, CHUNKED) + CHUNKS, id="length and chunks"),
        pytest.param(post(LENGTH, LENGTH) + BODY, id="two lengths"),
        pytest.param(post(b"Transfer-Encoding: gzip, chunked") + CHUNKS, id="unknown coding"),
        pytest.param(post(LENGTH, host=None) + BODY, id="no host"),
    ],
)
@pytest.mark.parametrize("good", range(1, 4), ids="behind {}".format)
def test_requests_ahead_of_a_bad_one_are_answered_in_order_and_none_behind_it(
    service: Service, send: Callable[[Wire, bytes], None], good: int, bad: bytes
) -> None:
    title = uuid.uuid4().hex
    ids = [f"good-{number}" for number in range(good)]
    with Wire(service) as wire:
        send(wire, b"".join(create(SENDER, title, request_id=each) for each in ids) + bad + SMUGGLED)
        answers = wire.read_all()
    assert [(answer.headers["x-request-id"], answer.status_code) for answer in answers[:good]] == [
        (each, 201) for each in ids
    ]
    for answer in answers[good:]:
        problem(service, answer, "malformed-request")
    assert len(answers) <= good + 1
    tasks = service.as_user(SENDER).get("/api/tasks", params={"sort": "-created", "limit": 10}).json()
    assert [task["title"] for task in tasks].count(title) == good
