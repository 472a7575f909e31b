"""uvicorn's protocol: its one answer of its own in the contract's shape, and every answer in one piece."""

import asyncio
from typing import Any

import orjson
from uuid_utils import uuid7
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.guard import TARGET_BYTES
from server.problems import MALFORMED_REQUEST, URI_TOO_LONG, Problem

_MOST_GATHERED = 65_536


class ProblemProtocol(HttpToolsProtocol):
    """Answers what is not HTTP, which never becomes a request that the stages could see."""

    url = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, with what is sent gathered."""
        super().connection_made(transport)
        self.transport = _GatheringTransport(transport, self.loop)  # type: ignore[assignment]

    def send_400_response(self, msg: str) -> None:
        """Send the problem and close the connection: where the next request would start is unknown."""
        # A target beyond 65,535 bytes is one of the things that httptools does not read.
        problem = Problem(URI_TOO_LONG) if len(self.url) > TARGET_BYTES else Problem(MALFORMED_REQUEST, msg)
        body = orjson.dumps(problem.as_json("/"))
        head = (
            f"HTTP/1.1 {problem.kind.status} {problem.kind.title}\r\n"
            "Content-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\n"
            "Cache-Control: no-store\r\n"
            "Vary: Origin\r\n"
            f"X-Request-ID: {uuid7()}\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


class _GatheringTransport:
    """Sends in one system call what is written in one turn of the event loop: the head of an answer and its body.

    uvicorn writes the two one after the other, and the second call costs as much as all of the validation.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._written:
            self._loop.call_soon(self._send)
        self._written.append(data)
        self._size += len(data)
        if self._size > _MOST_GATHERED:
            # So that the transport can tell uvicorn to wait for a slow reader.
            self._send()

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._written:
            self._transport.write(b"".join(self._written))
            self._written.clear()
            self._size = 0
