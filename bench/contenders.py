"""Who is measured: each contender's command, environment and needs, declared here and nowhere else.

Every contender is one process that listens on 127.0.0.1 at its port, keeps at most ten connections to PostgreSQL, and
ends at SIGTERM. It is started in the project's root with `DATABASE_URL` (an address of libpq, with the directory of a
socket as `host=` among others), `BETTER_AUTH_SECRET` (the key of HS256 tokens) and `PORT`. Only the service checks,
logs and counts all that a deployment has on; the others keep no log and no metrics, which is to their favour.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

_FASTIFY = "bench/peers/fastify"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to serve the same operations on the same tables."""

    name: str
    """What it is called in commands and data."""
    title: str
    """What it is called in tables."""
    command: tuple[str, ...]
    """Its program and arguments, where `{port}` stands for the port."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables beside those that all contenders get."""
    needs: str | None = None
    """A program that must be found on `PATH`; without it the contender is left out."""
    prepare: tuple[str, ...] | None = None
    """What installs its dependencies, where `prepared` does not exist yet."""
    prepared: str | None = None
    """What `prepare` makes, as a path from the project's root."""


def _uvicorn(module: str) -> tuple[str, ...]:
    """The fastest that uvicorn has, and no log."""
    options = "--host 127.0.0.1 --port {port} --loop uvloop --http httptools --ws none --lifespan on"
    quiet = "--no-access-log --log-level warning --no-server-header"
    application = f"bench.peers.{module}:create_app"
    return (sys.executable, "-m", "uvicorn", "--factory", application, *options.split(), *quiet.split())


CONTENDERS: tuple[Contender, ...] = (
    Contender(
        name="service",
        title="Tasks API (this service)",
        command=(sys.executable, "-m", "server", "serve"),
        # A limit that counts every request and refuses none.
        environment={"ENVIRONMENT": "production", "RATE_LIMIT": "100000/second"},
    ),
    Contender(
        name="floor",
        title="Floor: bare ASGI, same driver, same SQL, no validation",
        command=_uvicorn("baseline_service"),
    ),
    Contender(
        name="floor-psycopg",
        title="Floor on a stock psycopg pool",
        command=_uvicorn("baseline_psycopg"),
    ),
    Contender(
        name="fastapi-sqlmodel",
        title="FastAPI + SQLModel + psycopg (sync)",
        command=_uvicorn("fastapi_sqlmodel"),
    ),
    Contender(
        name="fastapi-sqlalchemy",
        title="FastAPI + SQLAlchemy + asyncpg",
        command=_uvicorn("fastapi_sqlalchemy"),
    ),
    Contender(
        name="litestar-msgspec",
        title="Litestar + msgspec + asyncpg",
        command=_uvicorn("litestar_msgspec"),
    ),
    Contender(
        name="fastify",
        title="Fastify + node-postgres",
        command=("node", f"{_FASTIFY}/server.mjs"),
        environment={"NODE_ENV": "production"},
        needs="node",
        prepare=("npm", "ci", "--prefix", _FASTIFY),
        prepared=f"{_FASTIFY}/node_modules",
    ),
)
"""All of them, the service first."""
