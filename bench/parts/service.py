"""The contenders side by side, and the service alone: startup, many users, many connections, worker processes."""

import tempfile
from dataclasses import replace
from pathlib import Path

import click

from bench.contenders import CONTENDERS, SERVICE, Contender
from bench.database import benchmark_database
from bench.load import Sample, send, summarize
from bench.operations import DEFAULT_TASKS, OPERATIONS, USERS, Operation, Work
from bench.parts import Options
from bench.processes import cpu_seconds, rss_bytes
from bench.results import Part
from bench.runner import Plan, measure
from bench.servers import ROOT, running, service

_CONNECTIONS = 1000
_CLIENTS = 20
_WRITER_EVERY = 5
_LONG = 10  # the length of the blocks with many users or connections, relative to other blocks


def variant(name: str, title: str, **environment: str) -> Contender:
    """The service with other settings."""
    return replace(SERVICE, name=name, title=title, environment={**SERVICE.environment, **environment})


def comparison(options: Options) -> Part:
    """All operations of all contenders that can be installed here."""
    chosen = [CONTENDERS[name] for name in options.contender or CONTENDERS]
    contenders = [contender for contender in chosen if (ROOT / contender.requires).exists()]
    for contender in [one for one in chosen if one not in contenders]:
        click.echo(f"{contender.title} is left out: {contender.requires} does not exist.", err=True)
    operations = [OPERATIONS[name] for name in options.operation or OPERATIONS]
    return measure(Plan(contenders, operations, options.rounds, options.seconds))


def validation(options: Options) -> Part:
    """The service with and without response validation."""
    contenders = [variant("without", "without", VALIDATE_RESPONSES="false"), variant("with", "with")]
    operations = [OPERATIONS[name] for name in ("get", "list_20", "list_1000")]
    return measure(Plan(contenders, operations, options.rounds, options.seconds, paced=False))


def workers(options: Options) -> Part:
    """The service with one and with two worker processes, on any core."""
    contenders = [variant("one", "one"), variant("two", "two", WORKERS="2")]
    verify = Operation("verify", "Verify a token (no database)", "POST", "/api/auth/verify", user=1)
    operations = [verify, OPERATIONS["get"], OPERATIONS["create"]]
    return measure(Plan(contenders, operations, options.rounds, options.seconds, paced=False, apart=False))


def startup(options: Options) -> Part:
    """Seconds from the start of the process to the first response with a task."""
    samples: list[Sample] = []
    for number in range(3 * options.rounds):
        with tempfile.TemporaryDirectory() as directory:
            with benchmark_database(Path(directory, "postgres")) as database, running(SERVICE, database) as server:
                samples.append({"round": number, "database": "external", "seconds": server.startup_seconds})
            settings = {"DATABASE_URL": "", "EMBEDDED_DATABASE": "true", "DATA_DIR": directory}
            embedded = variant("embedded", "Service with embedded PostgreSQL", **settings)
            with running(embedded, database) as server:
                samples.append({"round": number, "database": "embedded", "seconds": server.startup_seconds})
    return Part({}, samples)


def users(options: Options) -> Part:
    """A hundred users at once, each with a token and a connection. One of five writes, the others read."""
    with service() as server:
        for user in range(USERS):
            server.database.fill(user, DEFAULT_TASKS)
        works = [_work(user) for user in range(USERS)]
        probe = summarize(send(server.base_url, works, _CLIENTS), _CLIENTS * USERS)
        each = max(_CLIENTS, round(probe["rate"] * _LONG * options.seconds / USERS))
        before = cpu_seconds(server.pid)
        responses = send(server.base_url, works, each)
        cpu_us = (cpu_seconds(server.pid) - before) * 1e6 / (each * USERS)
    reads = [found for user, found in enumerate(responses) if user % _WRITER_EVERY]
    groups = {"reads": reads, "writes": responses[::_WRITER_EVERY], "all": responses}
    samples = [{"kind": kind, **summarize(found, each * len(found))} for kind, found in groups.items()]
    return Part({"users": USERS, "cpu_us": round(cpu_us, 1)}, samples)


def _work(user: int) -> Work:
    names = ("get", "list_20") if user % _WRITER_EVERY else ("create", "update", "toggle")
    operation = OPERATIONS[names[user // _WRITER_EVERY % len(names)]]
    (work,) = replace(operation, user=user, tasks=DEFAULT_TASKS, consumes=False).works(DEFAULT_TASKS, 1)
    return work


def connections(options: Options) -> Part:
    """A thousand open connections: with a request per second each, and as fast as possible."""
    with service() as server:
        samples: list[Sample] = [{"kind": "none", "rss_bytes": rss_bytes(server.pid)}]
        capacity = server.capacity(OPERATIONS["get"])
        works = OPERATIONS["get"].works(_CONNECTIONS, _CONNECTIONS // _CLIENTS)
        for kind, rate in (("paced", float(_CONNECTIONS)), ("saturated", None)):
            each = max(_CLIENTS, round((rate or capacity) * _LONG * options.seconds / len(works)))
            responses = send(server.base_url, works, each, rate=rate, clients=_CLIENTS)
            found = summarize(responses, each * len(works))
            samples.append({"kind": kind, **found, "rss_bytes": rss_bytes(server.pid)})
    return Part({"connections": _CONNECTIONS}, samples)
