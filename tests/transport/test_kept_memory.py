"""Objects that must not stay in memory once they are not needed, checked with weak references."""

import asyncio
import gc
import socket
import weakref
from collections.abc import Iterator
from functools import partial

import pytest
import uvicorn
from sqlalchemy import text
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from persistence.postgres.connection import Connection
from persistence.postgres.statement import compile_statement
from server.app import create_app
from server.http_protocol import ProblemProtocol
from server.middleware.errors import ProblemMiddleware
from server.problems import INTERRUPTION, TOO_MANY_REQUESTS, Interruption, Problem
from server.request_context import RequestContext, attach
from server.settings import Settings
from server.transport.connection_limits import ConnectionMonitor, Limits
from tests.support.raw_http import request, reset
from tests.support.service import SECRET


class Body:
    """Stands for a body of megabytes."""


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """Cycles are not an excuse: the collector may come minutes later."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def _receive() -> Message:
    raise AssertionError("nothing is to be received")


@pytest.mark.parametrize("is_interrupted", [False, True], ids=["refused", "interrupted"])
@pytest.mark.anyio
async def test_the_stages_of_a_refused_request_are_freed(*, is_interrupted: bool) -> None:
    """Before its problem is sent, which may have to wait for the client."""
    kept: list[weakref.ref[Body]] = []
    alive_when_sent = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        body = Body()
        kept.append(weakref.ref(body))
        if is_interrupted:
            scope[INTERRUPTION] = Interruption(Problem(TOO_MANY_REQUESTS))
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(1)
        raise Problem(TOO_MANY_REQUESTS)

    async def send(message: Message) -> None:
        del message
        # As if the client was waited for: a task holds its last cancellation until it waits again.
        await asyncio.sleep(0)
        alive_when_sent.append(kept[0]() is not None)

    scope: Scope = {"type": "http", "method": "GET", "raw_path": b"/api/tasks"}
    attach(RequestContext(scope, _receive, "", "id", {}, []))
    await ProblemMiddleware(app)(scope, _receive, send)
    assert alive_when_sent == [False, False]


@pytest.mark.parametrize("path", [b"/health", b"/nothing", b"/docs"], ids=bytes.decode)
@pytest.mark.anyio
async def test_a_request_is_freed_when_it_has_ended(path: bytes) -> None:
    """Its context and its scope refer to each other until then."""
    app = create_app(Settings(better_auth_secret=SECRET, log_level="error"))
    body = Body()
    kept = weakref.ref(body)

    async def send(message: Message) -> None:
        del message

    async def receive(_body: Body = body) -> Message:
        raise AssertionError("nothing is to be received")

    headers = [(b"host", b"localhost")]
    scope: Scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": path.decode(), "headers": headers}
    await app({**scope, "query_string": b"", "client": ("127.0.0.1", 1)}, receive, send)
    del receive, body
    assert kept() is None


def test_a_connection_to_the_database_keeps_no_result(database_url: str) -> None:
    """A pool of them would keep megabytes after large lists."""

    async def kept() -> object:
        connection = await Connection.connect(database_url, autocommit=True)
        connection.attach(prepares=True)
        rows = await connection.run(compile_statement(text("SELECT repeat('x', 1000000) AS x"), "long"), {}, 10)
        assert len(rows[0]["x"]) == 1_000_000
        result = connection._adapter.pgresult  # noqa: SLF001  nothing else shows it
        await connection.close()
        return result

    assert asyncio.run(kept()) is None


def test_a_reset_connection_is_freed() -> None:
    """uvicorn itself keeps it until its keep-alive timer ends."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def serve() -> None:
        config = uvicorn.Config(app, lifespan="off", timeout_keep_alive=60)
        config.load()
        made: list[weakref.ref[ProblemProtocol]] = []
        make = partial(ProblemProtocol, config, ServerState(), {}, monitor=ConnectionMonitor(Limits(), []))

        def make_protocol() -> ProblemProtocol:
            protocol = make()
            made.append(weakref.ref(protocol))
            return protocol

        server = await asyncio.get_running_loop().create_server(make_protocol, "127.0.0.1", 0)
        async with server:
            await asyncio.to_thread(_ask_and_reset, server.sockets[0].getsockname())
            deadline = asyncio.get_running_loop().time() + 5
            while made[0]() is not None and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.02)
                gc.collect()
            assert made[0]() is None

    asyncio.run(serve())


def _ask_and_reset(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(request("GET", "/"))
        assert client.recv(100).startswith(b"HTTP/1.1 204")
        reset(client)
