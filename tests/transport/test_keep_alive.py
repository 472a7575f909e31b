"""Connections that are kept open: how long, and what is written into them."""

import asyncio
from functools import partial

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from server.http_protocol import ProblemProtocol
from server.request_context import Headers
from server.transport.connection_limits import ConnectionMonitor, Limits
from tests.support.raw_http import request


def _application(*parts: bytes, headers: Headers) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    return app


async def _conversation(app: ASGIApp, *sent: bytes) -> tuple[bytes, float]:
    """What the client gets until the service closes the connection, and the seconds from its last byte to that."""
    config = uvicorn.Config(app, lifespan="off", timeout_keep_alive=1)
    config.load()
    loop = asyncio.get_running_loop()
    make = partial(ProblemProtocol, config, ServerState(), {}, monitor=ConnectionMonitor(Limits(), []))
    async with await loop.create_server(make, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        received = b""
        for data in sent:
            writer.write(data)
            received += await reader.read(65_536)
        last = loop.time()
        received += await reader.read()
        writer.close()
    return received, loop.time() - last


@pytest.mark.anyio
async def test_an_idle_connection_is_closed_after_its_time() -> None:
    """The monitor checks four times a second and does not count the first check."""
    app = _application(b"abc", headers=[(b"content-length", b"3")])
    received, seconds = await _conversation(app, request("GET", "/"), request("GET", "/"))
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert 0.9 < seconds < 3


@pytest.mark.parametrize(
    ("headers", "parts", "content"),
    [
        ([(b"content-length", b"6")], [b"abc", b"def"], b"abcdef"),
        ([], [b"abc", b"def"], b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"),
        ([], [], b"0\r\n\r\n"),
    ],
    ids=["length", "chunks", "empty"],
)
@pytest.mark.anyio
async def test_the_content_follows_the_head(headers: Headers, parts: list[bytes], content: bytes) -> None:
    app = _application(*parts, headers=[*headers, (b"connection", b"close")])
    received, _ = await _conversation(app, request("GET", "/"))
    head, _, rest = received.partition(b"\r\n\r\n")
    assert rest == content
    assert (b"transfer-encoding: chunked" in head) == (not headers)


@pytest.mark.parametrize(
    ("headers", "parts"),
    [
        ([(b"content-length", b"3"), (b"x", b"a\r\nset-cookie: b")], [b"abc"]),
        ([(b"content-length", b"3"), (b"x", b"a\0")], [b"abc"]),
        ([(b"content-length", b"3"), (b"x: y", b"a")], [b"abc"]),
        ([(b"content-length", b"2")], [b"abc"]),
    ],
    ids=["line end", "NUL", "name", "too long"],
)
@pytest.mark.anyio
async def test_a_response_that_is_not_http_is_not_sent(headers: Headers, parts: list[bytes]) -> None:
    received, _ = await _conversation(_application(*parts, headers=headers), request("GET", "/"))
    assert received == b""


@pytest.mark.anyio
async def test_a_response_that_is_too_short_ends_the_connection() -> None:
    received, seconds = await _conversation(
        _application(b"abc", headers=[(b"content-length", b"4")]), request("GET", "/")
    )
    assert received.endswith(b"\r\n\r\nabc")
    assert seconds < 0.9
