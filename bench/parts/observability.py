"""The cost of metrics and of traces."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.operations import OPERATIONS
from bench.parts import Options
from bench.parts.service import variant
from bench.results import Part
from bench.runner import Plan, measure


def observability(options: Options) -> Part:
    """A GET without metrics, with them as shipped, and with traces of one request in a hundred, in turn."""
    with _collector() as url:
        tracing = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.01",
        }
        contenders = [
            variant("off", "without metrics", METRICS_ENABLED="false"),
            variant("metrics", "with metrics"),
            variant("traces", "with metrics and 1 % of traces", **tracing),
        ]
        return measure(Plan(contenders, [OPERATIONS["get"]], options.rounds, options.seconds, paced=False))


class _Collector(BaseHTTPRequestHandler):
    """Accepts spans, and forgets them."""

    def do_POST(self) -> None:
        """Answer as a collector does that has stored everything."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextlib.contextmanager
def _collector() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
