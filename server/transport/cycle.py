"""One request and its response: the head is written at once, with the first part of the content."""

import asyncio
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from server.request_context import Headers

# The characters of names, which are in lower case in ASGI, and of values (RFC 9110, sections 5.6.2 and 5.5).
_TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
_TEXT: Final = bytes([*b"\t", *range(0x20, 0x7F), *range(0x80, 0x100)])
_WITHOUT_CONTENT: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Cycle(RequestResponseCycle):
    """uvicorn's cycle with another `send`.

    uvicorn examines and writes each header field separately. Here all names are examined together, and all values, and
    the head waits for the content that follows.
    """

    _head = b""

    def __init__(self, protocol: HttpToolsProtocol, *, keep_alive: bool) -> None:
        """The cycle of the request whose head the protocol has received."""
        super().__init__(
            scope=protocol.scope,
            transport=protocol.transport,
            flow=protocol.flow,
            logger=protocol.logger,
            access_logger=protocol.access_logger,
            access_log=False,
            default_headers=protocol.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=protocol.expect_100_continue,
            keep_alive=keep_alive,
            on_response=protocol.on_response_complete,
        )

    async def send(self, message: MutableMapping[str, Any]) -> None:  # type: ignore[override]
        """Send a part of the response. Raises `RuntimeError` for a message that ASGI does not allow now."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self.response_started:
            self._start(message["status"], message["headers"])
        elif kind == "http.response.body" and self.response_started and not self.response_complete:
            self._continue(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} must not be sent now")

    def _start(self, status: int, headers: Headers) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        fields = dict(headers)
        if b"".join(fields).translate(None, _TOKEN) or b"".join([value for _, value in headers]).translate(None, _TEXT):
            raise RuntimeError("a header field has a character that its form excludes")
        lines = [b"%s: %s\r\n" % field for field in (*self.default_headers, *headers)]
        if b"close" in fields.get(b"connection", b""):
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close\r\n")
        length = fields.get(b"content-length")
        if length is not None:
            self.chunked_encoding = False
            self.expected_content_length = int(length)
        elif self.scope["method"] != "HEAD" and status not in _WITHOUT_CONTENT:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        self._head = STATUS_LINE[status] + b"".join(lines) + b"\r\n"

    def _continue(self, content: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            content = b""
            self.expected_content_length = 0
        elif self.chunked_encoding:
            content = _chunks(content, more=more)
        else:
            self.expected_content_length -= len(content)
            if self.expected_content_length < 0 or (self.expected_content_length and not more):
                raise RuntimeError("the content is not as long as Content-Length says")
        self.transport.write(self._head + content)
        self._head = b""
        if not more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()


def _chunks(content: bytes, *, more: bool) -> bytes:
    """The content as a chunk, and the last chunk behind it unless there is more (RFC 9112, section 7.1)."""
    chunk = b"%x\r\n%s\r\n" % (len(content), content) if content else b""
    return chunk if more else chunk + b"0\r\n\r\n"
