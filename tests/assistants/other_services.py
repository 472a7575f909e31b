"""What answers at the address of the service, and is another service."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class OtherService:
    """It has a document, and redirects other requests to a page for signing in, with a cookie."""

    server: ThreadingHTTPServer
    cookies: list[str | None] = field(default_factory=list)
    """The `Cookie` field of each redirected request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def serving(document: Any) -> Iterator[OtherService]:
    """Serve a document at `/openapi.json`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(document).encode() if self.path == "/openapi.json" else b""
            self.send_response(200 if content else 302)
            if not content:
                other.cookies.append(self.headers["Cookie"])
                self.send_header("Set-Cookie", "session=ada")
                self.send_header("Location", "/sign-in")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Write nothing to standard error."""

    other = OtherService(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    threading.Thread(target=other.server.serve_forever, daemon=True).start()
    try:
        yield other
    finally:
        other.close()
