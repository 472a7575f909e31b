"""Sending responses as fast as clients read them, within limits on the memory that unread responses hold."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from starlette.types import Message, Receive, Send

from server.formats.content_coding import SMALLEST_BYTES, CompressedStream, Parts, choose, describe, encode
from server.formats.stream import Stream
from server.pipeline.admission import Budget, Share, limited_user
from server.problems import CUT, Problem
from server.request_context import Headers, RequestContext, Response

PIECE_BYTES: Final = 16_384
"""The size of one write to the transport, which holds at most this much above its high-water mark of 64 KiB."""

SMALL_BYTES: Final = 65_536
"""Content up to this size, the transport's high-water mark, is written at once."""

ANSWER_BYTES: Final = 32 * 1024 * 1024
"""The total size of larger responses that clients have not read, in one process."""

ANSWER_BYTES_PER_USER: Final = 8 * 1024 * 1024

EXPORTS: Final = 32
"""The number of exports that one process sends at a time. Each holds one page of `persistence.export.PAGE_BYTES`."""

EXPORTS_PER_USER: Final = 4


class Sender:
    """Sends the responses of one process."""

    def __init__(self) -> None:
        self._answers = Budget(total=ANSWER_BYTES, per_user=ANSWER_BYTES_PER_USER)
        self._exports = Budget(total=EXPORTS, per_user=EXPORTS_PER_USER)

    async def send(self, response: Response, request: RequestContext, send: Send) -> None:
        """Send a response. Raises `Problem` (429, 503) if other requests hold too much, and what the first page raises.

        Content of `SMALLEST_BYTES` or more is sent in the coding that the request prefers. HEAD gets the response to a
        GET without its content, the header fields unchanged (RFC 9110, section 9.3.2).
        """
        if isinstance(response.body, Stream):
            await self._send_export(response, response.body, request, send)
            return
        status, headers, content = response.status, response.headers, response.body
        if len(content) >= SMALLEST_BYTES:
            # So that only what is sent is in memory while the client reads.
            del response
            with self._share(self._answers, request) as share:
                if len(content) > SMALL_BYTES:
                    share.take(len(content))
                headers, content = await encode(headers, content, request.fields)
                if not _is_head(request) and len(content) > SMALL_BYTES:
                    share.reduce(len(content))
                    await _send_start(status, headers, send)
                    await _send_pieces(content, share, send)
                    await _send_part(b"", send, more=False)
                    return
        # Without the functions for parts, because most responses are sent here.
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if _is_head(request) else content})

    async def _send_export(self, response: Response, stream: Parts, request: RequestContext, send: Send) -> None:
        """Send a stream. Whether it is large enough for a coding is decided by its first part."""
        with self._share(self._exports, request) as share:
            share.take(1)
            content = await stream.next_part() or b""
            headers = response.headers
            if len(content) >= SMALLEST_BYTES:
                coding = choose(request.fields)
                headers = describe(headers, coding, None)
                if coding is not None:
                    stream = CompressedStream(stream, coding)
                    content = stream.compress(content)
            await _send_start(response.status, headers, send)
            if not _is_head(request):
                await _send_stream(content, stream, share, request.receive, send)
        await _send_part(b"", send, more=False)

    @staticmethod
    def _share(budget: Budget, request: RequestContext) -> Share:
        return Share(budget, limited_user(request), partial(_cut, request))


def in_pieces(send: Send) -> Send:
    """Write content that all requests share in pieces, so that no transport holds a copy of it."""

    async def send_in_pieces(message: Message) -> None:
        content = message.get("body", b"")
        for begin in range(0, len(content) if len(content) > SMALL_BYTES else 0, PIECE_BYTES):
            await _send_part(content[begin : begin + PIECE_BYTES], send)
        await send({**message, "body": b""} if len(content) > SMALL_BYTES else message)

    return send_in_pieces


def _is_head(request: RequestContext) -> bool:
    return bool(request.scope["method"] == "HEAD")


async def _send_start(status: int, headers: Headers, send: Send) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


def _cut(request: RequestContext) -> None:
    request.scope[CUT] = True


async def _send_part(content: bytes, send: Send, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": more})


async def _send_pieces(content: bytes, share: Share, send: Send) -> None:
    """Send content, and wait until the transport is below its high-water mark."""
    share.wait_for_client()
    for begin in range(0, len(content), PIECE_BYTES):
        piece = content[begin : begin + PIECE_BYTES]
        await _send_part(piece, send)
        share.wait_for_client(len(piece))
    # `send` waits before it writes. The empty part waits until the last piece has been read.
    await _send_part(b"", send)
    share.wait_no_longer()


async def _send_stream(content: bytes | None, stream: Parts, share: Share, receive: Receive, send: Send) -> None:
    """Send content, then page after page. Each is fetched when the client has read the one before."""
    async with _disconnection(receive) as gone:
        while content is not None and not gone.done():
            await _send_pieces(content, share, send)
            # Released before the next page is fetched.
            content = None
            content = await stream.next_part()


@contextlib.asynccontextmanager
async def _disconnection(receive: Receive) -> AsyncIterator[asyncio.Task[None]]:
    """A task that is done when the client has disconnected."""
    task = asyncio.create_task(_wait_for_disconnection(receive))
    try:
        yield task
    finally:
        task.cancel()


async def _wait_for_disconnection(receive: Receive) -> None:
    # An unread body that is too large raises `Problem`, and ends the connection as well.
    with contextlib.suppress(Problem):
        while (await receive())["type"] != "http.disconnect":
            pass
