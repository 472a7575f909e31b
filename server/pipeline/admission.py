"""The turns of requests that take much memory and time: few at once in a process, and fewer of one user."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Final

from starlette.types import Message, Receive

from server.middleware.request_limits import read_content
from server.pipeline.stage import Operation
from server.problems import SERVICE_UNAVAILABLE, TOO_MANY_REQUESTS, Problem
from server.request_context import Exchange, Response

_AT_ONCE: Final = 16
_OF_ONE_USER: Final = 4
_AT_WORK: Final = 2


class InTurn:
    """An operation with a large body: a hundred of them at once would take all of the memory.

    At most `_AT_ONCE` bodies arrive at a time, and `_AT_WORK` of them are worked on; the others wait for their turn.
    Who comes beyond that is sent away, as is one user's fifth, before any of the body is read.
    """

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self._under_way: Counter[str] = Counter()
        self._work = asyncio.Semaphore(_AT_WORK)

    async def __call__(self, exchange: Exchange) -> Response:
        """Call on in turn. Raises `Problem` (429, 503)."""
        with self._place(exchange.user.id if exchange.user is not None else ""):
            exchange.receive = _receive_again(await read_content(exchange.receive))
            async with self._work:
                return await self.operation(exchange)

    @contextlib.contextmanager
    def _place(self, user: str) -> Iterator[None]:
        if self._under_way[user] >= _OF_ONE_USER:
            raise Problem(TOO_MANY_REQUESTS, "The user has too many of these requests in progress. Try again later.")
        if self._under_way.total() >= _AT_ONCE:
            raise Problem(SERVICE_UNAVAILABLE)
        self._under_way[user] += 1
        try:
            yield
        finally:
            self._under_way[user] -= 1
            # A count of nothing is forgotten.
            self._under_way += Counter()


def _receive_again(content: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    return receive
