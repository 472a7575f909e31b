"""Reading request bodies, within limits on the bytes that arrive and the number of imports that are processed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from starlette.types import Message, Receive

from server.pipeline.admission import Budget, Share, limited_user
from server.pipeline.stage import Operation
from server.problems import INTERRUPTION, MALFORMED_REQUEST, SERVICE_UNAVAILABLE, Interruption, Problem
from server.request_context import RequestContext, Response

UPLOAD_BYTES: Final = 96 * 1024 * 1024
"""The total size of bodies that arrive in more than one part, until they have been processed, in one process."""

UPLOAD_BYTES_PER_USER: Final = 20 * 1024 * 1024
"""Two imports of the largest size."""

IMPORTS: Final = 64
"""The number of complete imports that wait or are processed, in one process."""

IMPORTS_PER_USER: Final = 4

IMPORTS_AT_WORK: Final = 2
"""The maximum number of imports that are processed at a time. One of 10 MiB takes 95 MB meanwhile."""


class Uploads:
    """The request bodies of a process, within budgets of bytes and of imports."""

    def __init__(self) -> None:
        self._bytes = Budget(total=UPLOAD_BYTES, per_user=UPLOAD_BYTES_PER_USER)
        self._imports = Budget(total=IMPORTS, per_user=IMPORTS_PER_USER)
        self._work = asyncio.Semaphore(IMPORTS_AT_WORK)

    async def read(self, request: RequestContext) -> bytes:
        """The whole body of the request. Raises `Problem` (400, 429, 503), and what receiving raises."""
        message = await request.receive()
        if not message.get("more_body"):
            return _content(message)
        with self._share(request) as share:
            return await _read(share, message, request.receive)

    @contextlib.asynccontextmanager
    async def admit_import(self, request: RequestContext) -> AsyncIterator[bytes]:
        """Read a large body, and wait until it can be processed. Raises the same as `read`.

        Its bytes count until the block ends. It counts as an import only when it is complete.
        """
        with self._share(request) as share:
            content = await _read(share, await request.receive(), request.receive)
            with Share(self._imports, share.user) as slot:
                slot.take(1)
                async with self._work:
                    yield content

    def _share(self, request: RequestContext) -> Share:
        return Share(self._bytes, limited_user(request), partial(_refuse, request, asyncio.current_task()))


async def _read(share: Share, message: Message, receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        part = _content(message)
        share.take(len(part))
        parts.append(part)
        if not message.get("more_body"):
            share.wait_no_longer()
            return b"".join(parts)
        share.wait_for_client(len(part))
        message = await receive()


def _content(message: Message) -> bytes:
    """The next part of the body. Raises `Problem` (400) if the client has disconnected."""
    if message["type"] == "http.disconnect":
        raise Problem(MALFORMED_REQUEST, "The body ended early.")
    content: bytes = message.get("body", b"")
    return content


async def has_content(request: RequestContext) -> bool:
    """Return whether the request has a body that is not empty, for an operation that takes none.

    It receives no more than the first part with content, and nothing if the head says it. Raises what receiving raises.
    """
    if b"transfer-encoding" not in request.fields:
        return bool(request.fields.get(b"content-length", b"").strip(b" \t0"))
    more = True
    while more:
        message = await request.receive()
        if _content(message):
            return True
        more = message.get("more_body", False)
    return False


class ImportOperation:
    """An operation with a large body, which begins when the body is complete and has been admitted."""

    def __init__(self, operation: Operation, uploads: Uploads) -> None:
        self.operation = operation
        self.uploads = uploads

    async def __call__(self, request: RequestContext) -> Response:
        """Read the body and call the operation. Raises `Problem` (400, 429, 503)."""
        async with self.uploads.admit_import(request) as content:
            request.receive = _receive_again(content)
            return await self.operation(request)


def _refuse(request: RequestContext, task: "asyncio.Task[None] | None") -> None:
    """End a request whose body arrives too slowly."""
    if task is not None and INTERRUPTION not in request.scope:
        request.scope[INTERRUPTION] = Interruption(Problem(SERVICE_UNAVAILABLE))
        task.cancel()


def _receive_again(content: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    return receive
