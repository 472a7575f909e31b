"""uvicorn's protocol, with its one answer of its own in the contract's shape."""

import orjson
from uuid_utils import uuid7
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.guard import TARGET_BYTES
from server.problems import MALFORMED_REQUEST, URI_TOO_LONG, Problem


class ProblemProtocol(HttpToolsProtocol):
    """Answers what is not HTTP, which never becomes a request that the stages could see."""

    url = b""

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
