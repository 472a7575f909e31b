"""uvicorn's protocol, with its one answer of its own in the contract's shape."""

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.problems import MALFORMED_REQUEST, Problem


class ProblemProtocol(HttpToolsProtocol):
    """Answers what is not HTTP, which never becomes a request that the stages could see."""

    def send_400_response(self, msg: str) -> None:
        """Send the problem and close the connection: where the next request would start is unknown."""
        body = orjson.dumps(Problem(MALFORMED_REQUEST, msg).as_json("/"))
        head = (
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        self.transport.write(head + body)
        self.transport.close()
