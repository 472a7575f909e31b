"""The cost of metrics and of traces."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.contenders import Contender
from bench.database import benchmark_database
from bench.load import Sample
from bench.operations import OPERATIONS
from bench.parts import Options
from bench.parts.service import variant
from bench.processes import separate
from bench.results import Part
from bench.servers import running

_PAIRS = 5
_REQUESTS = 1500


def observability(options: Options) -> Part:
    """A GET without metrics, with them as shipped, and with traces of one request in a hundred.

    The three services run at the same time and get short blocks of requests in turn, `_PAIRS` for each round: what
    else the machine does changes between longer blocks by more than what is measured. Each round starts them again,
    because processes of the same code differ, too.
    """
    core = separate()
    operation = OPERATIONS["get"]
    samples: list[Sample] = []
    with _collector() as collector, benchmark_database() as database:
        contenders = _contenders(collector)
        for start in range(options.rounds):
            with contextlib.ExitStack() as stack:
                servers = {one.name: stack.enter_context(running(one, database, core)) for one in contenders}
                for server in servers.values():
                    server.block(operation, 2 * _REQUESTS)
                for number in range(start * _PAIRS, (start + 1) * _PAIRS):
                    for name in list(servers)[:: -1 if number % 2 else 1]:
                        found = servers[name].block(operation, _REQUESTS)
                        block = {"contender": name, "round": number, "operation": "get", "block": "saturated"}
                        samples.append({**block, **found})
    about = {"contenders": {one.name: one.title for one in contenders}, "operations": {"get": operation.title}}
    return Part({**about, "requests": _REQUESTS}, samples)


def _contenders(collector: str) -> list[Contender]:
    tracing = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }
    return [
        variant("off", "without metrics", METRICS_ENABLED="false"),
        variant("metrics", "with metrics"),
        variant("traces", "with metrics and 1 % of traces", **tracing),
    ]


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
