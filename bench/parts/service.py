"""`python -m bench users`: a hundred users at once, each with a token and a connection of their own."""

from collections.abc import Sequence
from typing import Any, Final

from bench.database import BenchmarkDatabase
from bench.load import Answer, Work, outcome, send
from bench.markdown import Target, number, table
from bench.measure import Spent, summary
from bench.operations import TASKS_OF_OTHERS, USERS, named
from bench.results import Part
from bench.servers import Server, service_alone

_READS: Final = ("get", "list_20")
_WRITES: Final = ("create", "update", "toggle")
_WRITER_EVERY: Final = 5
_MOST_MS: Final = {"reads": 100.0, "writes": 50.0}
_PROBE_EACH: Final = 20


def measure(seconds: float) -> dict[str, Any]:
    """Four of five users read and one writes, each as fast as the service answers."""
    with service_alone() as (server, database):
        probe = outcome(_all_users(server, database, _PROBE_EACH), USERS * _PROBE_EACH)
        each = max(_PROBE_EACH, round(probe.rate * seconds / USERS))
        spent = Spent(server.processes.cpu_seconds)
        answers = _all_users(server, database, each)
        return {
            "users": USERS,
            "seconds": seconds,
            "cpu_us": round(spent.seconds() * 1e6 / (each * USERS), 1),
            "all": summary(outcome(answers, each * USERS)),
            "reads": _part(answers, each, writes=False),
            "writes": _part(answers, each, writes=True),
        }


def _all_users(server: Server, database: BenchmarkDatabase, each: int) -> list[list[Answer]]:
    for user in range(USERS):
        database.fill(user, TASKS_OF_OTHERS)
    return send(server.base_url, [_work(user) for user in range(USERS)], each)


def _work(user: int) -> Work:
    """What the user does: always the same, with all their tasks."""
    names = _WRITES if _writes(user) else _READS
    name = names[user // _WRITER_EVERY % len(names)]
    return named(name).of(user, TASKS_OF_OTHERS).work(TASKS_OF_OTHERS)


def _writes(user: int) -> bool:
    return user % _WRITER_EVERY == 0


def _part(answers: Sequence[Sequence[Answer]], each: int, *, writes: bool) -> dict[str, Any]:
    chosen = [answers[user] for user in range(USERS) if _writes(user) == writes]
    return summary(outcome(chosen, each * len(chosen)))


def targets(part: Part) -> list[Target]:
    """What it says of the aims."""
    kinds = [
        Target(
            f"p95 of {kind} of {part['users']} users at once",
            f"under {number(most)} ms",
            f"{number(part[kind]['p95_ms'])} ms",
            part[kind]["p95_ms"] < most,
        )
        for kind, most in _MOST_MS.items()
    ]
    errors = part["all"]["errors"]
    return [Target(f"Errors of {part['users']} users at once", "0", number(errors), errors == 0), *kinds]


def sections(part: Part) -> list[str]:
    """The table under its heading."""
    rows = [
        [kind, *(number(part[kind][key]) for key in ("requests", "rate", "p50_ms", "p95_ms", "p99_ms", "errors"))]
        for kind in ("reads", "writes", "all")
    ]
    return [
        f"""## {part["users"]} users at once

Each has a token and a connection and sends the next request at once when the answer to the last is there, so the
service is saturated. Four of five get a task or list 20; the others create, update or toggle. CPU per request:
{number(part["cpu_us"])} µs.

{table(["", "requests", "per second", "p50, ms", "p95, ms", "p99, ms", "errors"], rows)}"""
    ]
