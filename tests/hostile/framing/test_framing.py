"""The end of a request (RFC 9112): no component may read a second request out of the first."""

import contextlib
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.hostile.framing.accepted import taken
from tests.hostile.framing.messages import (
    BODY,
    CHUNKED,
    CHUNKS,
    LAST,
    LENGTH,
    SENDER,
    SMUGGLED,
    VICTIM,
    post,
)
from tests.hostile.framing.refused import refused
from tests.support.figures import Figures
from tests.support.raw_http import RawConnection, ask, create_request, problem, request
from tests.support.service import Service, token


@pytest.fixture(params=["at once", "in pieces"])
def send(request: pytest.FixtureRequest) -> Callable[[RawConnection, bytes], None]:
    """Send it in one piece, or byte by byte: a parser may stop anywhere."""

    def send(raw: RawConnection, sent: bytes) -> None:
        # The service no longer reads from a connection that it has refused.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            raw.send(*((sent,) if request.param == "at once" else (bytes([byte]) for byte in sent)))

    return send


@pytest.fixture
def victim(service: Service, figures: Figures) -> Iterator[None]:
    """Another user, who has the same tasks after a test as before it."""
    client = service.as_user(VICTIM)
    before = client.get("/api/tasks").json()
    yield
    assert client.get("/api/tasks").json() == before
    figures("Hostile framing", 1, 1)


@pytest.mark.usefixtures("victim")
@pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in refused()])
def test_an_ambiguous_message_gets_one_400_and_is_disconnected(
    service: Service, send: Callable[[RawConnection, bytes], None], sent: bytes
) -> None:
    with RawConnection(service) as raw:
        send(raw, sent)
        (answer,) = raw.read_all()
    problem(service, answer, "malformed-request")
    assert answer.headers["connection"] == "close"


@pytest.mark.usefixtures("victim")
@pytest.mark.parametrize(("sent", "status"), [pytest.param(sent, status, id=name) for name, sent, status in taken()])
def test_what_is_taken_ends_where_it_says(
    service: Service, send: Callable[[RawConnection, bytes], None], sent: bytes, status: int
) -> None:
    with RawConnection(service) as raw:
        send(raw, sent + LAST)
        answers = raw.read_all()
    assert [(each.headers["x-request-id"], each.status_code) for each in answers] == [("first", status), ("last", 200)]


@pytest.mark.usefixtures("victim")
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(["Authorization", f"Bearer {token(VICTIM)}"], id="token"),
        pytest.param(["Content-Type", "application/json"], id="content type"),
    ],
)
def test_what_a_header_lacks_is_not_made_up_for_by_a_trailer(service: Service, fields: list[str]) -> None:
    given = {"Authorization": f"Bearer {token(SENDER)}", "Content-Type": "application/json"}
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
        # The bytes behind it could be meant for the requested protocol.
        pytest.param(b"CONNECT /health HTTP/1.1\r\nHost: a\r\n\r\n", 405, id="CONNECT"),
        pytest.param(request("GET", "/health", [("Connection", "upgrade"), ("Upgrade", "h2c")]), 200, id="h2c"),
        pytest.param(request("GET", "/health", [("Connection", "Upgrade"), ("Upgrade", "websocket")]), 200, id="ws"),
    ],
)
def test_nothing_behind_the_last_request_is_answered(
    service: Service, send: Callable[[RawConnection, bytes], None], sent: bytes, status: int
) -> None:
    with RawConnection(service) as raw:
        send(raw, sent + SMUGGLED)
        assert [answer.status_code for answer in raw.read_all()] == [status]


# Requests that never end.

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
        connections = {name: stack.enter_context(RawConnection(service)) for name in UNFINISHED}
        for name, raw in connections.items():
            raw.send(UNFINISHED[name])
        # Requests that came later are answered first.
        for title in ("one", "two", "three"):
            assert ask(service, create_request(SENDER, title)).status_code == 201
        said = {name: raw.received() for name, raw in connections.items()}
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
def test_requests_before_a_bad_one_are_answered_none_behind_it(
    service: Service, send: Callable[[RawConnection, bytes], None], good: int, bad: bytes
) -> None:
    title = uuid.uuid4().hex
    ids = [f"good-{number}" for number in range(good)]
    with RawConnection(service) as raw:
        send(
            raw,
            b"".join(create_request(SENDER, title, ("X-Request-ID", each)) for each in ids) + bad + SMUGGLED,
        )
        answers = raw.read_all()
    assert [(answer.headers["x-request-id"], answer.status_code) for answer in answers[:good]] == [
        (each, 201) for each in ids
    ]
    for answer in answers[good:]:
        problem(service, answer, "malformed-request")
    assert len(answers) <= good + 1
    tasks = service.as_user(SENDER).get("/api/tasks", params={"sort": "-created", "limit": 10}).json()
    assert [task["title"] for task in tasks].count(title) == good
