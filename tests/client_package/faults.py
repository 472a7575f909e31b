"""A proxy in front of the service, which fails as the address of a request says.

The address is `/PLAN/ID`, followed by the path of the service. `PLAN` has the outcomes of the first requests with this
`ID`, separated by commas; all later ones pass. `GET /PLAN/ID/requests` returns the number of requests.

* `pass`: the request and its response pass.
* `lost`: the service processes the request and sends its response, and the connection to the client is reset.
* `dropped`: the connection is reset before the service receives the request.
* `cut`: the connection is reset after half of the content of the response.
* `stalled`: the service receives half of the body and no more.
* `held`: nothing happens until the client closes its connection.
* `short`: half of the content of the response, which looks complete.
* A name of `_CANNED`: this response; the service does not receive the request.
"""

import contextlib
import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.support.raw_http import reset
from tests.support.servers.threaded import serving

_READABLE = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After, X-Request-ID"}
_SECONDS = 30
_PROBLEM = {"Content-Type": "application/problem+json"}
_PAGE = {"Content-Type": "text/html"}
_BUSY = b'{"title": "Service unavailable", "status": 503, "detail": "Try again.", "code": "service-unavailable"}'
_NEW = b'{"title": "New", "status": 410, "detail": "A kind that the client does not know.", "code": "constructor"}'
_CANNED = {
    "busy": (503, {**_PROBLEM, "Retry-After": "1"}, _BUSY),
    "busy-until": (503, _PROBLEM, _BUSY),
    "html": (502, _PAGE, b"<h1>Bad gateway</h1>"),
    "portal": (200, _PAGE, b"<h1>Sign in to the network</h1>"),
    "nothing": (200, {}, b""),
    "gateway": (403, _PROBLEM, b'{"title": "Blocked by a rule of the gateway"}'),
    "null": (500, _PROBLEM, b"null"),
    "half": (500, _PROBLEM, b'{"title": "Internal'),
    "moved": (301, {"Location": "tasks"}, b""),
    "newer": (410, _PROBLEM, _NEW),
}
"""Responses of other programs between client and service; `busy-until` gets a `Retry-After` with a date."""


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, service: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = urlsplit(service).netloc
        self.requests: Counter[str] = Counter()
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a client that is gone is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Proxy

    def handle_one_request(self) -> None:
        """Read a request of any method, and let the plan decide."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            return
        self.close_connection = True
        _, plan, name, path = self.path.split("/", 3)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if path == "requests":
            self._respond(200, {**_READABLE, "Content-Type": "application/json"}, self._count(plan, name))
        elif self.command == "OPTIONS":
            # A preflight of a browser is no request of the client.
            self._respond(*self._forward(path, body))
        else:
            self._fail(self._outcome(plan, name), path, body)

    def _count(self, plan: str, name: str) -> bytes:
        return str(self.server.requests[f"{plan}/{name}"]).encode()

    def _outcome(self, plan: str, name: str) -> str:
        with self.server.lock:
            self.server.requests[f"{plan}/{name}"] += 1
            number = self.server.requests[f"{plan}/{name}"]
        outcomes = dict(enumerate(plan.split(","), 1))
        return outcomes.get(number, "pass")

    def _fail(self, outcome: str, path: str, body: bytes) -> None:
        if outcome in _CANNED:
            status, headers, content = _CANNED[outcome]
            until = {"Retry-After": formatdate(time.time() + 60, usegmt=True)} if outcome == "busy-until" else {}
            self._respond(status, {**_READABLE, **headers, **until}, content)
        elif outcome == "held":
            self.connection.settimeout(_SECONDS)
            self.rfile.read(1)
        elif outcome == "dropped":
            reset(self.connection)
        else:
            status, headers, content = self._forward(path, body, stalled=outcome == "stalled")
            if outcome == "lost":
                reset(self.connection)
            elif outcome == "cut":
                self._respond(status, {**headers, "Content-Length": str(len(content))}, content[: len(content) // 2])
                reset(self.connection)
            elif outcome == "short":
                self._respond(status, headers, content[: len(content) // 2])
            else:
                self._respond(status, headers, content)

    def _forward(self, path: str, body: bytes, *, stalled: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Return the response of the service."""
        connection = http.client.HTTPConnection(self.server.service, timeout=_SECONDS)
        with contextlib.closing(connection):
            connection.putrequest(self.command, f"/{path}", skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"connection", "host", "accept-encoding"}:
                    connection.putheader(name, value)
            connection.putheader("Host", self.server.service)
            connection.endheaders(body[: len(body) // 2] if stalled else body)
            response = connection.getresponse()
            content = response.read()
            hop_by_hop = {"connection", "transfer-encoding", "content-length"}
            fields = {name: value for name, value in response.getheaders() if name.lower() not in hop_by_hop}
            return response.status, fields, content

    def _respond(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers and status not in {204, 304}:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def failing_proxy(service: str) -> Iterator[str]:
    """Run the proxy in front of the service with this address, and yield its own."""
    proxy = _Proxy(service)
    with serving(proxy):
        yield f"http://127.0.0.1:{proxy.server_port}"
