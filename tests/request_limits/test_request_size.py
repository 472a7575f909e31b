"""Size limits: heads, trailers, chunk extensions, and requests sent ahead."""

import contextlib

import pytest

from tests.request_limits.slow_clients import post_head
from tests.support.raw_http import RawConnection, problem, request
from tests.support.service import Service

MORE_THAN_BUFFERS_TAKE = 50_000_000


# Size


@pytest.mark.parametrize(
    ("first", "more", "code"),
    [
        pytest.param(b"GET /", b"a" * 1_000, "uri-too-long", id="target"),
        pytest.param(b"GET /health HTTP/1.1\r\nX", b"a" * 1_000, "header-fields-too-large", id="name"),
        pytest.param(b"GET /health HTTP/1.1\r\nX: ", b"a" * 1_000, "header-fields-too-large", id="value"),
        pytest.param(b"GET /health HTTP/1.1\r\n", b"a:\r\n" * 10, "header-fields-too-large", id="many fields"),
    ],
)
def test_a_head_without_an_end_is_cut_off(service: Service, first: bytes, more: bytes, code: str) -> None:
    with RawConnection(service) as raw:
        raw.send(first)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 300_000:
                raw.send(more)
                sent += len(more)
        answer = raw.read()
        problem(service, answer, code)
        assert answer.headers["connection"] == "close"


def test_more_than_a_hundred_fields_are_too_large(service: Service) -> None:
    with RawConnection(service) as raw:
        raw.send(request("GET", "/health", [(f"X-{number}", "a") for number in range(99)]))
        assert raw.read().status_code == 200
        raw.send(request("GET", "/health", [(f"X-{number}", "a") for number in range(100)]))
        problem(service, raw.read(), "header-fields-too-large")


@pytest.mark.parametrize(
    ("first", "more"),
    [
        pytest.param(b"0\r\nX: ", b"a" * 60_000, id="trailer"),
        pytest.param(b"0\r\n", b"a: a\r\n" * 10_000, id="many trailers"),
        pytest.param(b"1;a=", b"a" * 60_000, id="extension"),
    ],
)
def test_what_comes_around_a_body_is_bounded(service: Service, first: bytes, more: bytes) -> None:
    with RawConnection(service) as raw:
        raw.send(post_head("ada", None) + first)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < MORE_THAN_BUFFERS_TAKE:
                raw.send(more)
                sent += len(more)
        assert sent < MORE_THAN_BUFFERS_TAKE
        # Closing while more arrives may take the answer back.
        with contextlib.suppress(ConnectionError, IndexError):
            problem(service, raw.read(), "malformed-request")


def test_a_client_may_not_send_thousands_of_requests_ahead(service: Service) -> None:
    with RawConnection(service) as raw:
        raw.send(request("GET", "/health") * 1000)
        answers = [raw.read()]
        while answers[-1].headers.get("connection") != "close":
            answers.append(raw.read())
        assert {answer.status_code for answer in answers} == {200}
        assert 100 <= len(answers) < 200
        with contextlib.suppress(ConnectionResetError):
            assert raw.rest() == b""
