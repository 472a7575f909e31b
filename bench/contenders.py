"""The contenders: the service, the baselines and the peers.

A contender is a process that listens on 127.0.0.1:`PORT`, opens at most ten connections to `DATABASE_URL`, verifies
HS256 tokens with `BETTER_AUTH_SECRET`, and ends at SIGTERM. The service validates, logs, counts and limits as in
production; the others keep no log, no metrics and no limits, which is to their advantage.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Contender:
    """A server of the six operations."""

    name: str  # on the command line and in the results
    title: str  # in tables
    command: tuple[str, ...]  # with `{port}` for the port
    environment: Mapping[str, str] = field(default_factory=dict)
    requires: str = "."
    """A path in the repository that `make` creates. Without it the contender is left out."""


def _uvicorn(name: str, title: str, module: str) -> Contender:
    """A contender on uvicorn with its fastest options and without a log."""
    options = "--port {port} --loop uvloop --http httptools --ws none --lifespan on --no-access-log --log-level warning"
    application = ("--factory", f"bench.peers.{module}:create_app", "--no-server-header")
    return Contender(name, title, (sys.executable, "-m", "uvicorn", *application, *options.split()))


SERVICE: Final = Contender(
    "service",
    "Tasks API (this service)",
    (sys.executable, "-m", "server", "serve"),
    # A limit that counts every request and refuses none.
    {"ENVIRONMENT": "production", "RATE_LIMIT": "100000/second"},
)
_FASTIFY = Contender("fastify", "Fastify + node-postgres", ("node", "bench/peers/fastify/server.mjs"))
CONTENDERS: Final = {
    contender.name: contender
    for contender in (
        SERVICE,
        _uvicorn("baseline", "Baseline", "baseline_service"),
        _uvicorn("baseline-psycopg", "Baseline on psycopg_pool", "baseline_psycopg"),
        _uvicorn("fastapi-sqlmodel", "FastAPI + SQLModel + psycopg (sync)", "fastapi_sqlmodel"),
        _uvicorn("fastapi-sqlalchemy", "FastAPI + SQLAlchemy + asyncpg", "fastapi_sqlalchemy"),
        _uvicorn("litestar-msgspec", "Litestar + msgspec + asyncpg", "litestar_msgspec"),
        replace(_FASTIFY, environment={"NODE_ENV": "production"}, requires="bench/peers/fastify/node_modules"),
    )
}
