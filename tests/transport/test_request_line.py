"""Request lines are read strictly (RFC 9112, section 3), wherever a message begins."""

import re
from collections.abc import Iterator

import pytest

from server.transport.message_framing import FramingError, MessageFraming, Target, parse_target
from tests.support.raw_http import RawConnection, ask, problem, request
from tests.support.service import Service, token

BODY = b'{"title":"a"}'
SPELLINGS = {
    "two spaces behind the method": b"GET  /health HTTP/1.1",
    "two spaces behind the target": b"GET /health  HTTP/1.1",
    "a space at the end": b"GET /health HTTP/1.1 ",
    "a tab": b"GET\t/health HTTP/1.1",
    "a fragment": b"GET /health#a HTTP/1.1",
    "a fragment behind a query": b"GET /openapi.json?a#b HTTP/1.1",
    "a fragment in an absolute form": b"GET http://tasks.test/health#a HTTP/1.1",
    "another scheme": b"GET ftp://tasks.test/health HTTP/1.1",
    "a scheme with a plus sign": b"GET http+unix://tasks.test/health HTTP/1.1",
    "a web socket": b"GET ws://tasks.test/health HTTP/1.1",
    "a user": b"GET http://ada@tasks.test/health HTTP/1.1",
    "a user and a password": b"GET http://ada:secret@tasks.test/health HTTP/1.1",
    "an empty user": b"GET http://@tasks.test/health HTTP/1.1",
    "no host": b"GET http:///health HTTP/1.1",
    "a query without a host": b"GET http://?a HTTP/1.1",
    "one slash": b"GET http:/health HTTP/1.1",
    "another host": b"GET http://evil.test/health HTTP/1.1",
    "another port": b"GET http://tasks.test:81/health HTTP/1.1",
    "a host that begins alike": b"GET http://tasks.test.evil.test/health HTTP/1.1",
    "RTSP": b"GET /health RTSP/1.0",
    "RTSP with a method of it": b"OPTIONS /health RTSP/1.0",
    "RTSP in the version of HTTP": b"OPTIONS * RTSP/1.1",
    "ICE": b"SOURCE /health ICE/1.0",
    "an asterisk for another method": b"GET * HTTP/1.1",
    "an asterisk with a path": b"OPTIONS */health HTTP/1.1",
    "an authority": b"GET tasks.test:80 HTTP/1.1",
    "no target": b"GET HTTP/1.1",
    "no version": b"GET /health",
    "two versions": b"GET /health HTTP/1.1 HTTP/1.1",
    "DEL in the target": b"GET /health\x7f HTTP/1.1",
    "no ASCII": b"GET /caf\xc3\xa9 HTTP/1.1",
}
WHOLE = {
    "origin form": (b"GET /health HTTP/1.1", 200),
    "absolute form": (b"GET http://tasks.test/health HTTP/1.1", 200),
    "absolute form in upper case": (b"GET HTTP://TASKS.TEST/health HTTP/1.1", 200),
    "absolute form of TLS": (b"GET https://tasks.test/health HTTP/1.1", 200),
    "absolute form without a path": (b"GET http://tasks.test HTTP/1.1", 200),
    "absolute form with a query only": (b"GET http://tasks.test?a=b HTTP/1.1", 200),
    "what browsers leave as it is": (b'GET /a|"<{}>`^\\? HTTP/1.1', 404),
    "a path with a double slash": (b"GET //tasks.test/health HTTP/1.1", 404),
    "empty lines before it": (b"\r\n\r\n\r\nGET /health HTTP/1.1", 200),
}
spellings = pytest.mark.parametrize("line", SPELLINGS.values(), ids=SPELLINGS.keys())


