"""`python -m bench connections`: a thousand connections that stay open."""

from typing import Any, Final

from bench.load import outcome, send
from bench.markdown import Target, mebibytes, number, table
from bench.measure import Bench, Peak, summary
from bench.operations import named
from bench.results import Part
from bench.servers import Server, service_alone

_CONNECTIONS: Final = 1000
_EACH_PROCESS: Final = 20
_RATE: Final = 1000.0
_MOST_GROWTH: Final = 100 * 2**20
_COLUMNS: Final = ("requests", "rate", "p50_ms", "p95_ms", "p99_ms")


def measure(seconds: float) -> dict[str, Any]:
    """All connections open at once: each with a request per second, and each with as many as are answered."""
    with service_alone() as (server, database):
        before = server.processes.rss_bytes()
        paced = _block(server, round(_RATE * seconds), rate=_RATE)
        capacity = Bench(server, database).capacity(named("get"))
        busy = _block(server, round(capacity * seconds), rate=None)
        return {
            "connections": _CONNECTIONS,
            "seconds": seconds,
            "rss_before_bytes": before,
            "rss_after_bytes": server.processes.rss_bytes(),
            "paced": paced,
            "busy": busy,
        }


def _block(server: Server, requests: int, *, rate: float | None) -> dict[str, Any]:
    processes = _CONNECTIONS // _EACH_PROCESS
    each = max(_EACH_PROCESS, requests // processes)
    memory = Peak(server.processes)
    works = named("get").work(_CONNECTIONS).shares(processes)
    answers = send(server.base_url, works, each, rate=rate, clients=_EACH_PROCESS, observe=memory.look)
    return {**summary(outcome(answers, each * processes)), "rss_bytes": memory.bytes}


def targets(part: Part) -> list[Target]:
    """What it says of the aims."""
    errors = part["paced"]["errors"] + part["busy"]["errors"]
    growth = part["busy"]["rss_bytes"] - part["rss_before_bytes"]
    count = number(part["connections"])
    return [
        Target(f"Errors with {count} open connections", "0", number(errors), errors == 0),
        Target(
            f"Memory that {count} open connections take",
            f"at most {mebibytes(_MOST_GROWTH)}",
            mebibytes(growth),
            growth <= _MOST_GROWTH,
        ),
    ]


def sections(part: Part) -> list[str]:
    """The table under its heading."""
    titles = {"paced": "a request per second each", "busy": "as many as are answered"}
    rows = [
        [title, *(number(part[kind][key]) for key in _COLUMNS), _errors(part[kind]), mebibytes(part[kind]["rss_bytes"])]
        for kind, title in titles.items()
    ]
    return [
        f"""## {number(part["connections"])} open connections

All open at once, getting a task over and over. Resident memory of the service before:
{mebibytes(part["rss_before_bytes"])}, afterwards: {mebibytes(part["rss_after_bytes"])}.

{table(["", "requests", "per second", "p50, ms", "p95, ms", "p99, ms", "errors", "memory"], rows)}"""
    ]


def _errors(block: dict[str, Any]) -> str:
    """How many, and which statuses they had."""
    statuses = [status for status in block["statuses"] if not status.startswith("2")]
    return number(block["errors"]) + (f" ({', '.join(statuses)})" if statuses else "")
