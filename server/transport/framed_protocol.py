"""uvicorn's protocol, with strict request lines and with clients that close their sending side first.

The parser is given one part of a message at a time, as `MessageFraming` finds them. Wherever the two disagree about an
end, the request is refused and the connection is closed.
"""

import socket
from abc import abstractmethod
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import unquote

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.problems import MALFORMED_REQUEST, Problem
from server.transport.cycle import Cycle
from server.transport.message_framing import FramingError, MessageFraming, parse_target


class _Phase(Enum):
    """The part of a message that the parser expects."""

    MESSAGE = auto()
    HEAD = auto()
    BODY = auto()


# By whether the part is a head, and whether it has ended: what the parser may expect then.
_EXPECTED: Final = {
    (True, False): (_Phase.HEAD,),
    (True, True): (_Phase.BODY, _Phase.MESSAGE),
    (False, False): (_Phase.BODY,),
    (False, True): (_Phase.MESSAGE,),
}


class FramedProtocol(HttpToolsProtocol):
    """Reads request lines strictly, and answers what was complete when a client stopped sending."""

    url = b""
    fault = ""
    """The reason for which a callback has refused the current message."""
    idle: object = None
    """Another object after each response, until the next request begins."""
    is_deaf = False
    """True if all further data is ignored."""
    _is_half_closed = False
    _phase = _Phase.MESSAGE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._framing = MessageFraming()

    @property
    @abstractmethod
    def is_busy(self) -> bool:
        """True while a request of this connection is processed."""

    @abstractmethod
    def give_up(self, problem: Problem) -> None:
        """End the connection with the problem, unless an answer is due or was given to what came before."""

    def _unsupported_upgrade_warning(self) -> None:
        # A server may ignore the field `Upgrade` (RFC 9110, section 7.8). uvicorn would advise to install packages.
        pass

    def part_received(self, data: bytes) -> None:
        """Parse a part of a message, or a piece of it."""
        self.idle = None
        super().data_received(data)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, part by part."""
        at = 0
        while at < len(data) and not self.is_deaf:
            if self._phase is _Phase.MESSAGE:
                # Empty lines ahead of a request line are ignored (RFC 9112, section 2.2).
                at = len(data) - len(data[at:].lstrip(b"\r\n"))
                if at == len(data):
                    # The client has begun to use the time that a head may take.
                    self.idle = None
                    return
            try:
                end = self._framing.end_of_part(data, at)
            except FramingError as error:
                self._refuse_part(str(error))
                return
            self.part_received(data[at:end])
            at = end
            if not self.is_deaf:
                self._look_at_part()

    # uvicorn's returns nothing, which closes the connection.
    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what is complete, though the client sends no more. Returns whether the connection stays open."""
        if self._phase is not _Phase.MESSAGE and not self.is_deaf:
            self.give_up(Problem(MALFORMED_REQUEST, "The request ended early."))
        if self.is_busy:
            self.cycle.keep_alive = False
        self.is_deaf = self._is_half_closed = True
        return self.is_busy

    def is_abandoned(self) -> bool:
        """Return whether the client has reset a connection that it had half closed.

        The event loop no longer reads from such a connection, so it would notice at the next write only.
        """
        if not self._is_half_closed:
            return False
        connection = self.transport.get_extra_info("socket")
        return connection is not None and connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._phase = _Phase.HEAD

    def on_headers_complete(self) -> None:
        """Begin a request. uvicorn's method would parse the target again, and make a cycle of its own."""
        target = parse_target(self.url)
        if target.authority is not None and not _is_host(target.authority, self.headers):
            self.fault = "The host in the request line is not that of the Host header field."
            raise ValueError(self.fault)  # the parser makes it an error of its own
        path, _, query = target.origin_form.partition(b"?")
        version = self.parser.get_http_version()
        self.scope |= {
            "method": self.parser.get_method().decode("ascii"),
            "http_version": version,
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
        }
        self._start_cycle(keep_alive=version != "1.0" and self.parser.should_keep_alive())
        self._phase = _Phase.BODY

    def _start_cycle(self, *, keep_alive: bool) -> None:
        """Start the request, or put it into the queue behind the one that is processed."""
        previous, self.cycle = self.cycle, Cycle(self, keep_alive=keep_alive)
        if previous is None or previous.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_message_complete(self) -> None:
        """End a request."""
        super().on_message_complete()
        self._phase = _Phase.MESSAGE

    def on_response_complete(self) -> None:
        """Start the next request of the queue, or wait for one. uvicorn's method would start a timer for that."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.idle = object()

    def _look_at_part(self) -> None:
        """Compare what the parser makes of a part with what was expected, and expect the next one."""
        framing = self._framing
        if self._phase not in _EXPECTED[framing.in_head, framing.has_ended]:
            self._refuse_part("The request has more than one end.")
        elif not framing.has_ended:
            return
        elif self._phase is _Phase.BODY:
            framing.begin_body(_length(self.scope["headers"]))
        else:
            framing.begin_message()
            # Nothing that follows the last request of a connection is a request.
            self.is_deaf = not self.cycle.keep_alive

    def _refuse_part(self, detail: str) -> None:
        if self._phase is _Phase.MESSAGE:
            # It is not the fault of the request before.
            self.on_message_begin()
        self.give_up(Problem(MALFORMED_REQUEST, detail))


def _is_host(authority: bytes, fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether `Host` is this authority (RFC 9112, section 3.2.2). HTTP/1.0 does not need one."""
    return all(value.strip(b" \t").lower() == authority.lower() for name, value in fields if name == b"host")


def _length(fields: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Return the length of a body in bytes, and nothing for one in chunks. The parser has seen that there is one."""
    return next((int(value) for name, value in fields if name == b"content-length"), None)