def head(line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([line, b"Host: tasks.test", *fields, b"", b""])


def post(*fields: bytes) -> bytes:
    mine = b"Authorization: Bearer " + token("a-user-of-request-lines").encode()
    return head(b"POST /api/tasks HTTP/1.1", mine, b"Content-Type: application/json", *fields)


BEFORE = {
    "first": b"",
    "behind a GET": head(b"GET /health HTTP/1.1"),
    "behind a body": post(b"Content-Length: 13") + BODY,
    "behind chunks": post(b"Transfer-Encoding: chunked") + b"5\r\n%b\r\n8\r\n%b\r\n0\r\n\r\n" % (BODY[:5], BODY[5:]),
    "behind trailers": post(b"Transfer-Encoding: chunked") + b"d;a=b\r\n%b\r\n00\r\nX: a\r\n\r\n" % BODY,
    "behind a refused body": head(b"POST /api/tasks HTTP/1.1", b"Content-Length: 19") + b"GET /a HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE.keys())
@spellings
def test_a_request_line_that_is_not_strict_is_refused(service: Service, before: bytes, line: bytes) -> None:
    """It is a 400 that ends the connection, and the bytes behind it are not read."""
    with RawConnection(service) as raw:
        if before:
            raw.send(before)
            assert raw.read().status_code in (200, 201, 401)
        raw.send(head(line) + head(b"GET /health HTTP/1.1"))
        answers = raw.read_all()
    assert len(answers) == 1
    problem(service, answers[0], "malformed-request")
    assert answers[0].headers["connection"] == "close"


@pytest.mark.parametrize("before", list(BEFORE.values())[1:], ids=list(BEFORE)[1:])
def test_a_line_in_the_same_packet_is_read_as_strictly(service: Service, before: bytes) -> None:
    with RawConnection(service) as raw:
        raw.send(before + head(b"GET  /health HTTP/1.1"))
        first, *others = raw.read_all()
    assert first.status_code in (200, 201, 401)
    for answer in others:
        problem(service, answer, "malformed-request")


@pytest.mark.parametrize(("line", "status"), WHOLE.values(), ids=WHOLE.keys())
def test_a_strict_request_line_is_taken(service: Service, line: bytes, status: int) -> None:
    assert ask(service, head(line)).status_code == status


def test_an_absolute_form_of_http_1_0_needs_no_host(service: Service) -> None:
    assert ask(service, b"GET http://tasks.test/health HTTP/1.0\r\n\r\n").status_code == 200


@pytest.mark.parametrize(("target", "host"), [("http://a.test:80", "a.test"), ("http://a.test", "b.test")])
def test_the_host_of_a_target_must_be_the_field(service: Service, target: str, host: str) -> None:
    members = problem(service, ask(service, request("GET", f"{target}/health", host=host)), "malformed-request")
    assert members["detail"] == "The host in the request line is not that of the Host header field."


def test_options_of_the_service_itself_lists_its_methods(service: Service) -> None:
    with RawConnection(service) as raw:
        raw.send(head(b"OPTIONS * HTTP/1.1", b"Origin: http://localhost:3000", b"Access-Control-Request-Method: PUT"))
        answer = raw.read()
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
        assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        raw.send(head(b"GET /health HTTP/1.1"))
        assert raw.read().status_code == 200


def test_what_is_around_a_line_is_not_what_is_read(service: Service) -> None:
    """A strict line that stands elsewhere, such as in a field or a body, does not hide one that is not."""
    decoy = b"GET  /health HTTP/1.1\r\nHost: tasks.test\r\nX: GET /health HTTP/1.1\r\n\r\n"
    problem(service, ask(service, decoy), "malformed-request")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a?b", Target(None, b"/a?b")),
        (b"//a/b", Target(None, b"//a/b")),
        (b"*", Target(None, b"*")),
        (b"http://a", Target(b"a", b"/")),
        (b"http://a?b/c", Target(b"a", b"/?b/c")),
        (b"HTTPS://a:1/b?c", Target(b"a:1", b"/b?c")),
    ],
)
def test_a_target_has_an_authority_and_an_origin_form(target: bytes, expected: Target) -> None:
    assert parse_target(target) == expected


# The parts of messages, whichever way they are cut.

CHUNKS = b"3;a=\r\n\r\n\r\r\n0;b\r\nX: a\r\nY: b\r\n\r\n"


def parts(framing: MessageFraming, pieces: Iterator[bytes], length: int | None) -> list[bytes]:
    """Return the head and the body of one message, and the bytes that follow it."""
    found = [b"", b"", b""]
    part = 0
    for piece in pieces:
        at = 0
        while part < 2 and at < len(piece):
            end = framing.end_of_part(piece, at)
            found[part] += piece[at:end]
            at = end
            if framing.has_ended:
                part += 1
                framing.begin_body(length)
        found[2] += piece[at:]
    return found


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize(("body", "length"), [(b"\r\n\r\nabc\r\n\r\n", 11), (CHUNKS, None)], ids=["length", "chunks"])
def test_parts_end_where_they_say_however_they_are_cut(body: bytes, length: int | None, size: int) -> None:
    first = b"POST / HTTP/1.1\r\nX: \r\nY: \r\n\r\n"
    sent = first + body + b"\r\nrest"
    pieces = (sent[at : at + size] for at in range(0, len(sent), size))
    assert parts(MessageFraming(), pieces, length) == [first, body, b"\r\nrest"]


@pytest.mark.parametrize("line", [b"\r\n", b";a\r\n", b"x\r\n", b"a" * 70_000], ids=["empty", "name", "word", "long"])
def test_a_chunk_without_a_size_is_no_chunk(line: bytes) -> None:
    framing = MessageFraming()
    framing.begin_body(None)
    with pytest.raises(FramingError, match=re.escape("of the body") + "|too long"):
        framing.end_of_part(line, 0)
